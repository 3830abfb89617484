"""The configuration of speech data."""

from pydantic import Field

from hardpp.config import DataConfig
from hardpp.data.lines import OnBad
from hardpp.data.speech.log_mel import STACKED
from hardpp.data.speech.synthetic_speech import Size
from hardpp.data.speech.timit import PhoneSet


class SpeechData(DataConfig):
    """Which utterances, and how they are heard."""

    size: Size = Field("small", description="of speech that is made")
    phones: PhoneSet = Field(61, description="kinds of phones in TIMIT to train on")
    merged: list[str] = Field([], description="phones of TIMIT of which several in a row count as one")
    mixed: int = Field(0, ge=0, le=100, description="a second speaker in TIMIT, per cent of the first's peak")
    stacked: int = Field(STACKED, ge=1, description="frames of 10 ms of speech that become one")
    on_bad: OnBad = Field(
        "stop",
        description="a recording that cannot be used: refuse the list, or leave it out and say so",
    )
