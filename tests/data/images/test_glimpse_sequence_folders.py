from pathlib import Path

import pytest
from glimpse_files import HEADER
from hypothesis import given
from hypothesis import strategies as st

from hardpp.data import atomic_files
from hardpp.data.images.glimpse_sequence_folders import export_folder, import_folder
from hardpp.data.images.glimpse_sequences import GlimpseSequences
from hardpp.errors import DataError, ResourceError, UsageError

NAMES = [f"images/{index % 2}/bird_{index}.jpg" for index in range(12)]
START = st.sampled_from(HEADER.starts)
CORNERS = st.lists(st.tuples(START, START), min_size=2, max_size=2)


def folder(tmp_path: Path, **files: str) -> Path:
    """A folder of files, by their names without .txt."""
    (tmp_path / "published").mkdir()
    for name, content in files.items():
        (tmp_path / "published" / f"{name}.txt").write_text(content)
    return tmp_path / "published"


@given(st.dictionaries(st.sampled_from(NAMES), CORNERS, min_size=1, max_size=3))
def test_what_is_exported_is_imported(
    tmp_path_factory: pytest.TempPathFactory, places: dict[str, list[tuple[int, int]]]
) -> None:
    path = tmp_path_factory.mktemp("exported") / "sequences"
    export_folder(GlimpseSequences(Path("mine.txt"), HEADER, places, {}), path, NAMES)
    found = import_folder(path, HEADER, NAMES)
    assert (found.path, found.header, found.places) == (path, HEADER, places)
    assert list(found.places) == sorted(places, key=NAMES.index)
    for name, place in found.where.items():
        assert place == (path / f"{NAMES.index(name)}.txt", 1)


def test_files_as_they_are_published(tmp_path: Path) -> None:
    faces = {"3": "0, 8\n4, 4\n", "img_10": "8,0\r\n 8 , 0"}
    birds = {"004": "0, 0\n0, 0\ndata/birds/train/images/119.png", "5": "4, 4\n8, 8\nx/1/bird_5.jpg\n"}
    path = folder(tmp_path, **faces, **birds)
    (path / ".3.txt").write_text("hidden")
    (path / "3.log").write_text("other")
    assert import_folder(path, HEADER, NAMES).places == {
        NAMES[3]: [(0, 8), (4, 4)],
        NAMES[4]: [(0, 0), (0, 0)],
        NAMES[5]: [(4, 4), (8, 8)],
        NAMES[10]: [(8, 0), (8, 0)],
    }


def test_the_text_of_files_is_as_it_is_published(tmp_path: Path) -> None:
    export_folder(GlimpseSequences(Path(), HEADER, {NAMES[7]: [(0, 8), (4, 4)]}, {}), tmp_path / "a", NAMES)
    assert [(file.name, file.read_text()) for file in (tmp_path / "a").iterdir()] == [
        ("7.txt", "0, 8\n4, 4\n")
    ]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("0, 8\n4, 9\n", 2, "the patch at 4,9 is not within an image of 12 pixels a side"),
        ("0, 7\n4, 4\n", 1, "0,7 is not on the grid of 3 places a side from 0 to 8"),
        ("0, 8\n", 1, "has 1 places, and 2 are wanted"),
        ("0, 8\n4, 4\n0, 0\n", 3, "has 3 places, and 2 are wanted"),
        ("0, 8\nx/bird.jpg\n", 2, "has 1 places, and 2 are wanted"),
        ("0, 8\n4, 4\n0, 0\nx/bird.jpg\n", 4, "has 3 places, and 2 are wanted"),
        (
            "0, 8\n4, 4\nx/bird_4.jpg\n",
            3,
            "'x/bird_4.jpg' is the path of images/0/bird_4.jpg, and by its name",
        ),
        ("x/bird.jpg\n0, 8\n4, 4\n", 1, "'x/bird.jpg' is no place"),
        ("0; 8\n4, 4\n", 1, "'0; 8' is no place"),
        ("0, 8\n4, -4\n", 2, "'4, -4' is neither a place ROW, COLUMN nor the path of a picture"),
        ("0, 8\n\n4, 4\n", 2, "empty line"),
        ("0, 8\n4, 4\0\n", 2, "holds a NUL character"),
        ("0, 8\n4, 4\n\n", 3, "empty line"),
    ],
)
def test_what_is_wrong_is_refused_by_file_and_line(
    tmp_path: Path, content: str, line: int, message: str
) -> None:
    path = folder(tmp_path, **{"2": "0, 8\n4, 4\n", "5": content})
    with pytest.raises(DataError, match=f"^{path}/5.txt:{line}: {message}"):
        import_folder(path, HEADER, NAMES)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"5": ""}, r"/5\.txt: the file is empty"),
        ({"12": "0, 8\n4, 4\n"}, r"/12\.txt: there is no image 12, and train has 0 to 11"),
        (
            {"3": "0, 8\n4, 4\n", "img_3": "0, 8\n4, 4\n"},
            r"/img_3\.txt: image 3 has a sequence in 3\.txt already",
        ),
        ({}, r": there are no files NUMBER\.txt"),
        ({"3": "0, 8\n4, 4\n", "README": "none"}, r"/README\.txt: the name has no number of an image"),
    ],
)
def test_wrong_folders_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    path = folder(tmp_path, **files)
    with pytest.raises(DataError, match=f"^{path}{message}"):
        import_folder(path, HEADER, NAMES)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: cannot be read"):
        import_folder(tmp_path / "none", HEADER, NAMES)


def test_a_folder_is_written_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = GlimpseSequences(Path("mine.txt"), HEADER, {name: [(0, 0), (0, 0)] for name in NAMES}, {})
    with pytest.raises(DataError, match=r"^mine\.txt: there is no image 'images/1/bird_11\.jpg' in train"):
        export_folder(sequences, tmp_path / "a", NAMES[:11])
    (tmp_path / "b").mkdir()
    with pytest.raises(UsageError, match="b exists already"):
        export_folder(sequences, tmp_path / "b", NAMES)

    def fail(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "_sync_tree", fail)
    with pytest.raises(ResourceError, match="c cannot be written: No space left"):
        export_folder(sequences, tmp_path / "c", NAMES)
    assert [entry.name for entry in tmp_path.iterdir()] == ["b"]
