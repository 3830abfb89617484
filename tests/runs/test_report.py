"""A page about a run: what it needs from outside, what users' data do to it, and runs not complete."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from corpora import fail, succeed, train_command

from hardpp.runs.report import write_report

WORD = "<script>alert('x')</script>&amp;"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its texts."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    (folder / "data").mkdir()
    for part in ("train", "dev", "test"):
        lines = [f"{WORD}\tA <b> $x_1$\n", "ab\tA B\n", "ba\tB A\n"]
        (folder / "data" / f"{part}.tsv").write_text("".join(lines), encoding="utf-8")
    succeed(*train_command(folder / "data", folder / "run"), "--max-steps", "2")
    return folder / "run"


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def page_of(run: Path, **options: int) -> str:
    return write_report(run, run.parent / "page.html", device="cpu", force=True, **options).read_text("utf-8")


def test_a_page_needs_nothing_else_and_names_from_data_are_texts(run: Path) -> None:
    page = page_of(run, count=3)
    elements = Elements(page)
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "link", "iframe", "object"}
    assert WORD in [text.strip() for text in elements.texts]
    assert "<script" not in page
    for tag, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href"):
            if (value := attributes.get(name)) is not None:
                assert value.startswith(("data:image/png;base64,", "#")), (tag, value[:80])
    assert not re.search(r"url\(|@import", page)


def test_two_pages_of_a_run_are_the_same(run: Path) -> None:
    assert page_of(run, count=1) == page_of(run, count=1)


def test_a_run_that_was_interrupted_has_a_page(copied: Path) -> None:
    (copied / "summary.json").unlink()
    page = page_of(copied, count=1)
    assert "Training is not complete." in page
    assert "Training was interrupted" in page
    assert page.count("<img ") >= 2
    shutil.rmtree(copied / "checkpoints")
    (copied / "metrics.jsonl").unlink()
    page = page_of(copied)
    assert "There is no checkpoint yet" in page
    assert "Nothing was recorded of the training yet." in page
    assert "optimiser.learning_rate" in page
    assert "<img " not in page


def test_a_run_whose_data_are_gone_has_a_page(run: Path) -> None:
    data = run.parent / "data"
    data.rename(run.parent / "moved")
    try:
        page = page_of(run)
    finally:
        (run.parent / "moved").rename(data)
    assert "No items can be shown: " in page
    assert "PER" in page


def test_what_cannot_be_written_is_refused(run: Path, tmp_path: Path) -> None:
    assert "should end in .html" in fail(2, "report", run, "--out", tmp_path / "a.pdf")
    assert "is not a run folder" in fail(4, "report", tmp_path)
    (tmp_path / "a.html").write_text("older")
    assert "exists already" in fail(2, "report", run, "--out", tmp_path / "a.html")


def test_figures_stand_in_the_order_of_what_is_said_of_them(run: Path) -> None:
    texts = [text.strip() for text in Elements(page_of(run, count=1)).texts]
    (row,) = (text for text in texts if "PPL" in text and "nll" in text)
    assert row.startswith("nll ")
    assert row.index(", PPL ")


def test_a_folder_with_a_blank_is_one_word_of_a_command(run: Path, tmp_path: Path) -> None:
    spaced = shutil.copytree(run, tmp_path / "my run")
    texts = " ".join(Elements(page_of(spaced, count=1)).texts)
    assert f"--out '{spaced}-again'" in texts
