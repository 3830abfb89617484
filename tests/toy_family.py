"""A whole model family in one file: letters, each explained by one of a few topics that nobody sees."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp.config import DataConfig, RunConfig, Section
from hardpp.data.batches import shuffled
from hardpp.inference.exact import ExactMarginal
from hardpp.tasks.family import AlignmentForm, Description, Family, GuideSpec, Lack, Recommended, prior_guide
from hardpp.tasks.opened_run import DataTree, Decoded, OpenedRun, Report
from hardpp.tasks.pictures import Figures
from hardpp.types import Need

TOPIC, LETTER = "topic", "letter"


class Letters(NamedTuple):
    """A batch: the letters' numbers, (B,)."""

    target: Tensor

    @property
    def size(self) -> int:
        return len(self.target)

    @property
    def symbols(self) -> Tensor:
        return torch.full((), self.size, device=self.target.device)

    def to(self, where: torch.device | str) -> "Letters":
        return Letters(self.target.to(where))


class Mixture(PyroModule):
    """topic ~ Categorical(topics), letter ~ Categorical(letters[topic])."""

    max_plate_nesting = 1

    def __init__(self, topics: int, letters: int):
        super().__init__()
        self.topics, self.letters = (
            nn.Parameter(torch.zeros(topics)),
            nn.Parameter(torch.randn(topics, letters)),
        )

    def forward(self, batch: Letters) -> None:
        with pyro.plate("data", batch.size):
            topic = pyro.sample(TOPIC, dist.Categorical(logits=self.topics))
            pyro.sample(LETTER, dist.Categorical(logits=self.letters[topic]), obs=batch.target)


class TopicGuide(PyroModule):
    """topic ~ Categorical(scores[letter])."""

    max_plate_nesting = 1

    def __init__(self, topics: int, letters: int):
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(letters, topics))

    def forward(self, batch: Letters) -> None:
        with pyro.plate("data", batch.size):
            pyro.sample(TOPIC, dist.Categorical(logits=self.scores[batch.target]))


class ToyNetwork(Section):
    topics: int = Field(2, ge=1, description="of letters")


class ToyDecoding(Section):
    upper: bool = Field(False, description="say topics in capitals")


class ToyDescription(Description):
    letters: list[str]

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {letter: number for number, letter in enumerate(self.letters)}


class Corpus(NamedTuple):
    train: list[str]
    dev: list[str]
    test: list[str]


class Parts(NamedTuple):
    model: Mixture
    topics: int
    letters: int


