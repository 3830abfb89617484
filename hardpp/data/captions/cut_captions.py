"""Captions of pictures, cut into words, and said how.

Which words a caption has: `hardpp.data.captions.captioned.words_of`.
"""

from collections.abc import Iterable, Sequence

from hardpp.data.captions.caption_json import Listed
from hardpp.data.captions.captioned import words_of
from hardpp.data.lines import OnBad, Report
from hardpp.data.words import is_unspaced
from hardpp.errors import DataError

CaptionsOf = dict[str, list[tuple[str, ...]]]  # picture -> its sentences

_EXAMPLES, _SHOWN = 3, 5


def cut_captions(listed: Iterable[Listed], on_bad: OnBad, report: Report) -> CaptionsOf:
    """The words of the captions of each picture, which may have none.

    Args:
        listed: The captions.
        on_bad: "stop" at a caption that has no words, or "skip" it.
        report: Told what is left out, and how captions were cut, with three examples.
    """
    captions_of: CaptionsOf = {}
    examples: dict[str, Sequence[str]] = {}
    bad: list[str] = []
    characters = False
    for each in listed:
        of_image = captions_of.setdefault(each.image, [])
        if words := words_of(each.text):
            of_image.append(words)
            characters = characters or any(map(is_unspaced, words))
            if len(examples) < _EXAMPLES:
                examples.setdefault(each.text, words)
        elif each.text or not each.part:
            if on_bad == "stop":
                hint = "leave such captions out with --on-bad skip"
                raise DataError(f"{each.place}: a caption without words", hint)
            bad.append(each.place)
    if bad:
        more = f" (and {len(bad) - _SHOWN} more)" if len(bad) > _SHOWN else ""
        report(f"left out {len(bad)} captions without words: {', '.join(bad[:_SHOWN])}{more}")
    how = "words, and into characters where a script has no blanks" if characters else "words"
    shown = "; ".join(f"{text!r} is {' | '.join(words)}" for text, words in examples.items())
    report(f"captions are cut into {how}, in lower case without punctuation: {shown}")
    return captions_of
