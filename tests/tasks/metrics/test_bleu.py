import math

import pytest

from hardpp.tasks.metrics.bleu import bleu


def test_a_case_by_hand():
    pytest.importorskip("sacrebleu")
    # Of 6 words 5 are right, of 5 pairs 3, of 4 triples 2, of 3 quadruples 1; equal lengths.
    expected = 100 * math.exp(sum(map(math.log, (5 / 6, 3 / 5, 2 / 4, 1 / 3))) / 4)
    found = bleu(["a b c d x e"], [["a b c d y e"]], tokenized=True)
    assert found.score == pytest.approx(expected, abs=0.005)
    assert "tok:none" in found.signature


def test_any_reference_may_be_met():
    pytest.importorskip("sacrebleu")
    assert bleu(["a b c d e", "f g h i"], [["x", "a b c d e"], ["f g h i"]]).score == 100
    assert bleu(["a b c d, e."], [["a b c d , e ."]]).score == 100  # 13a parts marks from words
    assert bleu(["a b c d, e."], [["a b c d , e ."]], tokenized=True).score < 100


@pytest.mark.parametrize(("texts", "references"), [([], []), (["a"], []), (["a"], [[]])])
def test_nothing_to_compare_is_refused(texts, references):
    with pytest.raises(ValueError, match=r"reference|held against"):
        bleu(texts, references)
