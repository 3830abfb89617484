"""What an opened run on speech answers: figures, posteriors, times of tokens, plots."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hardpp import sites
from hardpp.data.parts import items_of_part
from hardpp.data.speech import features
from hardpp.data.speech.batches import check_lengths, collate
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.transcripts import is_list, read_list, read_sound_list
from hardpp.data.speech.utterances import Segment, Utterance
from hardpp.data.vocabulary import END
from hardpp.diagnostics.emissions import Boundary
from hardpp.diagnostics.seeds import seeded
from hardpp.errors import DataError, UsageError
from hardpp.tasks.arguments import named_items
from hardpp.tasks.attention import datum_stream
from hardpp.tasks.file_names import distinct, file_names
from hardpp.tasks.formats.ctm import ctm
from hardpp.tasks.formats.textgrid import textgrid
from hardpp.tasks.online_alignment.data import SpeechDescription
from hardpp.tasks.online_alignment.emission_times import token_frames, token_times
from hardpp.tasks.online_alignment.evaluation import OnlineDecoding, evaluate, recognise
from hardpp.tasks.opened_run import DataTree, Decoded, Figures, OpenedRun, Report
from hardpp.tasks.sampling import AVERAGED
from hardpp.types import SequenceBatch


class OnlineAlignmentRun(OpenedRun):
    """A run on speech; items are lists of `Utterance`."""

    description: SpeechDescription
    item = Utterance

    @property
    def approximation(self) -> str | None:
        """Sums over alignments are exact, in the forms that have them."""
        return AVERAGED if "marginal" in self.family.lacks(self.network) else None

    def _select(
        self, data: str | None, part: str | None, limit: int | None, report: Report
    ) -> list[Utterance]:
        if data is not None and part in (None, "all") and is_list(Path(data)):
            recordings = read_list(Path(data), self.data_config(data).on_bad, report)
            utterances = self._hear(recordings[:limit])
        else:
            corpus, trained = self._load(data, report), self.description
            if (size := corpus.test[0].read().shape[-1]) != trained.features:
                raise DataError(
                    f"{corpus.name}: frames have {size} features, and this run was trained on "
                    f"{trained.features}"
                )
            utterances = items_of_part(corpus, part, limit)
            # Another folder's own mean and variance would make other features of the same sound. Runs of
            # before moments were kept leave utterances as their folder has them.
            if trained.feature_normalisation is not None:
                utterances = features.renormalise(utterances, trained.feature_normalisation)
        check_lengths(utterances, self.description.vocabulary, self.network.topology)
        return utterances

    def _read_inputs(self, path: Path) -> list[Utterance]:
        return self._hear(read_sound_list(path))

    # Recordings that go through what those of the train part went through.
    def _hear(self, recordings: Sequence[Recording]) -> list[Utterance]:
        normalisation = self.description.feature_normalisation
        if normalisation is None:
            raise UsageError(
                "this run hears features that came with its data, and not sound", "train one on recordings"
            )
        return features.utterances_of(recordings, normalisation, self.data_config(None).stacked)

    def _batch(self, items: Sequence[Utterance]) -> SequenceBatch:
        if not items:
            raise DataError("there are no utterances in this part of the data")
        return collate(items, self.description.vocabulary).to(self.device)

    def _evaluate(self, items: Sequence[Utterance], options: OnlineDecoding) -> dict[str, Any]:
        return evaluate(self, items, options)

    def _decode(self, items: Sequence[Utterance], options: OnlineDecoding) -> list[Decoded]:
        with seeded(options.seed, self.device):
            transcripts = recognise(self, items, options)
        return [
            Decoded(utterance.name, " ".join(transcript.tokens))
            for utterance, transcript in zip(items, transcripts, strict=True)
        ]

    def _posterior(self, items: Sequence[Utterance], *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.alignment_posterior import Sentences
        from hardpp.diagnostics.emissions import draw_emissions
        from hardpp.diagnostics.posterior import sample_posterior

        if self.network.form == "ctc":
            raise UsageError("CTC sums its alignments out, so there are none to draw", "train another form")
        seconds = self.description.frame_seconds
        starts = [[f"{frame * seconds:.3f}" for frame in range(utterance.length)] for utterance in items]
        names, targets = [utterance.name for utterance in items], [utterance.tokens for utterance in items]
        alone = (([index], self._batch([utterance])) for index, utterance in enumerate(items))
        options: Any = {"site": sites.DECISIONS, "observed": sites.SYMBOL, "draws": draws}
        return sample_posterior(
            partial(draw_emissions, *self.programs, exact=exact and self.approximation is None, **options),
            alone,
            Sentences(names, starts, targets, END),
            seed=seed,
            streams=lambda number, batch: datum_stream(batch),
            attributes={**self.provenance, "frame_seconds": seconds},
        )

    def _align(self, items: Sequence[Utterance], of: str, form: str) -> Iterator[str]:
        times_of_items = token_times(self, items, of)  # first, as it may refuse
        if form == "tsv":
            yield "\t".join(("utterance", "token", "seconds", "low", "high", "probability"))
        for utterance, times in zip(items, times_of_items, strict=True):
            if form == "ctm":
                starts = [Boundary(0.0, 0.0, 0.0), *times.boundaries][:-1]
                yield from ctm(utterance.name, times.segments(utterance.tokens), times.confidences, starts)
                continue
            for token, boundary, confidence in zip(utterance.tokens, *times, strict=True):
                seconds = (f"{value:.3f}" for value in boundary)
                yield "\t".join((utterance.name, token, *seconds, f"{confidence:.4f}"))

    def _align_files(self, items: Sequence[Utterance], of: str, form: str) -> Iterator[tuple[str, str]]:
        plain = ("".join(c if c.isalnum() or c in "-_." else "_" for c in item.name) for item in items)
        names, times_of_items = distinct(list(plain)), token_times(self, items, of)
        frame_seconds = self.description.frame_seconds
        for name, utterance, times in zip(names, items, times_of_items, strict=True):
            segments, lasts = times.segments(utterance.tokens), utterance.length * frame_seconds
            tiers = [("tokens", segments)]
            if utterance.segments:  # which may end a little after the last frame
                gold = [Segment(min(a, lasts), min(b, lasts), token) for a, b, token in utterance.segments]
                tiers.append(("reference", gold))
            ends = zip(times.boundaries, segments, strict=True)  # of segments, as these are in order
            points = [boundary._replace(time=segment.end) for boundary, segment in ends]
            yield f"{name}.TextGrid", textgrid(lasts, tiers, points)

    def _plot(self, items: Sequence[Utterance], count: int, names: Sequence[str]) -> Figures:
        from hardpp.diagnostics.emission_plot import emission_figure

        utterance_names = [utterance.name for utterance in items]
        files = file_names(utterance_names)
        guided = self.network.form != "ctc" and self.family.guides[self.config.guide].trained
        views = ("guide", "posterior") if guided else ("posterior",)
        for index in named_items(utterance_names, names, count, "utterances"):
            utterance, batch = items[index], self.batch([items[index]])
            panels = [(view, token_frames(self, batch, view)[0].cpu().numpy()) for view in views]
            figure = emission_figure(
                panels,
                (*utterance.tokens, END),
                self.description.frame_seconds,
                utterance.read().numpy(),
                ends=[segment.end for segment in utterance.segments],
                title=utterance.name,
            )
            yield files[index], figure
