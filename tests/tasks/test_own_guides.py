"""Names of a user's own: how they are found, what a guide's class must be, and what is said if it is not."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from corpora import hardpp, write_corpus
from own_guides import folder_of_modules, write_package
from torch import nn

from hardpp.errors import UsageError
from hardpp.tasks import catalogue
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import has_own_parameters
from hardpp.tasks.listing import list_data, list_guides, list_objectives
from hardpp.tasks.named_classes import code_of, import_class, name_of, offered_alone


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with modules in it that only it leads to."""
    monkeypatch.chdir(tmp_path)
    with folder_of_modules(tmp_path):
        yield tmp_path


def refusal(guide: str, **tables: Any) -> str:
    with pytest.raises(UsageError) as caught:
        resolve([{"guide": guide, "data": {"name": "."}, **tables}])
    return f"{caught.value} {caught.value.hint}"


def made(name: str) -> nn.Module:
    """The guide of that name, for a model that is nothing but a module."""
    spec = catalogue.guide_spec(catalogue.family("alignment"), name)
    parts, description = (
        SimpleNamespace(model=nn.Linear(2, 2)),
        SimpleNamespace(target_vocabulary=["a", "b", "c"]),
    )
    return spec.made(parts, description)


@pytest.mark.parametrize(
    ("guide", "words"),
    [
        (
            "mino:Diagonal",
            "'mino:Diagonal' cannot be imported (ModuleNotFoundError: No module named 'mino'); did",
        ),
        (
            "mino:Diagonal",
            "did you mean 'mine'? looked for in the working folder {folder} and on Python's path (",
        ),
        (
            "mine.deeper:Diagonal",
            "No module named 'mine.deeper'; 'mine' is not a package); did you mean 'mine'?",
        ),
        ("mine:Diagnal", "module mine ({folder}/mine.py) has no 'Diagnal'; did you mean 'Diagonal'?"),
        ("mine:Diagonal.inner", "has no 'Diagonal.inner'"),
        (
            "broken:Diagonal",
            "(ModuleNotFoundError: No module named 'no_such_dependency', {folder}/broken.py:2)",
        ),
        ("leaves:Diagonal", "cannot be imported (SystemExit: 0, {folder}/leaves.py:1)"),
        ("halves:Diagonal", "cannot be imported (SyntaxError: invalid syntax (halves.py, line 1))"),
        ("mine:", "it is not of the form package.module:Class"),
        ("mine.Diagonal", "a class of your own is given as package.module:Class"),
        ("mine:function", "guide 'mine:function' is no class, but function"),
        ("mine:guide", "guide 'mine:guide' is no class, but Diagonal"),
        ("mine:dist", "is no class, but module"),
        ("pathlib:Path", "guide 'pathlib:Path' is no guide: Path is no subclass of torch.nn.Module"),
        ("mine:ForGlimpses", "guide 'mine:ForGlimpses' is for model glimpse or saccader, not alignment"),
        ("mine:Lacking", "there is no need 'enumarable'; did you mean 'enumerable'?"),
        ("__main__:Mine", "__main__:Mine is a class of the script or notebook that named it"),
        ("mine:f.<locals>.Mine", "mine:f.<locals>.Mine was made by a function"),
    ],
)
def test_what_is_no_guide(guide: str, words: str, folder: Path) -> None:
    assert words.format(folder=folder) in refusal(guide)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mine:NeedsWidth", "its constructor needs width"),
        ("mine:Plain", "for_model is a classmethod, for_model(cls, parts, description) -> guide"),
        ("mine:Other", "Other.for_model(parts, description) gives no torch.nn.Module but str"),
        ("mine:Fails", "has no attribute 'no_such_part', {folder}/mine.py:"),
    ],
)
def test_what_cannot_be_made(name: str, words: str, folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        made(name)
    assert words.format(folder=folder) in str(caught.value)


def test_a_class_is_made_for_its_model(folder: Path) -> None:
    assert "symbols" in dict(made("mine:Sized").named_parameters())
    assert made("mine:Sized").symbols.shape == (3,)
    assert made("mine:Diagonal") is not made("mine:Diagonal")
    family = catalogue.family("alignment", {"given": (given := made("mine:Diagonal"))})
    assert catalogue.guide_spec(family, "given").made(None, None) is given


def test_what_it_can_is_seen_and_declared(folder: Path) -> None:
    spec = catalogue.guide_spec(catalogue.family("alignment"), "mine:Diagonal")
    assert spec.summary == "Looks near the diagonal"
    assert spec.trained is None
    model = nn.Linear(1, 1)
    guides = {name: catalogue.Programs(model, made(name)) for name in ("mine:Diagonal", "mine:Nothing")}
    assert [has_own_parameters(programs) for programs in guides.values()] == [True, False]
    assert not has_own_parameters(catalogue.Programs(model, nn.Sequential(model)))
    words = refusal("mine:Diagonal", objective="gumbel")
    assert "gumbel needs relaxable: a {site} is one or the other" in words
    assert resolve([{"guide": "mine:Diagonal", "data": {"name": "."}}]).guide == "mine:Diagonal"


def test_the_working_folder_comes_last_and_only_if_something_is_imported(folder: Path) -> None:
    (folder / "json.py").write_text("raise RuntimeError\n")
    resolve([{"guide": "variational", "data": {"name": "."}}])
    assert str(folder) not in sys.path
    made("mine:Diagonal")
    assert sys.path[-1] == str(folder)
    assert "has no 'Guide'" in refusal("json:Guide")  # of the standard library


def test_a_change_of_code_is_told_from_one_of_words(folder: Path) -> None:
    kind = import_class("guide", "mine:Nothing")
    assert name_of(kind) == name_of(kind()) == "mine:Nothing"
    before, text = code_of(kind), (folder / "mine.py").read_text()
    codes = []
    for number, change in enumerate(
        (("    def __init__", "    # why\n\n    def __init__"), ("= 1.0", "= 2.0"))
    ):
        (folder / f"mine{number}.py").write_text(text.replace(*change))
        codes.append(code_of(import_class("guide", f"mine{number}:Nothing")))
    assert codes[0] == before
    assert codes[1] not in (before, "")
    assert code_of(int) == ""


def test_code_that_a_class_inherits_is_its_own(folder: Path) -> None:
    text = "class Base:\n    width = 1.0\n\n\nclass Mine(Base):\n    pass\n"
    codes = []
    for name, code in (("heir", text), ("heir2", text), ("heir3", text.replace("1.0", "2.0"))):
        (folder / f"{name}.py").write_text(code)
        codes.append(code_of(import_class("guide", f"{name}:Mine")))
    assert codes[0] == codes[1]
    assert codes[2] not in (codes[0], "")


@pytest.fixture
def package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data = write_corpus(folder / "data")
    (folder / "words.py").write_text(
        f"def words():\n    'Words of mine.'\n    return {str(data)!r}\n"
        "def offline():\n    raise ValueError('no network')\ndef lost():\n    return 'nowhere'\n"
    )
    broken = {"broken": "mine:No"}
    write_package(
        folder,
        "plug",
        {
            "hardpp.guides": {
                **{"diagonal": "mine:Diagonal", "glimpses": "mine:ForGlimpses", "prior": "mine:Diagonal"},
                **{"text": "mine:function", "twice": "mine:Diagonal"},
                **broken,
            },
            "hardpp.objectives": {"mine": "hardpp.inference.exact:ExactMarginal", **broken},
            "hardpp.tasks": {"looking": "hardpp.tasks.glimpse.family:GlimpseFamily", **broken},
            "hardpp.datasets": {"mywords": "words:words", "offline": "words:offline", "lost": "words:lost"},
        },
    )
    write_package(folder, "plug2", {"hardpp.guides": {"twice": "mine:Nothing"}})
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_entry_points_are_listed_and_each_fails_alone(package: Path) -> None:
    told: list[str] = []
    rows = {row["guide"]: row["what"] for row in list_guides("alignment", told.append)}
    assert rows["diagonal"] == "Looks near the diagonal ('diagonal' of package plug 1.0)"
    assert {"variational", "prior"} < rows.keys()
    assert not {"glimpses", "text", "broken"} & rows.keys()
    left_out = "".join(f"{line}\n" for line in told)
    assert (
        "left out: guide 'broken' of package plug 1.0 (mine:No) cannot be imported: module mine" in left_out
    )
    assert "left out: guide 'prior' of package plug 1.0: hardpp has a guide of that name" in left_out
    assert "left out: guide 'text' of package plug 1.0: guide 'text' is no class" in left_out
    assert "left out: there is more than one guide 'twice': 'twice' of package plug" in left_out
    assert len(told) == 4
    assert [row["objective"] for row in list_objectives(told.append)][-1] == "mine"
    assert told[4].startswith("left out: objective 'broken' of package plug 1.0")
    assert [row.what for row in list_data(told.append) if row.name == "mywords"] == [
        "Words of mine. ('mywords' of package plug 1.0)"
    ]
    result = hardpp("guides", "--model", "glimpse")
    assert "glimpses" in result.stdout
    assert "left out: guide 'broken' of package plug 1.0" in result.stderr


def test_an_entry_point_that_fails_in_any_way_is_left_out(package: Path) -> None:
    def fails(entry: EntryPoint) -> str:
        if entry.name == "diagonal":
            raise ZeroDivisionError("in the class of somebody else")
        return entry.name

    told: list[str] = []
    names = list(offered_alone("guide", ["prior"], fails, told.append))
    assert "broken" in names
    assert "diagonal" not in names
    what = "left out: guide 'diagonal' of package plug 1.0: ZeroDivisionError: in the class of somebody else"
    assert what in told


def test_entry_points_are_names(package: Path) -> None:
    config = resolve([{"guide": "diagonal", "objective": "elbo", "data": {"name": "mywords"}}])
    assert (config.guide, config.data.name) == ("diagonal", str(package / "data"))
    assert resolve([{"objective": "mine", "data": {"name": "."}}]).guide == "prior"
    assert catalogue.family("looking").name == "glimpse"
    assert [family.name for family in catalogue.families()] == [*catalogue.FAMILIES, "glimpse"]
    assert "did you mean 'diagonal'?" in refusal("diagnal")
    assert "guide 'broken' of package plug 1.0 (mine:No) cannot be imported" in refusal("broken")
    assert "more than one guide 'twice'" in refusal("twice")
    assert "is for model glimpse or saccader, not alignment" in refusal("glimpses")
    assert "did you mean 'mywords'?" in refusal("prior", data={"name": "mywrds"})
    assert "data set 'offline' of package plug 1.0 cannot be had (ValueError: no network)" in refusal(
        "prior", data={"name": "offline"}
    )
    assert "'lost' of package plug 1.0: there is no file or folder 'nowhere'" in refusal(
        "prior", data={"name": "lost"}
    )
    assert "model 'broken' of package plug 1.0" in refusal("prior", model="broken")
