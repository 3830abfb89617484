"""The page on a user's own data is true: its files are read as it says.

A form is a `###` heading with blocks of three kinds: "text NAME", a file of that name with that content;
"python", run in the folder, for files that are no text; and one of "text reads PATH", what is read with
`--data PATH`, an item a line.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hardpp.data.captions import corpora as caption_corpora
from hardpp.data.captions.corpora import CaptionOptions
from hardpp.data.images import corpora as image_corpora
from hardpp.data.parts import PARTS
from hardpp.data.speech import timit
from hardpp.data.speech.corpora import SpeechOptions, own
from hardpp.data.speech.recordings import Recording
from hardpp.data.transduction.pairs import Pair
from hardpp.data.transduction.tokenizers import Words
from hardpp.tasks.alignment import data as alignment
from hardpp.tasks.alignment.data import PairData
from hardpp.tasks.alignment.gold_pairs import GoldFiles, right_links, with_gold
from hardpp.tasks.question_answering.family import QuestionAnsweringFamily, QuestionData

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## .*?`--model ([\w-]+)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
FORM = re.compile(r"^### (.*?)\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(text|python)(?: (reads))?(?: ([^\n]+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Form(NamedTuple):
    """A form of data: what its blocks say."""

    model: str
    name: str
    text: str


def pairs(path: Path) -> Iterator[str]:
    """Pairs of texts, as `--model alignment` reads them; `--links FILE` or `--reverse` may follow."""
    name, _, options = str(path).partition(" --")
    config = PairData(name=name, source_tokens="words", reverse=options == "reverse")
    sides = Words(), Words()

    def shown(pair: Pair) -> str:
        return " → ".join(" ".join(side) for side in (pair.source, pair.target))

    if alignment.is_single(config.name):
        found = alignment.single(config, sides, report=lambda text: None)
        if option := options.partition(" ")[2]:
            gold = GoldFiles(Path(option))
            for pair in with_gold([*found], gold, sides, lambda text: None):
                kinds = {"sure": pair.links, "possible": sorted({*right_links(pair)} - {*pair.links})}
                links = (" ".join([kind, *(f"{s}-{t}" for s, t in of)]) for kind, of in kinds.items())
                yield " | ".join([shown(pair), *links])
            return
        for pair in found:
            others = [" ".join(right) for right in pair.references if right != pair.target]
            yield shown(pair) + (f" (or {', '.join(others)})" if config.reverse else "")
        return
    corpus = alignment.load(config, lambda text: None, sides)
    for part in PARTS:
        yield from (f"{part}: {shown(pair)}" for pair in getattr(corpus, part))


def pictures(path: Path) -> Iterator[str]:
    """Pictures with classes, as `--model glimpse` reads them; of many without names as many as there are."""
    images = image_corpora.corpus(str(path))
    for part in PARTS:
        of_part = getattr(images, part)
        labels = [images.classes[number] for number in of_part.labels.tolist()]
        if of_part.names is None:
            yield from (f"{part}: {count} of {label}" for label, count in Counter(labels).items())
        else:
            yield from (
                f"{part}: {name} → {label}" for name, label in zip(of_part.names, labels, strict=True)
            )


def captions(path: Path) -> Iterator[str]:
    """Pictures with captions, as `--model caption` reads them."""
    images = caption_corpora.corpus(str(path), CaptionOptions(side=8))
    for part in PARTS:
        of_part = getattr(images, part)
        for name, of_image in zip(of_part.names, of_part.captions, strict=True):
            yield from (f"{part}: {name} → {' '.join(caption.words)}" for caption in of_image)


def questions(path: Path) -> Iterator[str]:
    """Questions about pictures, as `--model question-answering` reads them."""
    found = QuestionAnsweringFamily().load(QuestionData(name=str(path)), lambda text: None)
    for part in PARTS:
        for question in getattr(found, part):
            said = ", ".join(dict.fromkeys(question.answers))
            yield f"{part}: image {question.image}, {question.text} → {said}"


def recordings(path: Path) -> Iterator[str]:
    """Recordings, as `--model online-alignment` reads them: tokens, and times where they are known."""
    pytest.importorskip("soundfile")

    def shown(one: Recording) -> str:
        times = [f"{token} ({start:g}-{end:g})" for start, end, token in one.segments]
        return f"{one.name} → {' '.join(times or one.tokens)}"

    found = own(path, SpeechOptions(), print)
    found = timit.recordings(path) if found is None else found
    if isinstance(found, list):
        yield from map(shown, found)
    else:
        yield from (f"{part}: {shown(one)}" for part in PARTS for one in found[part])


READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    "alignment": pairs,
    "glimpse": pictures,
    "caption": captions,
    "question-answering": questions,
    "online-alignment": recordings,
}
FORMS = [
    Form(model, name, text)
    for model, section in SECTION.findall(PAGE)
    for name, text in FORM.findall(section)
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.model}: {form.name}")
def test_a_form_is_read_as_the_page_says(form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read = 0
    for language, reads, name, content in BLOCK.findall(form.text):
        if reads:
            read += 1
            assert [*READERS[form.model](Path(name))] == content.splitlines()
        elif language == "python":
            exec(compile(content, form.name, "exec"), {})
        else:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(content, encoding="utf-8")
    assert read == 1


def test_every_family_has_a_section() -> None:
    assert [model for model, _ in SECTION.findall(PAGE)] == [
        "alignment",
        "online-alignment",
        "glimpse",
        "caption",
        "question-answering",
    ]
