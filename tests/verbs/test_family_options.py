"""What families declare is in the help of the verbs, and a family that is added changes no verb."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from corpora import succeed

from hardpp.tasks.alignment.family import AlignmentFamily
from hardpp.tasks.catalogue import FAMILIES, family
from hardpp.tasks.family import AlignmentForm

SECTIONS = [
    ("train", "Data", "layouts"),
    ("train", "Presets", "presets"),
    ("evaluate", "Figures", "figures"),
    ("align", "Forms", "alignment_forms"),
]


class Toy(AlignmentFamily):
    name = "toy"
    data_sets = ("blocks",)
    layouts: ClassVar[Mapping[str, str]] = {"FILE.toy": "a toy a line"}
    figures: ClassVar[Mapping[str, str]] = {"fun": "toys that are liked"}
    alignment_forms: ClassVar[Mapping[str, AlignmentForm]] = {"boxes": AlignmentForm("the box of every toy")}


def section(text: str, title: str) -> str:
    """The lines below a title, as one line without the blanks between words."""
    found = re.search(rf"^{re.escape(title)}:\n((?:  .*\n?)+)", text, re.MULTILINE)
    assert found, f"no section {title!r}"
    return "".join(found[1].split())


def shown(rows: dict[str, str]) -> list[str]:
    return ["".join(f"{name}{what}".split()) for name, what in rows.items()]


def help_of(verb: str, model: str, folder: Path) -> str:
    """The help of a verb about a model, which it is told by a run folder or by its name."""
    if verb == "train":
        return succeed("train", "--model", model, "--help")
    (folder / "config.toml").write_text(f'model = "{model}"\n')
    return succeed(verb, folder, "--help")


@pytest.mark.parametrize(("verb", "title", "declared"), SECTIONS)
@pytest.mark.parametrize("name", FAMILIES)
def test_help_ends_with_what_a_family_declares(
    name: str, verb: str, title: str, declared: str, tmp_path: Path
) -> None:
    rows = {key: getattr(what, "summary", what) for key, what in getattr(family(name), declared).items()}
    if not rows and declared == "alignment_forms":
        pytest.skip("codes of images are at no place")
    assert rows, f"{name} declares no {declared}"
    for text in (help_of(verb, name, tmp_path), succeed("models", name)):
        contents = section(text, f"{title} ({name})")
        assert all(row in contents for row in shown(rows))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_names_of_data_sets_and_guides_are_listed(name: str, tmp_path: Path) -> None:
    text = help_of("train", name, tmp_path)
    assert all(data in section(text, f"Data ({name})") for data in family(name).data_sets)
    assert all(guide in section(text, f"Guides ({name})") for guide in family(name).guides)


def test_programs_are_given_settings_alone() -> None:
    rows = json.loads(succeed("models", "alignment", "--format", "json"))
    assert all(set(row) == {"setting", "value", "what"} for row in rows)


def test_a_family_that_is_added_is_in_the_help_of_unchanged_verbs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(FAMILIES, "toy", Toy)
    assert section(help_of("train", "toy", tmp_path), "Data (toy)") == "anameblocksFILE.toyatoyaline"
    assert section(help_of("evaluate", "toy", tmp_path), "Figures (toy)") == "funtoysthatareliked"
    assert "\n  toy " in succeed("evaluate", "--help")
    assert "caption, toy" in " ".join(succeed("train", "--help").split())
    text = succeed("align", "--help")
    assert section(text, "Forms (toy)") == "boxestheboxofeverytoy"
    assert "ctm-intervals|boxes]" in text
    assert "Data (toy)" not in text
