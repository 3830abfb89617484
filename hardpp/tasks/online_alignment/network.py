"""The networks of online alignment, in three forms, and their options."""

from collections.abc import Mapping
from math import log
from typing import Any, Literal

from pydantic import Field
from torch import nn

from hardpp.config import RunConfig, Section
from hardpp.data.speech.batches import Topology
from hardpp.data.vocabulary import BOUNDARY
from hardpp.errors import UsageError
from hardpp.guides.online_alignment import TargetInformed
from hardpp.guides.prior import Prior
from hardpp.models.ctc import CTC
from hardpp.models.online_alignment import OnlineAlignment
from hardpp.models.transducer import TransducerAlignment
from hardpp.nn.joint import Joint
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.nn.stepwise_lstm import StepwiseLSTM
from hardpp.tasks.family import Programs

Form = Literal["online", "transducer", "ctc"]


class OnlineNetwork(Section):
    """Sizes of the model's and the guide's networks."""

    form: Form = Field(
        "online",
        description="what decisions depend on: all before them (Lawson et al.); only on how many frames and "
        "tokens have gone by, so that sums over alignments are exact (RNN-T); or CTC",
    )
    dwell: bool = Field(True, description="an emission stays at its frame; if not it takes the frame along")
    embedding: int = Field(32, ge=1, description="features of a token")
    hidden: int = Field(128, ge=1, description="features of the model's LSTMs, which read forwards")
    layers: int = Field(1, ge=1, description="of the model's LSTMs")
    reader: int = Field(64, ge=1, description="features of each direction of the guide's reader of frames")
    reader_layers: int = Field(1, ge=1, description="of the guide's reading of all frames")
    guide: int = Field(64, ge=1, description="features of the guide's LSTM over decisions")
    guide_layers: int = Field(1, ge=1, description="of the guide's own recurrence")
    even: bool = Field(
        True,
        description="the guide starts with all paths alike; if not, emitting as often as there are tokens",
    )


def form(config: RunConfig) -> Form:
    """What the decisions of a run's model depend on."""
    return OnlineNetwork(**config.network).form


def topology(config: RunConfig) -> Topology:
    """What the run's model lets a frame do, which decides how many tokens fit into frames."""
    sizes = OnlineNetwork(**config.network)
    if sizes.form == "ctc":
        return "ctc"
    return "dwell" if sizes.dwell else "no-dwell"


def programs(sizes: OnlineNetwork, guide: str, description: Mapping[str, Any]) -> Programs:
    """Model and guide.

    Raises:
        UsageError: a guide that the model has no use for.
    """
    features, symbols = int(description["features"]), len(description["tokens"])
    if sizes.form == "ctc":
        if guide != "prior":
            raise UsageError(
                f"CTC sums its alignments out: there is nothing for guide {guide!r} to draw",
                "give --objective exact, which needs no guide",
            )
        frames = StepwiseLSTM(features, sizes.hidden, sizes.layers)
        classifier = CTC(frames, nn.Linear(sizes.hidden, symbols), boundary=BOUNDARY)
        return Programs(classifier, Prior(classifier))
    embedding = nn.Embedding(symbols, sizes.embedding)
    model: OnlineAlignment | TransducerAlignment
    rate = float(description["mean_tokens_per_frame"])
    logit = log(rate) if sizes.dwell else log(rate / max(1 - rate, 0.05))
    emission, readout = _emission(sizes.hidden, logit), nn.Linear(sizes.hidden, symbols)
    kind: Any = {"dwell": sizes.dwell, "boundary": BOUNDARY}
    if sizes.form == "online":
        recurrence = StepwiseLSTM(features + 1 + sizes.embedding, sizes.hidden, sizes.layers)
        model = OnlineAlignment(embedding, recurrence, emission, readout, **kind)
    else:
        model = TransducerAlignment(
            StepwiseLSTM(features, sizes.hidden, sizes.layers),
            embedding,
            StepwiseLSTM(sizes.embedding, sizes.hidden, 1),
            Joint(sizes.hidden, sizes.hidden, sizes.hidden),
            emission,
            readout,
            **kind,
        )
    if guide == "prior":
        return Programs(model, Prior(model))
    if guide != "variational":
        raise UsageError(f"online alignment has no guide {guide!r}", "give --guide variational or prior")
    reader = BidirectionalLSTM(features, sizes.reader, sizes.reader_layers)
    decider = StepwiseLSTM(reader.features + 1 + sizes.embedding, sizes.guide, sizes.guide_layers)
    own = nn.Embedding(symbols, sizes.embedding)
    decides = nn.Linear(sizes.guide, 1) if sizes.even else _emission(sizes.guide, logit)
    return Programs(model, TargetInformed(reader, own, decider, decides, even=sizes.even, **kind))


# Starts by emitting as often as utterances have tokens: at even chances all would be said at once, at the
# beginning, and what is never tried late is not learnt (Luo et al. 2016).
def _emission(features: int, logit: float) -> nn.Linear:
    layer = nn.Linear(features, 1)
    nn.init.constant_(layer.bias, logit)
    return layer
