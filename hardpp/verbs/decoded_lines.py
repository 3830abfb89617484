"""What a run says, as lines: text for people, TSV and JSON for programs; each as soon as it is known."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hardpp.verbs.tables import finite

if TYPE_CHECKING:
    from hardpp.tasks.answers.decoded import Decoded, Hypothesis

STYLES = ("text", "tsv", "json")
RESULTS = ("vqa",)  # those of some families alone


def decoded_lines(
    decoded: Iterable["Decoded"], style: str, *, ranked: bool = False, scored: bool = False
) -> Iterator[str]:
    """Lines of a style: one for each item, with a score or not, or one for each of its ranked hypotheses."""
    if style == "json":
        yield from _array(_object(each) for each in decoded)
        return
    if style == "vqa":
        yield from _array(_result(each) for each in decoded if each.name)
        return
    for each in decoded:
        named, found = [each.name] if style == "tsv" else [], each.hypotheses
        if not ranked:
            scores = (_cells(found[0]) if found else [""] * 3) if scored else []
            yield "\t".join([*named, each.text, *scores])
        elif style == "tsv":
            rows = [[str(rank), one.text, *_cells(one)] for rank, one in enumerate(found, start=1)]
            yield from ("\t".join([*named, *row]) for row in rows or [[""] * 5])
        else:
            yield each.name
            yield from (f"  {_rounded(one)} {one.text}" for one in found)


def _rounded(hypothesis: "Hypothesis") -> str:
    probability = hypothesis.probability
    text = f"{probability:.4f}" if probability >= 5e-4 else f"{probability:.0e}".rjust(6)
    return f"{text}{' ' if hypothesis.exact else '~'}"


def _cells(hypothesis: "Hypothesis") -> list[str]:
    exact = "exact" if hypothesis.exact else "approximate"
    return [f"{hypothesis.log_prob:.6f}", f"{hypothesis.probability:.6g}", exact]


def _object(decoded: "Decoded") -> dict[str, Any]:
    # JSON has no word for minus infinity, the log of a probability too small for a float: it becomes null.
    found = [finite({**one._asdict(), "probability": one.probability}) for one in decoded.hypotheses]
    return {"name": decoded.name, "text": decoded.text, **({"hypotheses": found} if found else {})}


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
