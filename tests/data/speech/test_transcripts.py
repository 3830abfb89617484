from pathlib import Path

import pytest
from speech_files import noise, write_riff

from hardpp.data.parts import PARTS, bucket
from hardpp.data.speech.corpora import SpeechOptions, corpus
from hardpp.data.speech.own_recordings import Parts, find, split
from hardpp.data.speech.spoken import Reading
from hardpp.data.speech.transcripts import is_plain_list, read_list, read_sounds
from hardpp.errors import DataError

pytest.importorskip("soundfile")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))


def recordings(path: Path) -> Parts:
    found = find(path, Reading())
    assert found is not None
    return split(found, path)


def write_list(path: Path, count: int, first: int = 0, more: str = "") -> Path:
    """A list of sounds of 0.2 s and more in wav/ beside it; in each its number is said, bit by bit."""
    lines = []
    for number in range(first, first + count):
        write_riff(path.parent / "wav" / f"{number}.wav", noise(3200 + number, seed=number))
        lines.append(f"wav/{number}.wav\t{' '.join('one' if bit == '1' else 'o' for bit in f'{number:b}')}")
    path.write_text("\n".join(lines) + "\n" + more)
    return path


def write_lists(folder: Path) -> Path:
    folder.mkdir()
    for number, part in enumerate(PARTS):
        write_list(folder / f"{part}.tsv", 3, first=10 * number)
    return folder


def test_a_folder_of_three_lists(tmp_path: Path) -> None:
    folder = write_lists(tmp_path / "mine")
    assert not is_plain_list(folder)
    parts = recordings(folder)
    assert [one.name for one in parts["dev"]] == ["wav/10.wav", "wav/11.wav", "wav/12.wav"]
    first = parts["dev"][0]
    assert (first.tokens, first.segments) == (("one", "o", "one", "o"), ())
    assert first.sound.read().shape == (3210,)
    found = corpus(str(folder))
    assert found.name == "mine"
    assert [len(part) for part in (found.train, found.dev, found.test)] == [3, 3, 3]
    assert found.dev[0].tokens == first.tokens
    assert found.folding == {}
    assert found.normalisation is not None
    assert found.train[0].read().shape[-1] == 3 * 123


def test_one_list_is_split_by_its_paths(tmp_path: Path) -> None:
    path = write_list(tmp_path / "all.tsv", 60)
    assert is_plain_list(path)
    parts = recordings(path)
    names = {part: [one.name for one in found] for part, found in parts.items()}
    every = [name for part in PARTS for name in names[part]]
    assert sorted(every) == sorted(f"wav/{number}.wav" for number in range(60))
    assert all(bucket(name) == 0 for name in names["test"])
    assert all(bucket(name) == 1 for name in names["dev"])
    assert corpus(str(path)).name == "all"
    message = r"few.tsv: the .* parts are empty after splitting 2 recordings by checksum of the name"
    with pytest.raises(DataError, match=message):
        recordings(write_list(tmp_path / "few.tsv", 2))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("wav/0.wav one", "1 columns found where SOUND and TOKENS are wanted"),
        ("wav/0.wav\tone\ttwo", "3 columns found"),
        ("wav/0.wav\t ", "no tokens"),
        ("\tone", "no sound"),
        ("", "empty line"),
        ("wav/none.wav\tone", "none.wav: there is no such sound file"),
        ("wav/text.wav\tone", "text.wav: not RIFF"),
        ("wav/0.wav\tone", "wav/0.wav is there already"),
        ("wav/../wav/0.wav\tone", "wav/../wav/0.wav is there already"),
    ],
)
def test_bad_lines_are_named_or_left_out(tmp_path: Path, line: str, why: str) -> None:
    path = write_list(tmp_path / "a.tsv", 3, more=line + "\n")
    (tmp_path / "wav" / "text.wav").write_text("no sound")
    with pytest.raises(DataError) as caught:
        read_list(path)
    assert str(caught.value).startswith(f"{path}:4: ")
    assert why in str(caught.value)
    told: list[str] = []
    assert len(read_list(path, "skip", told.append)) == 3
    assert why in told[0]


