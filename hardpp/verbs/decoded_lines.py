"""What a run says, as lines: text for people, TSV and JSON for programs; each as soon as it is known."""

import json
from collections.abc import Iterable, Iterator
from math import isnan
from typing import TYPE_CHECKING, Any

from hardpp.verbs.tables import finite

if TYPE_CHECKING:
    from hardpp.tasks.answers.decoded import Decoded, Hypothesis

STYLES = ("text", "tsv", "json")
RESULTS = ("vqa",)  # those of some families alone


def decoded_lines(
    decoded: Iterable["Decoded"],
    style: str,
    *,
    ranked: bool = False,
    scored: bool = False,
    looked_up: bool = False,
) -> Iterator[str]:
    """Lines of a style: one for each item, with a score or not, or one for each of its ranked hypotheses.

    In TSV a last column says who said it, `listed` or `model`, where some were `looked_up`.
    """
    if style == "json":
        yield from _array(_object(each) for each in decoded)
        return
    if style == "vqa":
        yield from _array(_result(each) for each in decoded if each.name)
        return
    for each in decoded:
        named, found = [each.name] if style == "tsv" else [], each.hypotheses
        by = [_by(each)] if looked_up and style == "tsv" else []
        if not ranked:
            scores = (_cells(found[0]) if found else [""] * 3) if scored else []
            yield "\t".join([*named, each.text, *scores, *by])
        elif style == "tsv":
            rows = [[str(rank), one.text, *_cells(one)] for rank, one in enumerate(found, start=1)]
            yield from ("\t".join([*named, *row, *by]) for row in rows or [[""] * 5])
        else:
            yield each.name
            yield from (f"  {_rounded(one)} {one.text}" for one in found)


def _by(decoded: "Decoded") -> str:
    if decoded.listed:
        return "listed"
    return "model" if decoded.name else ""  # nobody says anything of a blank line


def _rounded(hypothesis: "Hypothesis") -> str:
    if isnan(hypothesis.log_prob):
        return "listed "
    probability = hypothesis.probability
    text = f"{probability:.4f}" if probability >= 5e-4 else f"{probability:.0e}".rjust(6)
    return f"{text}{' ' if hypothesis.exact else '~'}"


def _cells(hypothesis: "Hypothesis") -> list[str]:
    if isnan(hypothesis.log_prob):
        return ["", "", "listed"]
    exact = "exact" if hypothesis.exact else "approximate"
    return [f"{hypothesis.log_prob:.6f}", f"{hypothesis.probability:.6g}", exact]


def _object(decoded: "Decoded") -> dict[str, Any]:
    # JSON has no word for minus infinity, the log of a probability too small for a float: it becomes null.
    said: dict[str, Any] = {"name": decoded.name, "text": decoded.text}
    if decoded.listed:
        said["listed"] = True
    if decoded.cut:
        said["cut"] = decoded.cut
    if found := [_hypothesis(one) for one in decoded.hypotheses]:
        said["hypotheses"] = found
    return said


def _hypothesis(one: "Hypothesis") -> dict[str, Any]:
    scores = {"log_prob": one.log_prob, "exact": one.exact, "probability": one.probability}
    return {"text": one.text, **finite(scores)}


def _result(decoded: "Decoded") -> dict[str, Any]:
    key = int(decoded.key) if decoded.key.isdecimal() else decoded.key
    return {"question_id": key, "answer": decoded.text}


# A JSON array, an element a line.
def _array(objects: Iterable[dict[str, Any]]) -> Iterator[str]:
    comma = "["
    for each in objects:
        yield f"{comma}{json.dumps(each, ensure_ascii=False, allow_nan=False)}"
        comma = ","
    yield "]" if comma == "," else "[]"
