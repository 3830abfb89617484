import pytest

from hardpp.data.parts import bucket
from hardpp.data.transduction import libreoffice
from hardpp.errors import DataError

PART = {0: "test", 1: "dev"}


def pages_of(part, count=1):
    names = (f"m/p{number}.html" for number in range(10_000))
    return [name for name in names if PART.get(bucket(name), "train") == part][:count]


@pytest.fixture
def write(tmp_path):
    def write(language, page, *blocks):
        path = tmp_path / libreoffice.FOLDER / language / "text" / page
        path.parent.mkdir(parents=True, exist_ok=True)
        body = "\n".join(blocks)
        path.write_text(
            f"<html><body><p>Menu of the page</p>\n{body}\n<p>foot</p></body></html>", encoding="utf-8"
        )
        return tmp_path

    return write


(TRAIN, TRAIN2), (DEV,), (TEST,) = pages_of("train", 2), pages_of("dev"), pages_of("test")


def paragraph(identity, text, kind="paragraph"):
    return f'<p id="{identity}" class="{kind}" dir="auto">{text}</p>'


def texts(bitext):
    return [tuple(pair) for pair in bitext.train]


def test_paragraphs_are_joined_by_identity(write):
    write(
        "de",
        TRAIN,
        '<h2 id="hd_1" dir="auto">Drei kleine Wörter</h2>',
        paragraph("par_2", "Das ist <b>sehr</b> gut &amp; neu.<br>Ja, sehr."),
        paragraph("par_3", "Nur auf deutsch gesagt."),
        paragraph("par_5", "   "),
    )
    folder = write(
        "en-US",
        TRAIN,
        paragraph("par_4", "Only said in English."),
        paragraph("par_2", "This is <i>very</i> good &amp; new.\n Yes, very."),
        paragraph("par_5", "Not said in German."),
        '<h2 id="hd_1" dir="auto">Three little words</h2>',
    )
    assert texts(libreoffice.bitext(folder, "de")) == [
        ("Drei kleine Wörter", "Three little words"),
        ("Das ist sehr gut & neu.Ja, sehr.", "This is very good & new. Yes, very."),
    ]


def test_code_and_what_has_no_identity_are_passed_over(write):
    blocks = [
        paragraph("par_1", "PRINT 1, {}", "bascode"),
        paragraph("par_2", "Sub Main() {}", "CODE"),
        paragraph("bm_3", "kein Absatz, nur {}"),
        "<p>ohne Namen gesagt {}</p>",
        paragraph("par_4", "das hier bleibt {}"),
    ]
    write("fr", TRAIN, *(block.format("x") for block in blocks))
    folder = write("en-US", TRAIN, *(block.format("y") for block in blocks))
    assert texts(libreoffice.bitext(folder, "fr")) == [("das hier bleibt x", "das hier bleibt y")]


def test_the_first_of_two_paragraphs_with_one_identity_counts(write):
    write("de", TRAIN, paragraph("par_1", "das ist eins"), paragraph("par_1", "das ist zwei"))
    folder = write("en-US", TRAIN, paragraph("par_1", "this is one"), paragraph("par_1", "this is two"))
    assert texts(libreoffice.bitext(folder, "de")) == [("das ist eins", "this is one")]


def test_sentences_are_cut_and_a_page_is_never_divided(write):
    for number, page in enumerate((TRAIN, TRAIN2, DEV, TEST)):
        write("de", page, paragraph("par_1", f"Das ist {number}. Es ist {number}."))
        folder = write("en-US", page, paragraph("par_1", f"This is {number}. It is {number}."))
    bitext = libreoffice.bitext(folder, "de")
    assert bitext.name == "libreoffice-de-en"
    for part, numbers in (
        (bitext.train, sorted((0, 1), key=(TRAIN, TRAIN2).__getitem__)),
        (bitext.dev, [2]),
        (bitext.test, [3]),
    ):
        assert part == [
            pair
            for n in numbers
            for pair in [(f"Das ist {n}.", f"This is {n}."), (f"Es ist {n}.", f"It is {n}.")]
        ]


def test_a_text_that_pages_share_is_in_one_part_only(write):
    for page in (TRAIN, TEST):
        write("de", page, paragraph("par_1", "Siehe auch dort."), paragraph("par_2", f"Die Seite {page}"))
        folder = write(
            "en-US", page, paragraph("par_1", "See also there."), paragraph("par_2", f"The page {page}")
        )
    bitext = libreoffice.bitext(folder, "de")
    assert ("Siehe auch dort.", "See also there.") in bitext.train + bitext.test
    assert len(bitext.train + bitext.test) == 3


def test_a_page_that_english_lacks_is_passed_over(write):
    write("de", TRAIN, paragraph("par_1", "das ist eins"))
    write("de", TRAIN2, paragraph("par_1", "das ist zwei"))
    folder = write("en-US", TRAIN2, paragraph("par_1", "this is two"))
    assert texts(libreoffice.bitext(folder, "de")) == [("das ist zwei", "this is two")]


def test_what_cannot_be_read_is_refused(write, tmp_path):
    with pytest.raises(DataError, match=r"de.text: there is no such folder") as caught:
        libreoffice.bitext(tmp_path, "de")
    assert caught.value.hint == "hardpp data fetch libreoffice-help"
    write("de", TRAIN)
    folder = write("en-US", TRAIN)
    (folder / libreoffice.FOLDER / "de/text" / TRAIN).write_bytes(b"<p>\xff")
    with pytest.raises(DataError, match=r"\.html:1: not UTF-8 \(byte 4 of the file\)"):
        libreoffice.bitext(folder, "de")
