"""Options of the networks of alignment models."""

from typing import Literal

from pydantic import Field

from hardpp.config import Section


class AlignmentNetwork(Section):
    """Sizes of the model's and the guide's networks."""

    embedding: int = Field(128, ge=1, description="features of a symbol")
    encoder: int = Field(128, ge=1, description="features of each direction of the source reader")
    encoder_layers: int = Field(1, ge=1, description="of the encoder")
    skip: bool = Field(False, description="attended positions also hold the features of their own symbol")
    decoder: int = Field(320, ge=1, description="features of the decoder and the readout")
    decoder_layers: int = Field(1, ge=1, description="of the decoder")
    scorer: Literal["bilinear", "additive"] = Field("bilinear", description="of the prior over positions")
    guide: int = Field(64, ge=1, description="features of each direction of the guide's readers")
    dropout: float = Field(0.45, ge=0, lt=1, description="of the model's hidden features")
    embedding_dropout: float = Field(0.2, ge=0, lt=1, description="of the features of symbols")
    symbol_dropout: float = Field(0.1, ge=0, lt=1, description="of whole previous symbols")
    guide_dropout: float = Field(0.1, ge=0, lt=1, description="of the guide's hidden features")
    looks: Literal["attention", "chain"] = Field(
        "attention", description="chain: words by themselves, and moves from one to the next (word alignment)"
    )
    reach: int = Field(10, ge=1, description="positions that moves of a chain tell apart, each way")
    history: int = Field(
        32, ge=1, description="features of a previous symbol that moves of a chain depend on"
    )
