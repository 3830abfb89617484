import json
import unicodedata

import pytest

from hardpp.data.lines import Place
from hardpp.data.transduction.folded import foldings_for
from hardpp.data.transduction.folding import FORMS, NOTHING, Folding, load_folding, written_like
from hardpp.data.transduction.pair_lists import ListOfPairs
from hardpp.data.transduction.pairs import Bitext, Corpus, Pair, PlacedPair
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.data.transduction.tokenizers import Characters, Folded, Words, folding_of, load_tokenizer

COMPOSED, DECOMPOSED = "kuća", unicodedata.normalize("NFD", "kuća")


@pytest.mark.parametrize("form", FORMS)
def test_texts_of_one_look_are_one(form):
    folding = Folding(form)
    assert folding(COMPOSED) == folding(DECOMPOSED) == unicodedata.normalize(form, COMPOSED)
    assert folding(folding(COMPOSED)) == folding(COMPOSED)


def test_nothing_is_folded_unless_it_is_asked_for():
    assert NOTHING(DECOMPOSED + "A\u00a0") == DECOMPOSED + "A\u00a0"
    assert Folding(lower=True)("İA") == "i̇a"
    assert Folding("NFC", lower=True)(unicodedata.normalize("NFD", "ÄÉ")) == "äé"
    assert Folding("NFKC")("a\u00a0ﬁ") == "a fi"


def test_what_was_decomposed_is_written_so():
    folding = written_like(Folding("NFC"), [DECOMPOSED, "abc"])
    assert folding.written == "NFD"
    assert folding.write(folding(DECOMPOSED)) == DECOMPOSED
    for texts in ([COMPOSED], [COMPOSED, DECOMPOSED], []):
        assert written_like(Folding("NFC"), texts).written == "none"


@pytest.mark.parametrize("folding", [Folding("NFC"), Folding("NFKC", lower=True, written="NFD"), NOTHING])
def test_a_tokenizer_that_folds_is_described_and_restored(folding):
    tokenizer = Folded(Characters(), folding)
    described = json.loads(json.dumps(tokenizer.describe()))
    again = load_tokenizer(described)
    assert folding_of(again) == folding == load_folding(folding.describe())
    assert again.tokenize("KUĆA") == tuple(folding("KUĆA"))
    assert (again.kind, again.one_way, again.sentences) == ("characters", True, False)
    assert again.word_of("ab") == [0, 1]
    assert folding_of(load_tokenizer({"kind": "words"})) == NOTHING  # as runs of before describe theirs


@pytest.mark.parametrize("described", [{"form": "NFX"}, {"shape": 1}, {"written": "x"}])
def test_what_is_no_folding_is_refused(described):
    with pytest.raises((KeyError, TypeError)):
        load_folding(described)


def test_a_fingerprint_is_of_the_pairs_and_not_of_what_folding_found_nothing_to_do():
    pairs = [Pair(("a",), ("b",), (("b",),))]
    placed = PlacedPair(*pairs[0])
    placed.place, placed.text = Place(None, 3), "A"
    assert placed == pairs[0]
    plain = Corpus("x", pairs, pairs, pairs, Characters(), Words())
    side = Folded(Characters(), Folding("NFC"))
    assert plain._replace(source=side, train=[placed]).fingerprint() == plain.fingerprint()


def test_sides_that_are_not_in_the_form_are_told_or_kept():
    texts = [TextPair(DECOMPOSED, DECOMPOSED), TextPair("ab", COMPOSED)]
    bitext, told = Bitext("mine", texts, texts, texts), []
    wanted = Folding("NFC"), Folding("NFC")
    source, target = foldings_for(bitext, wanted, told.append)
    assert (source, target) == (Folding("NFC", written="NFD"), Folding("NFC"))
    assert told == [
        "source: 3 of 6 texts are not in NFC of Unicode; they are read in it, and written in NFD "
        "(data.normalise)",
        "target: 3 of 6 texts are not in NFC of Unicode; they are read in it (data.normalise)",
    ]
    assert foldings_for(bitext, wanted, pytest.fail, keep=True) == (NOTHING, NOTHING)


def test_no_word_falls_into_two_parts_in_two_forms(tmp_path):
    words = [f"{letter}á{number}é" for number in range(60) for letter in "abc"]
    path = tmp_path / "words.tsv"
    forms = (words, [unicodedata.normalize("NFD", word) for word in words])
    path.write_text("".join(f"{word}\tx\n" for form in forms for word in form))
    parts = ListOfPairs(fold=Folding("NFC")).bitext(path)
    apart = [{unicodedata.normalize("NFC", pair.source) for pair in part} for part in parts[1:4]]
    assert sum(map(len, apart)) == len(words)
    unfolded = ListOfPairs().bitext(path)
    apart = [{unicodedata.normalize("NFC", pair.source) for pair in part} for part in unfolded[1:4]]
    assert sum(map(len, apart)) > len(words)
