import pytest

from hardpp.data.parts import bucket
from hardpp.data.transduction import descriptions
from hardpp.errors import DataError

PART = {0: "test", 1: "dev"}


def packages_of(part, count=1):
    names = (f"p{number}" for number in range(10_000))
    return [name for name in names if PART.get(bucket(name), "train") == part][:count]


(TRAIN, TRAIN2), (DEV,), (TEST,) = packages_of("train", 2), packages_of("dev"), packages_of("test")


def stanza(language, package, checksum, synopsis, *lines):
    body = "".join(f" {line}\n" for line in lines)
    return f"Package: {package}\nDescription-md5: {checksum}\nDescription-{language}: {synopsis}\n{body}\n"


@pytest.fixture
def write(tmp_path):
    def write(**stanzas):
        for language, texts in stanzas.items():
            (tmp_path / f"Translation-{language}").write_text("".join(texts), encoding="utf-8")
        return tmp_path

    return write


def test_descriptions_are_joined_by_checksum(write):
    de = [
        stanza("de", TRAIN, "1", "ein kleines Spiel", "Dies ist", "ein Spiel.", ".", "Es ist schön."),
        stanza("de", TRAIN2, "2", "nur auf deutsch"),
    ]
    en = [
        stanza("en", "other", "3", "only in English"),
        stanza("en", TRAIN, "1", "a little game", "This is a", "game.", ".", "It is nice."),
    ]
    bitext = descriptions.bitext(write(de=de, en=en), "de")
    assert bitext.name == "descriptions-de-en"
    assert bitext.train == [
        ("ein kleines Spiel", "a little game"),
        ("Dies ist ein Spiel.", "This is a game."),
        ("Es ist schön.", "It is nice."),
    ]


def test_lines_of_a_list_stand_alone_and_paragraphs_are_cut_into_sentences(write):
    fr = stanza(
        "fr",
        TRAIN,
        "1",
        "un petit jeu",
        "Il est beau. Il est bon.",
        " - trois petits points",
        "et la suite du texte",
    )
    en = stanza(
        "en",
        TRAIN,
        "1",
        "a little game",
        "It is nice. It is good.",
        " - three little dots",
        "and the text goes on",
    )
    assert descriptions.bitext(write(fr=[fr], en=[en]), "fr").train == [
        ("un petit jeu", "a little game"),
        ("Il est beau.", "It is nice."),
        ("Il est bon.", "It is good."),
        ("- trois petits points", "- three little dots"),
        ("et la suite du texte", "and the text goes on"),
    ]


def test_only_the_synopsis_counts_where_paragraphs_differ_in_number(write):
    de = stanza("de", TRAIN, "1", "ein kleines Spiel", "Dies ist gut.", ".", "Das auch.")
    en = stanza("en", TRAIN, "1", "a little game", "This is good and that.")
    assert descriptions.bitext(write(de=[de], en=[en]), "de").train == [
        ("ein kleines Spiel", "a little game")
    ]


def test_a_stanza_without_checksum_or_synopsis_is_passed_over(write):
    de = [
        stanza("de", TRAIN, "1", "ein kleines Spiel"),
        stanza("de", TRAIN, "", "kein Spiel hier"),
        stanza("de", TRAIN, "2", ""),
    ]
    en = [
        stanza("en", TRAIN, "1", "a little game"),
        stanza("en", TRAIN, "", "no game here"),
        stanza("en", TRAIN, "2", "some game here"),
    ]
    assert descriptions.bitext(write(de=de, en=en), "de").train == [("ein kleines Spiel", "a little game")]


def test_a_package_is_never_divided_and_shared_texts_are_in_one_part_only(write):
    packages = [TRAIN, DEV, TEST]
    de = [
        stanza("de", p, p, f"das Paket {p}", f"Der Inhalt von {p}.", ".", "Siehe auch dort.")
        for p in packages
    ]
    en = [
        stanza("en", p, p, f"the package {p}", f"Contents of {p}.", ".", "See also there.") for p in packages
    ]
    bitext = descriptions.bitext(write(de=de, en=en), "de")
    for package, part in zip(packages, bitext[1:4], strict=True):
        assert part[:2] == [
            (f"das Paket {package}", f"the package {package}"),
            (f"Der Inhalt von {package}.", f"Contents of {package}."),
        ]
    assert sum(len(part) for part in bitext[1:4]) == 7


def test_what_cannot_be_read_is_refused(write, tmp_path):
    with pytest.raises(DataError, match="Translation-de: cannot be read") as caught:
        descriptions.bitext(tmp_path, "de")
    assert caught.value.hint == "hardpp data fetch descriptions"
    folder = write(de=[stanza("de", "p", "1", "eins")], en=[stanza("en", "p", "2", "two")])
    with pytest.raises(DataError, match="Translation-de and Translation-en have no description in common"):
        descriptions.bitext(folder, "de")
    (folder / "Translation-en").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"Translation-en: not UTF-8 \(byte 1\)"):
        descriptions.bitext(folder, "de")
