"""What an opened run on speech answers: figures, posteriors, times of tokens, plots."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hardpp import sites
from hardpp.data.parts import items_of_part
from hardpp.data.speech import features, log_mel
from hardpp.data.speech.batches import collate
from hardpp.data.speech.transcripts import read_sounds
from hardpp.data.speech.utterances import Utterance
from hardpp.data.vocabulary import END
from hardpp.decoding.ancestral import draw_online_outputs
from hardpp.diagnostics.seeds import seeded_steps
from hardpp.errors import DataError, UsageError
from hardpp.tasks.answers.calibration.reliability import Curve
from hardpp.tasks.answers.calibration.simulation_based import Simulated
from hardpp.tasks.answers.labelled_draws import labelled_draws
from hardpp.tasks.answers.pictures import Figures
from hardpp.tasks.answers.sampling import AVERAGED
from hardpp.tasks.attention import datum_stream, mean_entropies
from hardpp.tasks.family import has_own_parameters
from hardpp.tasks.file_names import file_names
from hardpp.tasks.metrics.error_rates import phone_error_rate
from hardpp.tasks.online_alignment.asked_recordings import (
    folder_of_list,
    hear,
    own_recordings_of,
    tell_unlike,
    usable,
)
from hardpp.tasks.online_alignment.boundary_calibration import boundary_reliability, times_of
from hardpp.tasks.online_alignment.data import BATCH, SpeechDescription
from hardpp.tasks.online_alignment.emission_times import (
    frames_of_items,
    token_frames,
    view_name,
)
from hardpp.tasks.online_alignment.evaluation import OnlineDecoding, evaluate, hypotheses, recognise
from hardpp.tasks.online_alignment.long_recordings import batches
from hardpp.tasks.online_alignment.written_times import lines_of_times, textgrids
from hardpp.tasks.opened_run import DataTree, Decoded, OpenedRun, Report
from hardpp.types import SequenceBatch

T = TypeVar("T")
LONGER = 3.0  # times as long as any of training: such recordings are told of


class OnlineAlignmentRun(OpenedRun):
    """A run on speech; items are lists of `Utterance`."""

    description: SpeechDescription
    item = Utterance
    kind = "utterances"
    error = "edits a token"
    uncertainty = "entropy of the frame of a token, nats: exact posterior, or draws of the guide"

    @property
    def approximation(self) -> str | None:
        """Sums over alignments are exact, in the forms that have them."""
        return AVERAGED if "marginal" in self.family.lacks(self.network) else None

    def _select(
        self, data: str | None, part: str | None, limit: int | None, report: Report
    ) -> list[Utterance]:
        own = None if data is None else own_recordings_of(self, data, part, report)
        if own is not None:
            utterances = hear(self, own[:limit])
        else:
            corpus, trained = self._load(data, report), self.description
            self._check_like(corpus.test, f"{corpus.name}: ")
            utterances = items_of_part(corpus, part, limit)
            # Another folder's own mean and variance would make other features of the same sound. Runs of
            # before moments were kept leave utterances as their folder has them.
            if trained.feature_normalisation is not None:
                utterances = features.renormalise(utterances, trained.feature_normalisation)
        if data is not None:
            tell_unlike(self, utterances, report)
        return usable(self, utterances, report)

    # All utterances have the features of the first.
    def _check_like(self, items: Sequence[Utterance], of: str = "") -> None:
        size = items[0].read().shape[-1] if items else self.description.features
        if size != (trained_on := self.description.features):
            raise DataError(f"{of}frames have {size} features, and this run was trained on {trained_on}")

    def _read_inputs(self, path: Path, report: Report) -> list[Utterance | None]:
        recordings = read_sounds(path, self.data_config(None).on_bad, report)
        heard = iter(hear(self, [recording for recording in recordings if recording is not None]))
        return [None if recording is None else next(heard) for recording in recordings]

    # What nobody has heard of yet: recordings of data are told of when they are selected.
    def _check_symbols(self, items: Any, numbers: Any, unknown: str, report: Report, place: str) -> None:
        tell_unlike(self, [utterance for utterance in items if not utterance.tokens], report)
        super()._check_symbols(items, numbers, unknown, report, place)

    def _batch(self, items: Sequence[Utterance]) -> SequenceBatch:
        if not items:
            raise DataError("there are no utterances in this part of the data")
        return collate(items, self.description.vocabulary).to(self.device)

    def _evaluate(self, items: Sequence[Utterance], options: OnlineDecoding) -> dict[str, Any]:
        return evaluate(self, items, options)

    def _decode(self, items: Sequence[Utterance], options: OnlineDecoding) -> Iterator[Decoded]:
        say = partial(recognise, self, options=options)
        for utterance, transcript in self._each(items, say, options.seed):
            yield Decoded(utterance.name, " ".join(transcript.tokens))

    def _nbest(self, items: Sequence[Utterance], options: OnlineDecoding, nbest: int) -> Iterator[Decoded]:
        say = partial(hypotheses, self, options=options, nbest=nbest)
        for utterance, found in self._each(items, say, options.seed):
            yield Decoded(utterance.name, found[0].text, found)

    # Every utterance with what is said of it; so many at once that what is printed comes soon.
    def _each(
        self, items: Sequence[Utterance], say: Callable[[Sequence[Utterance]], Sequence[T]], seed: int
    ) -> Iterator[tuple[Utterance, T]]:
        at_once = BATCH * self.sharing.size
        some = (items[start : start + at_once] for start in range(0, len(items) or 1, at_once))
        said = (zip(part, say(part), strict=True) for part in some)
        for pairs in seeded_steps(said, seed, self.device):
            yield from pairs

    def _posterior(self, items: Sequence[Utterance], *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.alignment_posterior import Sentences
        from hardpp.diagnostics.emissions import draw_emissions

        if self.network.form == "ctc":
            raise UsageError("CTC sums its alignments out, so there are none to draw", "train another form")
        seconds = self.description.frame_seconds
        starts = [[f"{frame * seconds:.3f}" for frame in range(utterance.length)] for utterance in items]
        names, targets = [utterance.name for utterance in items], [utterance.tokens for utterance in items]
        alone = (([index], self._batch([utterance])) for index, utterance in enumerate(items))
        options: Any = {"site": sites.DECISIONS, "observed": sites.SYMBOL, "draws": draws}
        return labelled_draws(
            self,
            partial(draw_emissions, *self.programs, exact=exact and self.approximation is None, **options),
            alone,
            Sentences(names, starts, targets, END),
            seed=seed,
            streams=lambda number, batch: datum_stream(batch),
            attributes={"frame_seconds": seconds},
        )

    def _align(self, items: Sequence[Utterance], of: str, form: str) -> Iterator[str]:
        yield from lines_of_times(items, times_of(self, items, of, thousandths=True), form)

    def _align_files(self, items: Sequence[Utterance], of: str, form: str) -> Iterator[tuple[str, str]]:
        yield from textgrids(items, times_of(self, items, of), self.description.frame_seconds)

    def _remarks(self, items: Sequence[Utterance]) -> Iterator[tuple[int, str]]:
        longest, seconds = self.description.longest, self.description.frame_seconds
        for index, utterance in enumerate(items):
            if longest and utterance.length > LONGER * longest:
                lasts = f"the recording lasts {utterance.length * seconds:.1f} s"
                what = f"{lasts}, and none lasted more than {longest * seconds:.1f} s in training"
                yield index, f"{what}: tokens may be missing; shorter pieces of it are safer"

    def _unseen_targets(self, items: Sequence[Utterance]) -> Iterator[tuple[str, Sequence[str]]]:
        for utterance in items:
            yield utterance.name, self.description.vocabulary.unseen(utterance.tokens)

    def _known_symbols(self, *, targets: bool) -> Sequence[str]:
        return self.description.vocabulary.symbols if targets else ()

    def shared_folder(self, items: Sequence[Utterance]) -> str:
        return folder_of_list(items)

    def _simulate(self, items: Sequence[Utterance]) -> Iterator[Simulated]:
        if self.network.form == "ctc":
            raise UsageError("CTC sums its alignments out, so it has no posterior", "train another form")
        model: Any = self.programs.model
        for _, batch in batches(self, items):
            tokens, decisions = draw_online_outputs(model, *batch[:2], batch.target_mask)
            yield Simulated(batch._replace(target=tokens), {sites.DECISIONS: decisions})

    def _reliability(self, items: Sequence[Utterance], of: str, bins: int) -> list[Curve]:
        return boundary_reliability(self, items, of)

    def _plot(self, items: Sequence[Utterance], indices: Sequence[int]) -> Figures:
        from hardpp.diagnostics.emission_plot import Said, emission_figure

        files, note = file_names(self._names(items)), self.note("when each token was said")
        guided = self.network.form != "ctc" and has_own_parameters(self.programs)
        views = {"posterior": view_name(self, "posterior")}
        if guided:
            views = {"guide": view_name(self, "guide"), **views}
        for index in indices:
            utterance, batch = items[index], self.batch([items[index]])
            panels = [
                (name, token_frames(self, batch, view)[0].cpu().numpy()) for view, name in views.items()
            ]
            figure = emission_figure(
                panels,
                (*utterance.tokens, END),
                self.description.frame_seconds,
                self._sound(utterance),
                said=[Said(*segment) for segment in utterance.segments],
                title=utterance.name,
                note=note,
            )
            yield files[index], figure

    def _sound(self, utterance: Utterance) -> Any:
        from hardpp.diagnostics.emission_plot import Sound

        if isinstance(utterance.frames, features.LogMel):
            spectrogram = utterance.frames.spectrogram().numpy()
            return Sound(spectrogram, log_mel.HOP_SECONDS, log_mel.centres().numpy())
        return Sound(utterance.read().numpy(), self.description.frame_seconds)

    def _names(self, items: Sequence[Utterance]) -> list[str]:
        return [utterance.name for utterance in items]

    def _uncertainty(self, items: Sequence[Utterance]) -> list[float]:
        return mean_entropies(
            frames_of_items(self, items, "posterior" if self.approximation is None else "guide")
        )

    def _right(self, items: Sequence[Utterance]) -> list[tuple[str, ...]]:
        return [(" ".join(utterance.tokens),) for utterance in items]

    def _error(self, said: str, right: Sequence[str]) -> float:
        return phone_error_rate([said.split()], [right[0].split()], self.description.folding).symbol
