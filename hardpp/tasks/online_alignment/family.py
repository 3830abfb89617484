"""Online alignment: frames of speech, read in order, and the tokens said as they come.

Sources: Lawson et al. (2018) for model, guide and the preset `paper`, whose entropy bonus is that of Luo et
al. (2016); the preset `small` and the settings are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hardpp.config import RunConfig
from hardpp.data.batches import in_order
from hardpp.data.parts import PARTS
from hardpp.data.speech import corpora, timit
from hardpp.data.speech.batches import buckets, collate, fitting, token_vocabulary
from hardpp.data.speech.sound_remarks import levels_of, remarks
from hardpp.data.speech.utterances import SpeechCorpus
from hardpp.decoding.online_hypotheses import OnlineModel
from hardpp.errors import DataError
from hardpp.tasks.family import (
    AlignmentForm,
    EpochBatches,
    Family,
    GuideSpec,
    Lack,
    Recommended,
    Toy,
    prior_guide,
)
from hardpp.tasks.metrics.error_rates import phone_error_rate
from hardpp.tasks.online_alignment import network as networks
from hardpp.tasks.online_alignment.data import BATCH, SpeechData, SpeechDescription, speech_options
from hardpp.tasks.online_alignment.evaluation import OnlineDecoding, recognise
from hardpp.tasks.online_alignment.run import OnlineAlignmentRun
from hardpp.tasks.online_alignment.toy import toy
from hardpp.tasks.opened_run import Report
from hardpp.types import Need, SequenceBatch

# As many epochs as make the 850,000 steps of the published curves, of 16 utterances of TIMIT.
_LENGTH = {"max_epochs": 3700, "patience": 3700}
_SIZES = {"hidden": 256, "layers": 2, "reader": 256, "reader_layers": 4, "guide": 256, "guide_layers": 2}
_PAPER = {
    "network": _SIZES,
    "optimiser": {"learning_rate": 7e-5, "weight_decay": 1e-3},
    "training": {"weight_noise": 0.15, "weight_noise_steps": 200_000, **_LENGTH},
}
_PAPER_OPTIONS: dict[str, dict[str, Any]] = {
    **{objective: {"particles": 16} for objective in ("elbo", "nvil", "vimco", "vimco-temporal")},
    "reinforce": {"particles": 16, "entropy_bonus": 1.0, "entropy_bonus_steps": 200_000},
}
_UNCERTAIN: dict[str, bool] = {"intervals": True, "calibrated": True}


class OnlineAlignmentFamily(Family):
    """Recognition with hard monotonic alignments."""

    name = "online-alignment"
    summary = "tokens of speech, each said at a frame that is decided online (Lawson et al. 2017)"
    unit = "a token"
    data = SpeechData
    network = networks.OnlineNetwork
    decoding = OnlineDecoding
    description = SpeechDescription
    run = OnlineAlignmentRun
    presets = {
        "small": Recommended(summary="minutes of a CPU"),
        "paper": Recommended(
            _PAPER, options=_PAPER_OPTIONS, summary="sizes and settings of Lawson et al. (2018), for a GPU"
        ),
    }
    guides = {
        "variational": GuideSpec(
            "has heard all frames, and knows the token to be said (Lawson et al. 2017)",
            networks.target_informed_guide,
        ),
        "prior": GuideSpec("the model's own decisions: REINFORCE (Luo et al. 2016)", prior_guide, False),
    }
    protocol = OnlineModel
    data_sets = corpora.NAMES
    alignment_forms = {
        "tsv": AlignmentForm(
            "utterance, token, when it starts and ends, each with the interval of that (seconds; 89 % of the "
            "posterior, or --mass), probability of the likeliest frame",
            **_UNCERTAIN,
        ),
        "textgrid": AlignmentForm(
            "for Praat, NAME.TextGrid for NAME.wav: tokens, known times, and the bounds of starts and ends, "
            "the n-th point of these tiers for the n-th token",
            files=True,
            **_UNCERTAIN,
        ),
        "ctm": AlignmentForm(
            "a line a token: recording, 1, start, duration, token, probability", calibrated=True
        ),
        "ctm-intervals": AlignmentForm(
            "the same with start_low, start_high, end_low and end_high", **_UNCERTAIN
        ),
    }
    reliability = {
        "ends of tokens": "shares of known ends that intervals of 25 to 95 % hold",
        "starts of tokens": "the same of starts, but for first tokens",
    }
    reads = ("lists", "speech")
    layouts = {
        "FOLDER/TRAIN, TEST": "TIMIT, names in either case",
        "FILE.tsv": "lines of a sound file's PATH TAB tokens with blanks between them, split by the CRC-32 "
        "of paths",
        "FOLDER/train.tsv": "the same with dev.tsv and test.tsv beside it",
        "FOLDER/X.wav, X.TextGrid": "sounds with labels (TextGrid, .phn, .lab, Audacity) or text beside them",
        "FOLDER/wav.scp, text": "Kaldi; Common Voice, LibriSpeech, LJSpeech, JSON lines, CTM: docs/data.md",
    }
    trust = ("coverage", "coverage_aligned", "interval")
    nbest = (
        "transcripts that a beam found; alignments are summed out by transducer and ctc, and by online over "
        "paths that the beam merged (an estimate); ctc has one, its best path"
    )
    figures = {
        "PER, WER": "edits a token, and the share of utterances with any",
        "nll, nll_is": "nats a token, with the end mark: exact, or a bound",
        "delay": "milliseconds from a token's end to its recognition, of tokens recognised rightly",
        "boundary, lag": "milliseconds from a token's end to the median of the posterior over its time: the "
        "mean distance, and the mean with signs",
        "interval, coverage": "milliseconds of 89 % intervals of that posterior, and the share of ends they "
        "hold",
        "boundary_aligned, coverage_aligned": "what is left of both without the lag",
        "utterances, step": "how many; the run's step",
    }
    inputs = "a sound file, a folder of them, or a list of them, one a line"

    def recommended(self, data: str) -> Recommended:
        # Measured: phones are learnt faster with both, digits without (docs/benchmarks.md). A user's own
        # speech counts as phones.
        phones = data != "spoken-digits"
        # Measured on 70 strings of digits, two seeds: at a tenth of the level PER is .90 and .92 (.25 and .19
        # at their own); with equal levels it is .23 and .12 (.23 and .15).
        own = data not in corpora.NAMES and not timit.is_timit(Path(data))
        bonus = {"entropy_bonus": 1.0, "entropy_bonus_steps": 1000} if phones else {}
        return Recommended(
            {
                "network": {"even": phones},
                "objective": "vimco",
                "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.01, "average": 0.99},
                "training": {"batch_size": 16, "max_epochs": 20},
                **({"data": {"level": "equal", "normalise": "NFC"}} if own else {}),
            },
            guides={"reinforce": "prior"},
            # Two particles at the same step are at different tokens, so they are compared as wholes.
            options={"vimco": {"control": "geometric"}, "elbo": {"credit": "global"}, "reinforce": bonus},
            single_particle_baseline="average",
        )

    def lacks(self, network: networks.OnlineNetwork) -> Mapping[Need, Lack]:
        return networks.lacks(network)

    def toy(self) -> Toy:
        return toy()

    def load(self, config: SpeechData, report: Report) -> SpeechCorpus:
        options = speech_options(config)
        corpus = corpora.corpus(config.name, options, report)
        for sentence in remarks([*corpus.train, *corpus.dev, *corpus.test]):
            report(sentence)
        return corpus._replace(train=corpus.train[: config.train_limit])

    def describe(self, data: SpeechCorpus) -> SpeechDescription:
        moments = {} if data.normalisation is None else data.normalisation._asdict()
        sizes = [(len(utterance.tokens), utterance.length) for utterance in data.train]
        return SpeechDescription(
            tokens=list(token_vocabulary(data).symbols),
            features=data.train[0].read().shape[-1],
            frame_seconds=data.frame_seconds,
            folding=dict(data.folding),
            tokens_per_frame=max(tokens / frames for tokens, frames in sizes),
            mean_tokens_per_frame=sum(tokens for tokens, _ in sizes) / sum(frames for _, frames in sizes),
            normalisation={name: value.tolist() for name, value in moments.items()},
            longest=max(frames for _, frames in sizes),
            rate=data.rate or 0,
            levels=list(levels_of(data.train) or ()),
            fingerprint=data.fingerprint(),
        )

    def parts(self, network: networks.OnlineNetwork, description: SpeechDescription) -> networks.SpeechParts:
        return networks.speech_parts(network, description)

    def usable(
        self, config: RunConfig, data: SpeechCorpus, description: SpeechDescription, report: Report
    ) -> SpeechCorpus:
        settings: Any = config.data
        topology = self.network(**config.network).topology
        stacked = None if data.normalisation is None else settings.stacked
        how: Any = (description.vocabulary, topology, stacked, settings.on_bad, report)
        parts: Any = {part: fitting(getattr(data, part), *how) for part in PARTS}
        for part, utterances in parts.items():
            if not utterances:
                raise DataError(f"{data.name}: no utterance of the {part} part is left")
        return data._replace(**parts)

    def epoch_batches(
        self, config: RunConfig, data: SpeechCorpus, description: SpeechDescription
    ) -> EpochBatches:
        def epoch(number: int) -> Sequence[Callable[[], SequenceBatch]]:
            return [
                partial(collate, [data.train[index] for index in indices], description.vocabulary)
                for indices in buckets(data.train, config.training.batch_size, config.seed, number)
            ]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: SpeechCorpus, description: SpeechDescription
    ) -> list[SequenceBatch]:
        batches = in_order([utterance.length for utterance in data.dev], BATCH)
        return [collate([data.dev[index] for index in batch], description.vocabulary) for batch in batches]

    def outline(self, config: RunConfig, description: SpeechDescription) -> list[str]:
        frames = f"frames of {description.features} features every {1000 * description.frame_seconds:g} ms"
        return [f"{len(description.tokens)} tokens", frames]

    def dev_figures(self, run: OnlineAlignmentRun) -> dict[str, float]:
        utterances = run.select(part="dev", limit=BATCH)
        heard = [transcript.tokens for transcript in recognise(run, utterances, OnlineDecoding())]
        right = [utterance.tokens for utterance in utterances]
        return {"PER": phone_error_rate(heard, right, run.description.folding).symbol}

    def label(self, description: SpeechDescription, batch: SequenceBatch, row: int) -> str:
        ids = batch.target[row, batch.target_mask[row]].tolist()
        return f"the utterance {' '.join(description.vocabulary.decode(ids[:-1]))!r}"
