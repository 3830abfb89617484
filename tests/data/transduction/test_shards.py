"""Parts of lists that lie in several files."""

from pathlib import Path

import pytest

from hardpp.data.transduction.own_files import OwnFiles, layout
from hardpp.data.transduction.shards import sharded_parts
from hardpp.errors import DataError

FOLDERS = {
    "numbered": ["train-0.tsv", "train-2.tsv", "train-10.tsv", "dev.tsv", "test.tsv"],
    "of": [
        "train-00000-of-00003.tsv",
        "train-00001-of-00003.tsv",
        "train-00002-of-00003.tsv",
        "dev.txt",
        "test",
    ],
    "folders": ["train/part-0.tsv", "train/part-1.tsv", "train/part-2.tsv", "valid/part-0.tsv", "test/a.tsv"],
    "train alone": ["training_part1", "training_part2", "training_part3", "val.tsv", "test.tsv"],
}


def write(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"s{number}{line}\tt{number}\n" for line in "ab"))
    return folder


@pytest.mark.parametrize("kind", FOLDERS)
def test_they_are_read_as_one(kind: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "data", FOLDERS[kind])
    (folder / "README.md").write_text("of no part")
    found = sharded_parts(folder)
    names = [path.relative_to(folder).as_posix() for part in ("train", "dev", "test") for path in found[part]]
    assert names == FOLDERS[kind]
    assert layout(folder) == "lists"
    bitext = OwnFiles().bitext(folder)
    assert [pair.source for pair in bitext.train] == [
        f"s{number}{line}" for number in range(3) for line in "ab"
    ]
    assert ([pair.target for pair in bitext.dev], len(bitext.test)) == (["t3", "t3"], 2)
    first, last = bitext.places["train"][0][0], bitext.places["train"][-1][0]
    assert (first.path.name, last.number) == (Path(FOLDERS[kind][0]).name, 2)


def test_what_is_in_one_file_is_no_shard(tmp_path: Path) -> None:
    assert sharded_parts(write(tmp_path / "data", ["train.tsv", "dev.tsv", "test.tsv"])) == {}
    assert sharded_parts(tmp_path / "nothing") == {}
    assert sharded_parts(write(tmp_path / "text", ["train.de", "train.en", "wmt-14.tsv"])) == {}


def test_a_part_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has train in several files, and no dev and no test"):
        sharded_parts(write(tmp_path / "data", ["train-0.tsv", "train-1.tsv"]))
