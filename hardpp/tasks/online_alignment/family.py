"""Online alignment: frames of speech, read in order, and the tokens said as they come.

Sources: Lawson et al. (2018) for model and guide; the preset `small` and the settings are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import takewhile

from hardpp.config import RunConfig
from hardpp.data.speech import corpora
from hardpp.data.speech.batches import buckets, check_lengths, collate
from hardpp.data.speech.corpora import SpeechOptions
from hardpp.data.speech.utterances import SpeechCorpus
from hardpp.data.vocabulary import BOUNDARY
from hardpp.tasks.family import AlignmentForm, Family, GuideSpec, Lack, Recommended, prior_guide
from hardpp.tasks.online_alignment.batches import ordered_batches
from hardpp.tasks.online_alignment.data import SpeechData
from hardpp.tasks.online_alignment.description import SpeechDescription, describe
from hardpp.tasks.online_alignment.network import (
    OnlineNetwork,
    SpeechParts,
    lacks,
    speech_parts,
    target_informed_guide,
)
from hardpp.tasks.online_alignment.presets import PAPER
from hardpp.tasks.online_alignment.recognition import OnlineDecoding
from hardpp.tasks.online_alignment.run import OnlineAlignmentRun
from hardpp.types import Need, SequenceBatch


class OnlineAlignmentFamily(Family):
    """Recognition with hard monotonic alignments."""

    name = "online-alignment"
    summary = "tokens of speech, each said at a frame that is decided online (Lawson et al. 2017)"
    unit = "token"
    data = SpeechData
    network = OnlineNetwork
    decoding = OnlineDecoding
    description = SpeechDescription
    run = OnlineAlignmentRun
    presets = {"small": Recommended(), "paper": PAPER}
    guides = {
        "variational": GuideSpec(
            "has heard all frames, and knows the token to be said (Lawson et al. 2017)", target_informed_guide
        ),
        "prior": GuideSpec("the model's own decisions: REINFORCE (Luo et al. 2016)", prior_guide, False),
    }
    data_sets = corpora.NAMES
    alignment_forms = {
        "tsv": AlignmentForm(
            "utterance, token, when it was said and the 89 % interval of that (seconds), probability of the "
            "likeliest frame"
        ),
        "textgrid": AlignmentForm("for Praat, with the 89 % interval of each boundary", files=True),
        "ctm": AlignmentForm("a line a token with its start, duration and probability"),
    }
    layouts = {
        "FOLDER/TRAIN, TEST": "TIMIT, names in either case",
        "FILE.tsv": "lines of a sound file's PATH TAB tokens with blanks between them, split by the CRC-32 "
        "of paths",
        "FOLDER/train.tsv": "the same with dev.tsv and test.tsv beside it",
    }
    figures = {
        "PER, WER": "edits a token, and the share of utterances with any",
        "nll, nll_is": "nats a token, with the end mark: exact, or a bound",
        "delay": "milliseconds from a token's end to its recognition, of tokens recognised rightly",
        "boundary, lag": "milliseconds from a token's end to the median of the posterior over its time: the "
        "mean distance, and the mean with signs",
        "interval, coverage": "milliseconds of 89 % intervals of that posterior, and the share of ends they "
        "hold",
        "boundary_aligned, coverage_aligned": "what is left of both without the lag",
        "utterances, step, seconds": "how many; the run's step; seconds of recognising 1,000",
    }
    inputs = "sound files, one a line"

    def recommended(self, data: str) -> Recommended:
        """What is recommended for speech; a user's own counts as phones."""
        # Measured: phones are learnt faster with both, digits without (docs/benchmarks.md).
        phones = data != "spoken-digits"
        bonus = {"entropy_bonus": 1.0, "entropy_bonus_steps": 1000} if phones else {}
        return Recommended(
            {
                "network": {"even": phones},
                "objective": "vimco",
                "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.01, "average": 0.99},
                "training": {"batch_size": 16, "max_epochs": 20},
            },
            guides={"reinforce": "prior"},
            # Two particles at the same step are at different tokens, so they are compared as wholes.
            options={"vimco": {"control": "geometric"}, "elbo": {"credit": "global"}, "reinforce": bonus},
            single_particle_baseline="average",
        )

    def lacks(self, network: OnlineNetwork) -> Mapping[Need, Lack]:
        """Sums over alignments, but of a transducer; of CTC all that there is to draw."""
        return lacks(network)

    def load(self, config: SpeechData, report: Callable[[str], None]) -> SpeechCorpus:
        """The utterances: a named corpus, fetched or made if need be, or the user's own.

        Raises:
            DataError: they cannot be fetched, made or read.
        """
        options = SpeechOptions(**config.model_dump(exclude={"name", "train_limit"}))
        corpus = corpora.corpus(config.name, options, report)
        return corpus._replace(train=corpus.train[: config.train_limit])

    def describe(self, data: SpeechCorpus) -> SpeechDescription:
        """Tokens, frames, how tokens are scored, and the data's fingerprint."""
        return describe(data)

    def parts(self, network: OnlineNetwork, description: SpeechDescription) -> SpeechParts:
        """The model, and the sizes that a guide is made from."""
        return speech_parts(network, description)

    def epoch_batches(
        self, config: RunConfig, data: SpeechCorpus, description: SpeechDescription
    ) -> Callable[[int], Sequence[Callable[[], SequenceBatch]]]:
        """Length-bucketed batches of the training part, shuffled by the seed and the epoch."""

        def epoch(number: int) -> Sequence[Callable[[], SequenceBatch]]:
            return [
                partial(collate, [data.train[index] for index in indices], description.vocabulary)
                for indices in buckets(data.train, config.training.batch_size, config.seed, number)
            ]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: SpeechCorpus, description: SpeechDescription
    ) -> list[SequenceBatch]:
        """The dev part by length.

        Raises:
            DataError: an utterance of any part has more tokens than the topology allows for its frames.
        """
        # Here, since every run comes by before its first step, and `--dry-run` goes no further.
        topology = self.network(**config.network).topology
        for part in (data.train, data.dev, data.test):
            check_lengths(part, description.vocabulary, topology)
        return [batch for _, batch in ordered_batches(data.dev, description)]

    def label(self, description: SpeechDescription, batch: SequenceBatch, row: int) -> str:
        """The utterance as its tokens, without the end mark."""
        ids = takewhile(lambda symbol: symbol != BOUNDARY, batch.target[row].tolist())
        return f"the utterance {' '.join(description.vocabulary.decode(ids))!r}"