class ToyRun(OpenedRun):
    """Items are lists of letters."""

    kind = "letters"
    uncertainty = "entropy of the topic, nats"
    error = ""  # nobody knows the topics

    def _select(self, data: str | None, part: str | None, limit: int | None, report: Report) -> list[str]:
        letters: list[str] = getattr(self._load(data, report), part or "test")
        return letters[:limit]

    def _from_texts(self, texts: Sequence[str]) -> list[str]:
        return list(texts)

    def _batch(self, items: Sequence[str]) -> Letters:
        return batch(items, self.description).to(self.device)

    @torch.no_grad()
    def _evaluate(self, items: Sequence[str], options: ToyDecoding) -> dict[str, Any]:
        bound = ExactMarginal().estimate(*self.programs, self._batch(items)).bound
        return {"nll": -float(bound.mean()), "letters": len(items), "step": self.step}

    def _decode(self, items: Sequence[str], options: ToyDecoding) -> list[Decoded]:
        texts = [f"topic {row.argmax()}" for row in self._posteriors(items)]
        return [
            Decoded(letter, text.upper() if options.upper else text)
            for letter, text in zip(items, texts, strict=True)
        ]

    def _posterior(self, items: Sequence[str], *, draws: int, exact: bool, seed: int) -> DataTree:
        import xarray as xr

        generator = torch.Generator().manual_seed(seed)
        topics = torch.multinomial(self._posteriors(items), draws, replacement=True, generator=generator).T
        variables = {TOPIC: (("chain", "draw", LETTER), topics.unsqueeze(0).numpy())}
        group = xr.Dataset(variables, coords={LETTER: list(items)})
        return xr.DataTree.from_dict({"/posterior": group})

    def _align(self, items: Sequence[str], of: str, form: str) -> Iterator[str]:
        for letter, row in zip(items, self._posteriors(items), strict=True):
            yield f"{letter}\t{row.argmax()}\t{row.max():.4f}"

    def _names(self, items: Sequence[str]) -> list[str]:
        return list(items)

    def _uncertainty(self, items: Sequence[str]) -> list[float]:
        rows = self._posteriors(items)
        entropies: list[float] = (-torch.special.xlogy(rows, rows).sum(-1)).tolist()
        return entropies

    def _plot(self, items: Sequence[str], indices: Sequence[int]) -> Figures:
        from matplotlib.figure import Figure

        for index in indices:
            figure = Figure()
            figure.subplots().bar(range(self.network.topics), self._posteriors([items[index]])[0].numpy())
            yield f"{index}-{items[index]}", figure

    # p(topic | letter), (B, topics).
    @torch.no_grad()
    def _posteriors(self, items: Sequence[str]) -> Tensor:
        model: Any = self.programs.model
        joint = model.topics.log_softmax(-1) + model.letters.log_softmax(-1).T[self._batch(items).target]
        return joint.softmax(-1).cpu()


class ToyFamily(Family):
    name = "toy"
    summary = "every letter has a topic"
    unit = "a letter"
    data = DataConfig
    network = ToyNetwork
    decoding = ToyDecoding
    description = ToyDescription
    run = ToyRun
    presets: Mapping[str, Recommended] = {"small": Recommended({"training": {"batch_size": 8}})}
    guides: Mapping[str, GuideSpec] = {
        "table": GuideSpec(
            "a table of topics by letter", lambda parts: TopicGuide(parts.topics, parts.letters)
        ),
        "prior": GuideSpec("the model's own topics", prior_guide, trained=False),
    }
    data_sets = ("alphabet",)
    alignment_forms: Mapping[str, AlignmentForm] = {"tsv": AlignmentForm("letter, topic, probability")}

    def lacks(self, network: ToyNetwork) -> Mapping[Need, Lack]:
        return {"relaxable": Lack("topics have no mean, which {objective} asks for", "give one that draws")}

    def load(self, config: DataConfig, report: Callable[[str], None]) -> Corpus:
        letters = list(Path(config.name).read_text().strip())
        return Corpus(letters[10:][: config.train_limit], letters[:5], letters[5:10])

    def describe(self, data: Corpus) -> ToyDescription:
        letters = sorted({letter for part in data for letter in part})
        return ToyDescription(letters=letters, fingerprint="".join(data.train))

    def parts(self, network: ToyNetwork, description: ToyDescription) -> Parts:
        letters = len(description.letters)
        return Parts(Mixture(network.topics, letters), network.topics, letters)

    def epoch_batches(
        self, config: RunConfig, data: Corpus, description: ToyDescription
    ) -> Callable[[int], Sequence[Callable[[], Letters]]]:
        def epoch(number: int) -> Sequence[Callable[[], Letters]]:
            places = shuffled(len(data.train), config.training.batch_size, config.seed, number)
            letters = [[data.train[index] for index in indices] for indices in places]
            return [lambda some=some: batch(some, description) for some in letters]

        return epoch

    def dev_batches(self, config: RunConfig, data: Corpus, description: ToyDescription) -> list[Letters]:
        return [batch(data.dev, description)]

    def label(self, description: ToyDescription, batch: Letters, row: int) -> str:
        return f"the letter {description.letters[batch.target[row]]!r}"


def batch(letters: Sequence[str], description: ToyDescription) -> Letters:
    return Letters(torch.tensor([description.numbers[letter] for letter in letters]))
