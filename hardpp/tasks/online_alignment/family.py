"""Online alignment: frames of speech, read in order, and the tokens said as they come.

Sources: Lawson et al. (2018) for model and guide; the presets `small` and the settings are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from hardpp.config import DataConfig, RunConfig
from hardpp.data.speech import corpora
from hardpp.data.speech.batches import buckets, check_lengths, collate
from hardpp.data.speech.utterances import SpeechCorpus
from hardpp.errors import UsageError
from hardpp.tasks.family import Programs
from hardpp.tasks.online_alignment import data as speech_data
from hardpp.tasks.online_alignment.network import OnlineNetwork, programs, topology
from hardpp.tasks.online_alignment.recognition import OnlineDecoding
from hardpp.tasks.online_alignment.run import SpeechVerbs
from hardpp.types import SequenceBatch

_DRAWN = ("reinforce", "elbo", "nvil", "vimco", "vimco-temporal")  # Lawson et al.'s systems


class OnlineAlignmentTask(SpeechVerbs):
    """Recognition with hard monotonic alignments; see `hardpp.tasks.family.Task`."""

    name: str = "online-alignment"
    summary: str = "tokens of speech, each said at a frame that is decided online (Lawson et al. 2017)"
    unit: str = "token"
    network: type[BaseModel] = OnlineNetwork
    presets: Mapping[str, Mapping[str, Any]] = {
        "small": {},
        "paper": {
            "network": {
                "hidden": 256,
                "layers": 2,
                "reader": 256,
                "reader_layers": 4,
                "guide": 256,
                "guide_layers": 2,
            },
            "options": {
                **{name: {"particles": 16} for name in _DRAWN},
                "reinforce": {"particles": 16, "entropy_bonus": 1.0, "entropy_bonus_steps": 200_000},
            },
            "optimiser": {"learning_rate": 7e-5, "weight_decay": 1e-3},
            # As many epochs as make the 850,000 steps of the published curves, of 16 utterances of TIMIT.
            "training": {
                "weight_noise": 0.15,
                "weight_noise_steps": 200_000,
                "max_epochs": 3700,
                "patience": 3700,
            },
        },
    }
    guides: Mapping[str, str] = {
        "variational": "has heard all frames, and knows the token to be said (Lawson et al. 2017)",
        "prior": "the model's own decisions: REINFORCE (Luo et al. 2016)",
    }
    data_sets: Sequence[str] = corpora.NAMES
    data: type[DataConfig] = speech_data.SpeechData
    decoding: type[BaseModel] = OnlineDecoding

    def settings(self, data: str) -> Mapping[str, Any]:
        """What is recommended for speech."""
        # Measured: phones are learnt faster with both, digits without (docs/benchmarks.md).
        phones = data != "spoken-digits"
        bonus = {"entropy_bonus": 1.0, "entropy_bonus_steps": 1000} if phones else {}
        return {
            "network": {"even": phones},
            "objective": "vimco",
            "guides": {"reinforce": "prior"},
            "single_particle_baseline": "average",
            # Two particles at the same step are at different tokens, so they are compared as wholes.
            "options": {"vimco": {"control": "geometric"}, "elbo": {"credit": "global"}, "reinforce": bonus},
            "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.01, "average": 0.99},
            "training": {"batch_size": 16, "max_epochs": 20},
        }

    def load(self, config: speech_data.SpeechData, report: Callable[[str], None]) -> SpeechCorpus:
        """The utterances: a named corpus, fetched or made if need be, or the user's own."""
        return speech_data.load(config, report)

    def describe(self, data: SpeechCorpus) -> dict[str, Any]:
        """Tokens, frames, how tokens are scored, and the data's fingerprint."""
        return speech_data.describe(data)

    def build(self, config: RunConfig, description: Mapping[str, Any]) -> Programs:
        """Model and guide.

        Raises:
            UsageError: a guide or an objective that the network's form has no use for, or dreams.
        """
        sizes = OnlineNetwork(**config.network)
        if sizes.form == "ctc" and config.objective != "exact":
            raise UsageError(
                f"CTC sums its alignments out: there is nothing for objective {config.objective!r} to draw",
                "give --objective exact, which needs no guide",
            )
        if config.inference.get("insomnia", 1) < 1:
            raise UsageError(
                "tokens are drawn one by one, by decoding, so a model of decisions cannot dream them",
                "give --set inference.insomnia=1",
            )
        if sizes.form == "online" and config.objective == "exact":
            raise UsageError(
                "decisions of the online form depend on all before them, so exact has no sum over them",
                "give --set network.form=transducer",
            )
        return programs(sizes, config.guide, description)

    def epoch_batches(
        self, config: RunConfig, data: SpeechCorpus, description: Mapping[str, Any]
    ) -> Callable[[int], Sequence[Callable[[], SequenceBatch]]]:
        """Length-bucketed batches of the training part, shuffled by the seed and the epoch."""
        known = speech_data.vocabulary(description)

        def epoch(number: int) -> Sequence[Callable[[], SequenceBatch]]:
            found = buckets(data.train, config.training.batch_size, config.seed, number)
            return [partial(collate, [data.train[row] for row in rows], known) for rows in found]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: SpeechCorpus, description: Mapping[str, Any]
    ) -> list[SequenceBatch]:
        """The dev part by length.

        Raises:
            DataError: an utterance of any part has more tokens than the topology allows for its frames.
        """
        # Here, since every run comes by before its first step, and `--dry-run` goes no further.
        for part in (data.train, data.dev, data.test):
            check_lengths(part, speech_data.vocabulary(description), topology(config))
        return [batch for _, batch in speech_data.ordered_batches(data.dev, description)]
