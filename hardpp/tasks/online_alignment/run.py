"""What can be asked of a trained run on speech: figures, posteriors, times of tokens, pictures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardpp import sites
from hardpp.data.speech.batches import collate
from hardpp.data.speech.utterances import Segment, Utterance
from hardpp.data.vocabulary import BOUNDARY
from hardpp.errors import DataError, UsageError
from hardpp.tasks.family import Run
from hardpp.tasks.file_names import distinct, file_names
from hardpp.tasks.formats.ctm import ctm
from hardpp.tasks.formats.textgrid import textgrid
from hardpp.tasks.online_alignment import data as speech_data
from hardpp.tasks.online_alignment.emission_times import TokenTimes, token_frames, token_times
from hardpp.tasks.online_alignment.evaluation import figures
from hardpp.tasks.online_alignment.network import form
from hardpp.tasks.online_alignment.recognition import recognise
from hardpp.tasks.online_alignment.selection import select, sources
from hardpp.types import SequenceBatch

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    import xarray as xr
    from matplotlib.figure import Figure

END = "</s>"


class SpeechVerbs:
    """The verbs of runs on speech; families of such models inherit them."""

    def label(self, description: Mapping[str, Any], batch: SequenceBatch, row: int) -> str:
        """The utterance as its tokens, without the end mark."""
        ids = takewhile(lambda symbol: symbol != BOUNDARY, batch.target[row].tolist())
        return f"the utterance {' '.join(speech_data.vocabulary(description).decode(ids))!r}"

    def select(
        self, run: Run, data: str | None, part: str | None, limit: int | None, report: Callable[[str], None]
    ) -> list[Utterance]:
        """A part of the run's corpus, or of another one normalised as that; left out, the test part.

        Raises:
            DataError, UsageError: see `hardpp.tasks.online_alignment.selection.select`.
        """
        return select(run, data, part, limit, report)

    def sources(self, run: Run, path: Path) -> list[Utterance]:
        """The sounds that a file names, one a line; what is said in them is not known.

        Raises:
            DataError: the file or a sound cannot be read; the message names file and line.
            UsageError: the run hears features that came with its data, and not sound.
        """
        return sources(run, path)

    def batch(self, run: Run, utterances: Sequence[Utterance]) -> SequenceBatch:
        """The utterances as one batch on the run's device.

        Raises:
            DataError: there are no utterances.
        """
        if not utterances:
            raise DataError("there are no utterances in this part of the data")
        return collate(utterances, speech_data.vocabulary(run.description)).to(run.device)

    def evaluate(
        self, run: Run, utterances: Sequence[Utterance], decoding: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Error rates, likelihood and times; see `hardpp.tasks.online_alignment.evaluation.figures`.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        return figures(run, utterances, run.decoding(decoding))

    def decode(
        self, run: Run, utterances: Sequence[Utterance], decoding: Mapping[str, Any]
    ) -> Iterator[tuple[str, str]]:
        """The name of every utterance and the tokens that are recognised in it, with blanks between them.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        for utterance, said in zip(
            utterances, recognise(run, utterances, run.decoding(decoding)), strict=True
        ):
            yield utterance.name, " ".join(said.tokens)

    def posterior(
        self, run: Run, utterances: Sequence[Utterance], *, draws: int, exact: bool, seed: int
    ) -> "xr.DataTree":
        """Draws of the frames at which tokens are said, labelled with the tokens and the frames' times."""
        from hardpp.diagnostics.alignment_posterior import Sentences
        from hardpp.diagnostics.emissions import draw_emissions
        from hardpp.diagnostics.posterior import sample_posterior

        if form(run.config) == "ctc":
            raise UsageError("CTC sums its alignments out, so there are none to draw", "train another form")
        seconds = float(run.description["frame_seconds"])
        starts = [[f"{frame * seconds:.3f}" for frame in range(one.length)] for one in utterances]
        names = [utterance.name for utterance in utterances]
        exact = exact and form(run.config) == "transducer"
        return sample_posterior(
            partial(draw_emissions, *run.programs, site=sites.DECISIONS, draws=draws, exact=exact),
            speech_data.batches(run, utterances),
            Sentences(names, starts, [one.tokens for one in utterances], END),
            seed=seed,
            attributes={**run.provenance(), "frame_seconds": seconds},
        )

    def alignments(self, run: Run, utterances: Sequence[Utterance], which: str, style: str) -> Iterator[str]:
        """Lines of when each token was said.

        Args:
            run: the trained run.
            utterances: what to align.
            which: whose times: "posterior" or "guide".
            style: "tsv" (with a header: utterance, token, when it was said, the 89 % interval, and the
                probability of the likeliest frame) or "ctm".

        Raises:
            UsageError: a style for words of two texts.
        """
        if style not in ("tsv", "ctm"):
            raise UsageError(f"speech has no {style} links", "give --format tsv, ctm or textgrid")
        times = token_times(run, utterances, which)  # first, as it may refuse
        if style == "tsv":
            yield "\t".join(("utterance", "token", "seconds", "low", "high", "probability"))
        for utterance, known in zip(utterances, times, strict=True):
            if style == "ctm":
                starts = [known.boundaries[0]._replace(time=0.0, low=0.0, high=0.0), *known.boundaries[:-1]]
                text = ctm(utterance.name, _segments(utterance, known), known.confidences, starts)
                yield from text.splitlines()
                continue
            for token, said, sure in zip(utterance.tokens, known.boundaries, known.confidences, strict=True):
                seconds = (f"{value:.3f}" for value in said)
                yield "\t".join((utterance.name, token, *seconds, f"{sure:.4f}"))

    def documents(
        self, run: Run, utterances: Sequence[Utterance], which: str, style: str
    ) -> Iterator[tuple[str, str]]:
        """A file an utterance, by name and text: TextGrid with tokens, the known ones too, and boundaries.

        Raises:
            UsageError: another style than "textgrid".
        """
        if style != "textgrid":
            raise UsageError(f"{style} is one file for all utterances")
        seconds = float(run.description["frame_seconds"])
        times = token_times(run, utterances, which)
        plain = ("".join(c if c.isalnum() or c in "-_." else "_" for c in one.name) for one in utterances)
        for utterance, known, name in zip(utterances, times, distinct(list(plain)), strict=True):
            tiers = [("tokens", _segments(utterance, known))]
            lasts = utterance.length * seconds
            if utterance.segments:
                gold = [
                    one._replace(start=min(one.start, lasts), end=min(one.end, lasts))
                    for one in utterance.segments
                ]
                tiers.append(("reference", gold))
            yield f"{name}.TextGrid", textgrid(lasts, tiers, known.boundaries)

    def pictures(
        self, run: Run, utterances: Sequence[Utterance], count: int, sources: Sequence[str]
    ) -> Iterator[tuple[str, "Figure"]]:
        """Heat maps of when tokens are said by guide and posterior, each with a name for its file.

        Args:
            run: the trained run.
            utterances: where to look for names, and what is drawn if none are named.
            count: how many utterances, if none are named.
            sources: names of the utterances to draw.

        Raises:
            UsageError: a named utterance is not among them.
        """
        from hardpp.diagnostics.emission_plot import emission_figure

        named = {utterance.name: utterance for utterance in utterances}
        for source in sources:
            if source not in named:
                raise UsageError(f"{source!r} is not among these {len(utterances)} utterances")
        seconds = float(run.description["frame_seconds"])
        names = dict(zip(named, file_names(list(named)), strict=True))
        for utterance in [named[source] for source in dict.fromkeys(sources)] or list(utterances[:count]):
            batch = self.batch(run, [utterance])
            panels = ["posterior"]
            if form(run.config) != "ctc" and run.config.guide != "prior":
                panels = ["guide", "posterior"]
            rows = [(which, token_frames(run, batch, which)[0].cpu().numpy()) for which in panels]
            figure = emission_figure(
                rows,
                (*utterance.tokens, END),
                seconds,
                utterance.read().numpy(),
                ends=[segment.end for segment in utterance.segments],
                title=utterance.name,
            )
            yield names[utterance.name], figure


# A token lasts from when the one before it was said; medians of neighbours may not be in order.
def _segments(utterance: Utterance, known: TokenTimes) -> list[Segment]:
    before, out = 0.0, []
    for token, said in zip(utterance.tokens, known.boundaries, strict=True):
        end = max(before, said.time)
        out.append(Segment(before, end, token))
        before = end
    return out
