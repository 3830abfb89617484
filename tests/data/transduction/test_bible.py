import sqlite3

import pytest

from hardpp.data.parts import bucket
from hardpp.data.transduction import bible
from hardpp.errors import DataError

PART = {0: "test", 1: "dev"}


@pytest.fixture
def write(tmp_path):
    def write(*rows):
        path = tmp_path / bible.MEMBER
        path.parent.mkdir(parents=True)
        database = sqlite3.connect(path)
        database.execute(
            "CREATE TABLE bible (bbName TEXT, bNumber INT, cNumber INT, vNumber INT, vText TEXT)"
        )
        database.executemany("INSERT INTO bible VALUES (?, ?, ?, ?, ?)", rows)
        database.commit()
        database.close()
        return tmp_path

    return write


def chapter_of(part):
    return next(number for number in range(1, 1000) if PART.get(bucket(f"2.{number}"), "train") == part)


def test_verses_are_joined_by_their_numbers_and_other_texts_are_not_read(write):
    chapter = chapter_of("train")
    folder = write(
        ("4", 2, chapter, 2, "God`s second verse"),
        ("4", 2, chapter, 1, "the first verse"),
        ("4", 2, chapter, 3, "only in English"),
        ("l", 2, chapter, 1, " (7:26) le premier verset"),
        ("l", 2, chapter, 2, "le second (ou 7:27) verset"),
        ("s", 2, chapter, 1, "not to be read"),
    )
    for path in (folder, folder / bible.MEMBER):
        bitext = bible.bitext(path, "fr")
        assert bitext.name == "bible-fr-en"
        assert bitext.train == [
            ("le premier verset", "the first verse"),
            ("le second (ou 7:27) verset", "God's second verse"),
        ]


def test_a_chapter_is_never_divided(write):
    chapters = [chapter_of(part) for part in ("train", "dev", "test")]
    numbers = [(chapter, verse) for chapter in chapters for verse in range(1, 6)]
    german = [("e", 2, c, v, f"Kapitel {c} Vers {v}") for c, v in numbers]
    english = [("4", 2, c, v, f"chapter {c} verse {v}") for c, v in numbers]
    bitext = bible.bitext(write(*german, *english), "de")
    for chapter, part in zip(chapters, bitext[1:4], strict=True):
        assert part == [(f"Kapitel {chapter} Vers {v}", f"chapter {chapter} verse {v}") for v in range(1, 6)]


def test_what_cannot_be_read_is_refused(write, tmp_path):
    with pytest.raises(DataError, match=r"bible\.db: there is no such file") as caught:
        bible.bitext(tmp_path, "de")
    assert caught.value.hint == "hardpp data fetch bible"
    folder = write(("4", 1, 1, 1, "the first verse"))
    with pytest.raises(DataError, match=r"bible\.db: holds no verse of the text 'e' \(de\)"):
        bible.bitext(folder, "de")
    (folder / bible.MEMBER).write_bytes(b"no database at all")
    with pytest.raises(DataError, match=r"bible\.db: cannot be read as a database of verses"):
        bible.bitext(folder, "de")
