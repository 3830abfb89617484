from pathlib import Path

import pytest
from matplotlib.figure import Figure

from hardpp.diagnostics import plot_fonts
from hardpp.diagnostics.plot_fonts import add_fonts
from hardpp.verbs import output


def figure(text: str) -> Figure:
    made = Figure()
    made.text(0.5, 0.5, text)
    return made


def test_letters_that_the_usual_font_has_change_nothing() -> None:
    made = figure("a dog, собака, σκύλος $x$")
    before = made.texts[0].get_fontfamily()
    assert add_fonts([made]) == ""
    assert made.texts[0].get_fontfamily() == before


def test_an_installed_font_is_put_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"Other": {"狗"}, "Third": {"ก"}}
    monkeypatch.setattr(plot_fonts, "_installed", lambda: [(name, name) for name in asked])
    monkeypatch.setattr(plot_fonts, "_without", lambda signs, path: set(signs) - asked.get(path, {*"adog"}))
    made = figure("a dog 狗")
    assert add_fonts([made]) == ""
    assert made.texts[0].get_fontfamily() == ["DejaVu Sans", "Other"]
    assert add_fonts([figure("狗 ก ☃")]) == "☃"


def test_letters_of_no_font_are_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(plot_fonts, "_installed", list)
    told: list[str] = []
    output._tell_once.cache_clear()
    monkeypatch.setattr(output, "report", told.append)
    for name in ("a.png", "b.png"):
        output.write_figure(figure("a dog 狗"), tmp_path / name)
    assert len(told) == 1
    assert "no installed font has 狗, which are drawn as boxes" in told[0]
    assert not recwarn.list
