"""The networks of online alignment, in three forms, what each form lacks, and their options."""

from collections.abc import Mapping
from math import log
from typing import Any, Literal, NamedTuple, get_args

from pydantic import Field
from torch import nn

from hardpp.config.section import WIDEST, Section
from hardpp.data.speech.batches import Topology
from hardpp.data.vocabulary import BOUNDARY
from hardpp.errors import UsageError
from hardpp.guides.online_alignment import TargetInformed
from hardpp.models.ctc import CTC
from hardpp.models.online_alignment import OnlineAlignment
from hardpp.models.transducer import TransducerAlignment
from hardpp.nn.readout import Joint
from hardpp.nn.recurrent import BidirectionalLSTM, StepwiseLSTM
from hardpp.tasks.family import Lack
from hardpp.tasks.online_alignment.data import SpeechDescription
from hardpp.types import Need


class OnlineNetwork(Section):
    """Sizes of the model's and the guide's networks."""

    form: Literal["online", "transducer", "ctc"] = Field(
        "online",
        description="what decisions depend on: all before them (Lawson et al.); only on how many frames and "
        "tokens have gone by, so that sums over alignments are exact (RNN-T); or CTC",
    )
    dwell: bool = Field(True, description="an emission stays at its frame; if not it takes the frame along")
    embedding: int = Field(32, ge=1, le=WIDEST, description="features of a token")
    hidden: int = Field(
        128, ge=1, le=WIDEST, description="features of the model's LSTMs, which read forwards"
    )
    layers: int = Field(1, ge=1, le=100, description="of the model's LSTMs")
    reader: int = Field(
        64, ge=1, le=WIDEST, description="features of each direction of the guide's reader of frames"
    )
    reader_layers: int = Field(1, ge=1, le=100, description="of the guide's reading of all frames")
    guide: int = Field(64, ge=1, le=WIDEST, description="features of the guide's LSTM over decisions")
    guide_layers: int = Field(1, ge=1, le=100, description="of the guide's own recurrence")
    even: bool = Field(
        True,
        description="the guide starts with all paths alike; if not, emitting as often as there are tokens",
    )

    @property
    def topology(self) -> Topology:
        """What the model lets a frame do, which decides how many tokens fit into frames."""
        if self.form == "ctc":
            return "ctc"
        return "dwell" if self.dwell else "no-dwell"


class SpeechParts(NamedTuple):
    """A model of one of the three forms, and what a guide is made from."""

    model: OnlineAlignment | TransducerAlignment | CTC
    network: OnlineNetwork
    description: SpeechDescription


def speech_parts(network: OnlineNetwork, description: SpeechDescription) -> SpeechParts:
    """Makes the model."""
    features, symbols = description.features, len(description.tokens)
    model: OnlineAlignment | TransducerAlignment | CTC
    if network.form == "ctc":
        frames = StepwiseLSTM(features, network.hidden, network.layers)
        model = CTC(frames, nn.Linear(network.hidden, symbols), boundary=BOUNDARY)
        return SpeechParts(model, network, description)
    embedding = nn.Embedding(symbols, network.embedding)
    emission = _emission(network.hidden, network, description)
    readout = nn.Linear(network.hidden, symbols)
    kind: Any = {"dwell": network.dwell, "boundary": BOUNDARY}
    if network.form == "online":
        recurrence = StepwiseLSTM(features + 1 + network.embedding, network.hidden, network.layers)
        model = OnlineAlignment(embedding, recurrence, emission, readout, **kind)
    else:
        model = TransducerAlignment(
            StepwiseLSTM(features, network.hidden, network.layers),
            embedding,
            StepwiseLSTM(network.embedding, network.hidden, 1),
            Joint(network.hidden, network.hidden, network.hidden),
            emission,
            readout,
            **kind,
        )
    return SpeechParts(model, network, description)


def target_informed_guide(parts: SpeechParts) -> nn.Module:
    """The guide that has heard all frames and knows the token to be said; it shares nothing with the model.

    Raises:
        UsageError: the model is CTC.
    """
    _, network, description = parts
    if network.form == "ctc":
        raise UsageError(
            "CTC sums its alignments out: there is nothing for guide 'variational' to draw",
            "give --objective exact, which needs no guide",
        )
    reader = BidirectionalLSTM(description.features, network.reader, network.reader_layers)
    recurrence = StepwiseLSTM(reader.features + 1 + network.embedding, network.guide, network.guide_layers)
    embedding = nn.Embedding(len(description.tokens), network.embedding)
    emission = nn.Linear(network.guide, 1) if network.even else _emission(network.guide, network, description)
    kind: Any = {"dwell": network.dwell, "boundary": BOUNDARY, "even": network.even}
    return TargetInformed(reader, embedding, recurrence, emission, **kind)


# Starts by emitting as often as utterances have tokens: at even chances all would be said at once, at the
# beginning, and what is never tried late is not learnt (Luo et al. 2016).
def _emission(features: int, network: OnlineNetwork, description: SpeechDescription) -> nn.Linear:
    layer, rate = nn.Linear(features, 1), description.mean_tokens_per_frame
    nn.init.constant_(layer.bias, log(rate) if network.dwell else log(rate / max(1 - rate, 0.05)))
    return layer


_OF_CTC = Lack(
    "CTC sums its alignments out: there is nothing for objective {objective!r} to draw",
    "give --objective exact, which needs no guide",
)
_OF_DECISIONS: dict[Need, Lack] = {
    "enumerable": Lack(
        "all decisions of an alignment are one latent, which objective {objective!r} cannot sum over",
        "give an objective that draws alignments, such as vimco, or exact with --set network.form=transducer",
    ),
    "relaxable": Lack(
        "a decision is to emit or to go on and nothing between, so objective {objective!r} cannot relax it",
        "give an objective that draws alignments, such as vimco, and a baseline that is not soft-attention",
    ),
    "predictions": Lack(
        "not every decision says a token, so none can be right there, as objective {objective!r} asks",
        "give an objective that takes the likelihood for its reward, such as reinforce",
    ),
    "dreams": Lack(
        "tokens are drawn one by one, by decoding, so a model of decisions cannot dream them",
        "give --set inference.insomnia=1",
    ),
}
_OF_ONLINE: dict[Need, Lack] = {
    "marginal": Lack(
        "decisions of the online form depend on all before them, so {objective} has no sum over them",
        "give --set network.form=transducer",
    ),
}


def lacks(network: OnlineNetwork) -> Mapping[Need, Lack]:
    """What objectives may need and models of a form do not have."""
    if network.form == "ctc":
        return dict.fromkeys(set(get_args(Need)) - {"marginal"}, _OF_CTC)
    return _OF_DECISIONS if network.form == "transducer" else _OF_DECISIONS | _OF_ONLINE
