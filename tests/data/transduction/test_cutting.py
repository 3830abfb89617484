import pytest

from hardpp.data.transduction.cutting import how_cut
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.data.transduction.tokenization import tokenize_bitext, tokenizers

LINES = [
    TextPair("ab c", "X Y"),
    TextPair("ab", "X Y"),
    TextPair("ca", "Y"),
    TextPair("abababababababa", "Y X"),
]


@pytest.mark.parametrize("reverse", [False, True])
def test_every_side_is_told_with_examples(reverse):
    bitext = Bitext("mine", LINES, LINES[1:2], LINES[1:2], sentences=False)
    corpus = tokenize_bitext(bitext, *tokenizers(bitext, "auto", "auto", 1), pooled=True)
    source, target = how_cut(corpus, bitext, reverse=reverse)
    first, second = ("target", "source") if reverse else ("source", "target")
    assert source == (
        f"{first}: characters, 4 symbols (1 of 6 texts have blanks: a blank is a character; "
        "data.source_tokens=words cuts otherwise): 'ab c' = a | b | ' ' | c; 'ab' = a | b; 'ca' = c | a"
    )
    assert target == (
        f"{second}: words, 2 symbols (5 of 6 texts have blanks: others are one word; "
        "data.target_tokens=characters cuts otherwise): 'X Y' = X | Y; 'Y' = Y; 'Y X' = Y | X"
    )


def test_long_examples_are_cut_off_and_corpora_have_no_texts():
    lines = [TextPair("a" * 20, "x")]
    bitext = Bitext("mine", lines, lines, lines, sentences=False)
    corpus = tokenize_bitext(bitext, *tokenizers(bitext, "auto", "auto", 1), pooled=True)
    source, target = how_cut(corpus, None)
    assert source.endswith(" = " + " | ".join("a" * 12) + " ...")
    assert target == "target: characters, 1 symbols: 'x' = x"
