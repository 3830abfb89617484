import pytest

from hardpp.data.transduction import iwslt
from hardpp.errors import DataError, UsageError

HEAD = "<url>http://x</url>\n<keywords>a, b</keywords>\n<speaker>N. N.</speaker>\n<talkid>1</talkid>\n"
TITLES = {
    "de": "<title>Titel</title>\n<description>Kurz</description>\n",
    "en": "<title>Title</title>\n<description>Short</description>\n",
}


def xml(language, *segments, talk="1", numbers=None):
    kind = "srcset" if language == "de" else "refset"
    lines = [
        f'<seg id="{number}"> {text} </seg>'
        for number, text in zip(numbers or range(1, 99), segments, strict=False)
    ]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<mteval>\n<{kind} setid="x" srclang="german">\n'
        f'<doc docid="{talk}" genre="lectures">\n<title>T</title>\n'
        + "\n".join(lines)
        + f"\n</doc>\n</{kind}>\n</mteval>\n"
    )


@pytest.fixture
def raw(tmp_path):
    """A folder of talks; files can be given other contents, or None for no file."""

    def raw(**files):
        contents = {}
        for language, word in (("de", "Satz"), ("en", "sentence")):
            body = "".join(f" {word} {number} \n" for number in range(44))
            contents[f"train.tags.de-en.{language}"] = HEAD + TITLES[language] + body
            for name in ("IWSLT14.TED.dev2010", "IWSLT14.TEDX.dev2012"):
                contents[f"{name}.de-en.{language}.xml"] = xml(language, f"{word} of {name}")
        contents |= {name.replace("__", "-").replace("_", "."): content for name, content in files.items()}
        for name, content in contents.items():
            if content is not None:
                (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return raw


def test_talks_are_split_as_fairseq_does(raw):
    folder = raw()
    assert iwslt.is_raw(folder)
    bitext = iwslt.bitext(folder)
    pairs = [("Titel", "Title"), ("Kurz", "Short"), *((f"Satz {n}", f"sentence {n}") for n in range(44))]
    assert bitext.name == "iwslt-de-en"
    assert bitext.dev == [pairs[22], pairs[45]]
    assert bitext.train == pairs[:22] + pairs[23:45]
    assert bitext.test == [
        ("Satz of IWSLT14.TED.dev2010", "sentence of IWSLT14.TED.dev2010"),
        ("Satz of IWSLT14.TEDX.dev2012", "sentence of IWSLT14.TEDX.dev2012"),
    ]


def test_the_direction_can_be_turned(raw):
    bitext = iwslt.bitext(raw(), source="en", target="de")
    assert bitext.name == "iwslt-en-de"
    assert bitext.train[0] == ("Title", "Titel")
    with pytest.raises(UsageError, match="not in 'fr'"):
        iwslt.bitext(raw(), source="fr")


def body(*lines):
    return HEAD + "".join(f"{line}\n" for line in lines) + "".join(f"x {n}\n" for n in range(25))


def test_metadata_may_differ_between_the_sides(raw):
    german = body(
        '<reviewer href="x">N. N.</reviewer>', "<translator>M. M.</translator>", "Eins", "Zwei\u2028 drei"
    )
    bitext = iwslt.bitext(
        raw(train_tags_de__en_de=german, train_tags_de__en_en=body("One", "Two\u2028 three"))
    )
    assert bitext.train[:2] == [("Eins", "One"), ("Zwei\u2028 drei", "Two\u2028 three")]


def test_entities_become_characters_and_other_ampersands_stay(raw):
    files = {
        "train_tags_de__en_de": body("R&D &amp; &lt;b&gt;", "5 < 6 > 4"),
        "train_tags_de__en_en": body("R&D &quot;x&#39; &nosuch;", "a <i>b</i>"),
        "IWSLT14_TED_dev2010_de__en_de_xml": xml("de", "Guten Tag &amp; danke.", "zweitens\n  dies"),
        "IWSLT14_TED_dev2010_de__en_en_xml": xml("en", "It\u2019s good &amp; thanks.", "second\n\tthis"),
    }
    bitext = iwslt.bitext(raw(**files))
    assert bitext.train[:2] == [("R&D & <b>", "R&D \"x' &nosuch;"), ("5 < 6 > 4", "a <i>b</i>")]
    assert bitext.test[:2] == [
        ("Guten Tag & danke.", "It's good & thanks."),
        ("zweitens dies", "second this"),
    ]


def test_unequal_numbers_of_texts_are_refused(raw):
    folder = raw(train_tags_de__en_de=body("Eins", "Zwei"), train_tags_de__en_en=body("One"))
    with pytest.raises(DataError, match=r"\.de has 27 lines of text but .*\.en has 26$"):
        iwslt.bitext(folder, on_bad="skip")
    files = {
        "IWSLT14_TED_dev2010_de__en_de_xml": xml("de", "eins", "zwei"),
        "IWSLT14_TED_dev2010_de__en_en_xml": xml("en", "one"),
    }
    with pytest.raises(DataError, match=r"de\.xml has 2 lines of text but .*en\.xml has 1$"):
        iwslt.bitext(raw(**files, train_tags_de__en_de=body("a"), train_tags_de__en_en=body("a")))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"talk": "2"}, "segment 1 of talk 1 where .* has segment 1 of talk 2"),
        ({"numbers": [1, 3]}, "segment 2 of talk 1 where .* has segment 3 of talk 1"),
    ],
)
def test_segments_that_do_not_fit_together_are_refused(raw, other, message):
    files = {
        "IWSLT14_TED_dev2010_de__en_de_xml": xml("de", "eins", "zwei"),
        "IWSLT14_TED_dev2010_de__en_en_xml": xml("en", "one", "two", **other),
    }
    with pytest.raises(DataError, match=rf"de\.xml has {message}$"):
        iwslt.bitext(raw(**files))


