import pytest

from hardpp.tasks.answers.unseen import Unseen, found_unseen, legible


@pytest.mark.parametrize(
    ("symbol", "seen"),
    [("a", "a"), ("\u010d", "\u010d"), (" ", "' '"), ("\t", r"'\t'"), ("\u00a0", r"'\xa0'")],
)
def test_symbols_can_be_seen(symbol, seen):
    assert legible(symbol) == seen


def test_accents_alone_are_named():
    assert legible("\u030c") == "\u030c (COMBINING CARON)"


def test_items_with_unknown_symbols_are_named_once_a_symbol():
    found = found_unseen([("ab", []), ("cd", ["d", "c", "d"])], "target ")
    assert found == [Unseen(1, "cd", ("d", "c"), "target ")]
    assert found[0].sentence("words.tsv:2") == (
        "words.tsv:2: target 'cd' has symbols never seen in training: d c"
    )


def test_what_is_called_as_the_unknown_symbol_is_no_other_case_of_it() -> None:
    (found,) = found_unseen([("<unk>", ["<unk>"])], known=["</s>", "<unk>", "a"])
    assert found.alike == ()
    (found,) = found_unseen([("A", ["A"])], known=["</s>", "<unk>", "a"])
    assert found.alike == ("a",)