def test_bad_lines_of_a_corpus(tmp_path: Path) -> None:
    folder = write_lists(tmp_path / "mine")
    dev = folder / "dev.tsv"
    whole = dev.read_text()
    dev.write_text(whole + "wav/99.wav\tone\n")
    with pytest.raises(DataError, match=r"dev.tsv:4: .*99.wav: there is no such sound file"):
        corpus(str(folder))
    assert len(corpus(str(folder), SpeechOptions(on_bad="skip")).dev) == 3
    dev.write_text(whole + "wav/20.wav\tone\n")
    with pytest.raises(DataError, match=r"mine: wav/20.wav is in dev and in test"):
        corpus(str(folder))
    dev.write_text(f"{whole}{folder}/wav/20.wav\tone\n")
    with pytest.raises(DataError, match=r"20.wav is in dev and in test"):
        corpus(str(folder))


def test_a_list_of_nothing_but_sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_list(tmp_path / "a.tsv", 2)
    path = tmp_path / "sounds.txt"
    path.write_text("wav/1.wav\nwav/0.wav\n")
    monkeypatch.chdir(tmp_path)
    assert [(one.name, one.tokens) for one in read_sounds(path)] == [("wav/1.wav", ()), ("wav/0.wav", ())]
    path.write_text("wav/1.wav\n\nwav/7.wav\nwav/8.wav\n")
    with pytest.raises(DataError, match=r"sounds.txt:3: .*no such sound file \(and 1 more bad line: 4\)"):
        read_sounds(path)


def test_what_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("What is this?\n")
    with pytest.raises(DataError, match="neither TIMIT nor lists of recordings"):
        corpus(str(tmp_path))
    with pytest.raises(DataError, match=r"a\.txt: no list of recordings"):
        corpus(str(tmp_path / "a.txt"))
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(DataError, match="the file is empty"):
        recordings(tmp_path / "empty.tsv")


@pytest.fixture
def holed(tmp_path: Path) -> Path:
    """A folder with a sound, something that is none, one of a kind that is not read, and a list."""
    folder = tmp_path / "holed"
    for name in ("a.wav", "c.wav"):
        write_riff(folder / name, noise(3200))
    (folder / "b.wav").write_text("no sound")
    (folder / "d.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    (folder / "in.txt").write_text("a.wav\nb.wav\n\nnone.wav\nc.wav\n")
    return folder


def test_sounds_that_cannot_be_used_stop_or_leave_their_place_empty(holed: Path) -> None:
    told: list[str] = []
    with pytest.raises(DataError, match=r"b\.wav: not RIFF"):
        read_sounds(holed)
    with pytest.raises(DataError, match=r"in\.txt:2: .*b\.wav: not RIFF.* \(and 1 more bad line: 4\)"):
        read_sounds(holed / "in.txt")
    found = read_sounds(holed, "skip", told.append)
    assert [one and one.name for one in found] == ["a.wav", None, "c.wav"]
    assert told[0].startswith(f"left out: {holed / 'b.wav'}: not RIFF")
    found = read_sounds(holed / "in.txt", "skip", told.append)
    assert [one and one.name for one in found] == ["a.wav", None, None, None, "c.wav"]


def test_sounds_of_kinds_that_are_not_read_are_told_of(holed: Path) -> None:
    told: list[str] = []
    (holed / "b.wav").unlink()
    assert len(read_sounds(holed, report=told.append)) == 2
    assert told == [
        f"warning: {holed / 'd.m4a'}: left out, as sound of this kind is not read; convert it to FLAC"
    ]
    for name in ("a.wav", "c.wav"):
        (holed / name).unlink()
    with pytest.raises(DataError, match="no sound file") as error:
        read_sounds(holed)
    assert "d.m4a" in error.value.hint


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_lists_as_spreadsheets_write_them(tmp_path: Path, encoding: str) -> None:
    for name in ("a.wav", "b.wav"):
        write_riff(tmp_path / name, noise(3200))
    path = tmp_path / "list.tsv"
    path.write_bytes("a.wav\tone \u200btwo\r\n\u200eb.wav\tone\r\n".encode(encoding))
    found = find(path, Reading())
    assert isinstance(found, list)
    assert [(one.name, one.tokens) for one in found] == [("a.wav", ("one", "two")), ("b.wav", ("one",))]
    assert [one and one.name for one in read_sounds(path)] == ["a.wav", "b.wav"]