def test_bad_lines_are_named_by_their_place_in_the_file(raw):
    files = {
        "train_tags_de__en_de": body("Eins", "", "Drei"),
        "train_tags_de__en_en": body("One", "Two", "Three"),
    }
    folder = raw(**files)
    with pytest.raises(DataError) as caught:
        iwslt.bitext(folder)
    assert str(caught.value) == f"{folder}/train.tags.de-en.de:6: empty line"
    told = []
    bitext = iwslt.bitext(folder, on_bad="skip", report=told.append)
    assert bitext.train[:2] == [("Eins", "One"), ("Drei", "Three")]
    files = tuple(folder / f"train.tags.de-en.{side}" for side in ("de", "en"))
    assert bitext.places["train"][:2] == [tuple((file, number) for file in files) for number in (5, 7)]
    left_out = f"left out: {folder}/train.tags.de-en.de:6: empty line"
    assert told == [f"{folder}: from de to en", left_out]


def test_an_empty_segment_is_named_by_its_line(raw):
    files = {
        "IWSLT14_TED_dev2010_de__en_de_xml": xml("de", "eins", ""),
        "IWSLT14_TED_dev2010_de__en_en_xml": xml("en", "one", "two"),
    }
    with pytest.raises(DataError, match=r"IWSLT14\.TED\.dev2010\.de-en\.de\.xml:7: empty line$"):
        iwslt.bitext(raw(**files))


def test_what_is_missing_is_refused(raw, tmp_path):
    (tmp_path / "none").mkdir()
    assert not iwslt.is_raw(tmp_path / "none")
    with pytest.raises(DataError, match=r"there is no train\.tags file"):
        iwslt.bitext(tmp_path / "none")
    with pytest.raises(DataError, match="fewer than 23 pairs to train on"):
        iwslt.bitext(raw(train_tags_de__en_de="a\n", train_tags_de__en_en="x\n"))
    folder = raw()
    for path in folder.glob("*.xml"):
        path.unlink()
    with pytest.raises(DataError, match="there is no xml file to test on"):
        iwslt.bitext(folder)


def test_a_test_set_in_one_language_is_refused(raw):
    folder = raw()
    (folder / "IWSLT14.TED.dev2010.de-en.en.xml").unlink()
    with pytest.raises(DataError, match=r"IWSLT14\.TED\.dev2010\.de-en\.en\.xml: there is no such file"):
        iwslt.bitext(folder)


def test_several_pairs_of_languages_in_one_folder_are_refused(raw):
    folder = raw(train_tags_fr__en_fr="a\n")
    with pytest.raises(UsageError, match=r"there are several pairs of languages \(de-en, fr-en\)"):
        iwslt.bitext(folder)
