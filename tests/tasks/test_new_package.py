"""`hardpp new`: packages whose own tests pass at once, and whose guide trains."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from corpora import fail, metrics, succeed, train_command, write_corpus

from hardpp.tasks.new_package import KINDS, class_name, suggested


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    for kind in KINDS:
        written = succeed("new", kind, f"novel_{kind}", "--out", folder).splitlines()
        assert set(map(Path, written)) == set((folder / f"novel_{kind}").rglob("*.*"))
    return folder


def test_the_tests_of_new_packages_pass(packages: Path) -> None:
    # In one process, as most of the time is imports; packages are made so that each runs alone, too.
    paths = [str(packages / f"novel_{kind}") for kind in KINDS]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--import-mode=importlib", "-W", "error"]
    code = f"import sys, pytest; sys.path[:0] = {paths!r}; sys.exit(pytest.main({[*options, *paths]!r}))"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "5 passed" in ran.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_package_says_of_itself(packages: Path, kind: str) -> None:
    name = f"novel_{kind}"
    folder = packages / name
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {"guide": "hardpp.guides", "objective": "hardpp.objectives", "model": "hardpp.tasks"}
    (target,) = project["project"]["entry-points"][groups[kind]].values()
    module, _, attribute = target.partition(":")
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == [f"{module}.py"]
    assert f"class {attribute}(" in (folder / f"{module}.py").read_text(encoding="utf-8")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert all(words in readme for words in (f"hardpp check {kind} {target}", f"--{kind} {target}"))
    assert f"hardpp plot runs/{name} --trust" in readme
    assert not any("$" in path.read_text(encoding="utf-8") for path in folder.rglob("*.*") if path.is_file())


def test_the_guide_trains(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(packages / "novel_guide")
    data, run = write_corpus(tmp_path / "data"), tmp_path / "run"
    guide = ["--guide", "novel_guide:NovelGuide"]
    succeed(*train_command(data, run, *guide, "--objective", "elbo", "--max-steps", "2"))
    assert metrics(run)[-1]["step"] == 2
    assert "--trust" in fail(4, "align", run)
    assert succeed("align", run, "--trust", "--limit", "1").count("\t") > 5


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "novel").mkdir()
    (tmp_path / "novel" / "mine.py").write_text("x = 1\n")
    assert f"{tmp_path / 'novel'} exists already" in fail(2, "new", "guide", "novel", "--out", tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["novel", "mine.py"]


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("My-Guide", "my_guide"),
        ("MonotoneGuide", "monotone_guide"),
        ("2nd", "my_2nd"),
        ("class", "my_class"),
        ("über", "ber"),
        ("--", "my_guide"),
        ("json", "my_json"),
        ("hardpp", "my_hardpp"),
        ("../up", "up"),
    ],
)
def test_a_name_that_is_none_is_refused_with_one_that_is(tmp_path: Path, name: str, instead: str) -> None:
    message = fail(2, "new", "--out", tmp_path, "guide", "--", name)
    assert f"for example {instead}\n" in message
    assert list(tmp_path.iterdir()) == []
    assert suggested("guide", instead) == instead


def test_a_kind_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "is not one of 'guide', 'objective', 'model'" in fail(2, "new", "data", "novel")


def test_names_of_classes() -> None:
    names = {"monotone": "Monotone", "offset_of_prior": "OffsetOfPrior", "_x": "X"}
    assert {name: class_name(name) for name in names} == names
