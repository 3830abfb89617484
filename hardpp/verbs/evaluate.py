"""`hardpp evaluate`: figures of a trained run."""

from collections.abc import Callable
from typing import Any

import click

from hardpp.verbs.options import DecodingCommand, run_options, style_option
from hardpp.verbs.tables import table


@click.command(cls=DecodingCommand)
@run_options
@style_option("table", "json", "csv")
def evaluate(run: Any, select: Callable[[], Any], style: str, **decoding: Any) -> None:
    """Measure error rates or BLEU, likelihood, and the gap of the guide.

    PER and WER count edits to the nearest reference; of sentences BLEU is printed instead, with sacreBLEU's
    signature (tok:none where texts were tokenised before: words, and words with @@ marks). nll (PPL is its
    exponential), entropy (of the prior over positions) and kl (of the guide to the exact posterior) are nats
    per symbol, the end mark included; seconds are those of decoding 1,000 pairs.

    Of speech with known times, in milliseconds: delay of recognition after a token's end; of the posterior
    the distance of its median from the end (boundary), its mean with signs (lag), and the length of 89 %
    intervals with the share of ends that they hold (coverage); "aligned" is what is left without the lag.

    Of glimpses: error after the last one and after each (error_1, ...), of one look, and of the mean answer
    of several (error_mean); entropy of where looks end over all images, nats, 0 if always at one place; seen,
    the share of pixels in a sharpest window; where it is known, distance from the object, in pixels. Of
    captions: BLEU-1 to 4, and how often the region of a word lies in its box (hit), by guessing (guess).
    """
    run.decoding(decoding)  # refused before the data are read
    click.echo(table([run.evaluate(select(), **decoding)], style))
