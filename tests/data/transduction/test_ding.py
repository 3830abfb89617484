import pytest

from hardpp.data.parts import bucket
from hardpp.data.transduction import ding
from hardpp.errors import DataError

PART = {0: "test", 1: "dev"}
HEAD = "# Das ist ein Kopf. :: This is a head.\n"


def read(tmp_path, *lines):
    path = tmp_path / "de-en"
    path.write_text(HEAD + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    bitext = ding.bitext(path)
    return [tuple(pair) for pair in bitext.train + bitext.dev + bitext.test]


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("Es regnet heute. :: It rains today.", ("Es regnet heute.", "It rains today.")),
        (
            "Haus {n} | Das {x} Haus [ugs.] brennt <brennen>. :: house | The house is on fire.",
            ("Das Haus brennt .", "The house is on fire."),
        ),
        ("Wer ist da? :: Who is there?; Who is it?", ("Wer ist da?", "Who is there?")),
        ("Wer ist da?; Wer da? :: Who is there?", ("Wer ist da?", "Who is there?")),
        ("Geh jetzt weg! :: Go away! Leave me!", ("Geh jetzt weg!", "Go away!")),
        ("Geh jetzt weg! Los! :: Go away!", ("Geh jetzt weg!", "Go away!")),
        ("Ich bin hier. Und du? :: I am here. And you?", ("Ich bin hier. Und du?", "I am here. And you?")),
        ("„Wer ist da?“ :: “Who is there?”", ("„Wer ist da?“", "“Who is there?”")),
        ("a\u2028b c d. :: x\x85y z.", ("a b c d.", "x y z.")),
    ],
)
def test_examples_are_found(tmp_path, line, pair):
    assert read(tmp_path, line) == [pair]


@pytest.mark.parametrize(
    "line",
    [
        "Haus {n} :: house",
        "Es regnet heute. :: it rains today",
        "es regnet heute :: It rains today.",
        "Es regnet. :: It rains.",
        "Er/sie ist heute da. :: He is here today.",
        "Er ist heute da. :: He/she is here today.",
        "Er ist (heute) wieder da. :: He is back.",
        "Das ist gut. | Das ist schlecht. :: This is good.",
        "Das ist gut. Ja. Nein. :: Good. Yes.",
        "Das ist gut. Ja. :: Good. Yes. No.",
        "Er kommt jetzt; das ist gut. :: He comes now.",
        "Er kommt jetzt. :: He comes now; that is good.",
        "Er kommt jetzt; das ist gut. :: He comes now; that is good.",
        "Das ist gut.",
    ],
)
def test_what_is_no_example_is_passed_over(tmp_path, line):
    kept = "Das ist ein Satz. :: This is a sentence."
    assert read(tmp_path, line, kept) == [("Das ist ein Satz.", "This is a sentence.")]


def test_the_first_translation_of_a_sentence_counts(tmp_path):
    lines = ["Es regnet heute. :: It rains today.", "Es regnet heute. :: There is rain today."]
    assert read(tmp_path, *lines) == [("Es regnet heute.", "It rains today.")]


def test_examples_are_split_by_the_checksum_of_the_german(tmp_path):
    path = tmp_path / ding.MEMBER
    path.parent.mkdir(parents=True)
    path.write_text(HEAD + "".join(f"Das ist Nummer {n}. :: This is number {n}.\n" for n in range(200)))
    bitext = ding.bitext(tmp_path)
    assert bitext.name == "ding"
    for name in ("train", "dev", "test"):
        expected = [n for n in range(200) if PART.get(bucket(f"Das ist Nummer {n}."), "train") == name]
        assert getattr(bitext, name) == [(f"Das ist Nummer {n}.", f"This is number {n}.") for n in expected]
        assert expected


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DataError, match="de-en: cannot be read") as caught:
        ding.bitext(tmp_path / "de-en")
    assert caught.value.hint == "hardpp data fetch ding"
    with pytest.raises(DataError, match="holds no example sentence"):
        read(tmp_path, "Haus {n} :: house")
    (tmp_path / "de-en").write_bytes(b"# \xff")
    with pytest.raises(DataError, match=r"de-en:1: not UTF-8 \(byte 3 of the file\)"):
        ding.bitext(tmp_path / "de-en")
