import pytest

from hardpp.data.transduction.list_parts import list_parts, parts_beside, sets_in
from hardpp.data.transduction.own_files import has_sentences, in_parts, is_beginning, layout
from hardpp.data.transduction.pair_lists import ListOfPairs
from hardpp.errors import DataError, UsageError


def make(folder, *names, content="ab\tX Y\n"):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("train.tsv", "dev.tsv", "test.tsv"),
        ("train.csv", "valid.csv", "test.csv"),
        ("Train.txt", "validation.txt", "Test.txt"),
        ("train", "dev", "test"),
        ("training.dict", "val.dict", "testing.dict"),
        ("wel_sw_train.tsv", "wel_sw_dev.tsv", "wel_sw_test.tsv"),
        ("deu.trn", "deu.dev", "deu.tst"),
        ("train.tsv.gz", "dev.tsv.gz", "test.tsv"),
    ],
)
def test_parts_are_told_by_usual_names(tmp_path, names):
    folder = make(tmp_path / "d", *names, "README.md", "notes.txt")
    assert [path.name for path in list_parts(folder).values()] == list(names)
    assert layout(folder) == "lists"
    assert in_parts(folder)
    assert ListOfPairs().bitext(folder).dev == [("ab", "X Y")] or names[0].endswith("gz")


def test_several_lists_in_a_folder_are_told_apart_by_how_their_names_begin(tmp_path):
    names = [f"{name}.{part}" for name in ("deu", "eng") for part in ("trn", "dev", "tst", "covered.tst")]
    folder = make(tmp_path / "d", *names)
    with pytest.raises(UsageError, match="train parts of 2 lists") as caught:
        list_parts(folder)
    assert f"{folder}/deu, {folder}/eng" in caught.value.hint
    assert [path.name for path in list_parts(folder / "eng").values()] == ["eng.trn", "eng.dev", "eng.tst"]
    assert is_beginning(folder / "eng")
    assert not is_beginning(folder / "fra")
    assert layout(folder / "eng") == "lists"
    assert sets_in(folder / "fra") == list_parts(folder / "fra") == {}


def test_a_test_part_without_targets_is_none_and_the_dev_part_stands_in(tmp_path):
    told = []
    folder = make(tmp_path / "d", "deu.trn", "deu.dev", "deu.covered.tst")
    assert list_parts(folder, told.append)["test"].name == "deu.dev"
    assert "no test part with targets" in told[0]
    assert told[0].startswith("warning: ")


def test_pairs_are_read_rather_than_words_alone(tmp_path):
    folder = make(tmp_path / "d", "ady_train.tsv", "ady_dev.tsv", "ady_test.tsv", "ady_test.txt")
    assert list_parts(folder)["test"].name == "ady_test.tsv"


def test_missing_parts_are_named(tmp_path):
    folder = make(tmp_path / "d", "dev.tsv")
    with pytest.raises(DataError, match=r"the folder lacks train\.tsv, test\.tsv"):
        list_parts(folder)
    make(folder, "deu.trn")
    with pytest.raises(DataError, match="the folder lacks dev, test"):
        list_parts(folder / "deu")


def test_a_train_part_is_known_by_the_files_beside_it(tmp_path):
    folder = make(tmp_path / "d", "deu.trn", "deu.dev", "deu.tst", "train.tsv")
    assert parts_beside(folder / "deu.trn") == folder / "deu"
    assert parts_beside(folder / "train.tsv") is None
    make(folder, "dev.tsv", "test.tsv")
    assert parts_beside(folder / "train.tsv") == folder
    assert parts_beside(folder / "dev.tsv") is None


def test_parallel_text_is_told_from_lists_that_are_called_alike(tmp_path):
    lists = make(tmp_path / "a", "words.lex", "words.abc", content="ab\tX\n" * 3)
    texts = make(tmp_path / "b", "texts.de", "texts.en", content="ein haus\n" * 3)
    bars = make(tmp_path / "c", "texts.txt", content="ein haus ||| a house\n" * 3)
    parts = make(tmp_path / "e", "train.de", "train.en", "train.txt")
    assert layout(lists / "words.lex") == layout(lists / "words.abc") == "lists"
    assert layout(texts / "texts.de") == layout(texts / "texts") == layout(parts) == "parallel"
    assert layout(texts / "texts.de", "tsv") == "lists"
    assert layout(bars / "texts.txt", "parallel") == "parallel"
    said = [has_sentences(path) for path in (lists / "words.lex", texts / "texts", bars / "texts.txt", parts)]
    assert said == [False, True, True, True]
    assert not has_sentences(tmp_path / "nothing")
