"""The 61 phones of TIMIT, folded to 48 for training and to 39 for scoring.

The glottal stop `q` stands for no phone of the smaller sets and is left out. Closures, pauses and the
silence around an utterance are one phone of the 39, `sil`.

Source: Lee and Hon (1989), Speaker-Independent Phone Recognition Using Hidden Markov Models, table 1.
"""

from collections.abc import Collection, Mapping, Sequence

from hardpp.data.speech.utterances import Segment

# of the 61, of the 48, of the 39; what is not listed is itself in all three
_TABLE = """
ao ao aa    ax ax ah    ax-h ax ah  axr er er   el el l     em m m      en en n     eng ng ng
hv hh hh    ix ix ih    nx n n      ux uw uw    zh zh sh    pau sil sil h# sil sil  epi epi sil
bcl vcl sil dcl vcl sil gcl vcl sil pcl cl sil  tcl cl sil  kcl cl sil
"""
_SAME = """
aa ae ah aw ay b ch d dh dx eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z
"""

_ROWS = [tuple(_TABLE.split()[place : place + 3]) for place in range(0, len(_TABLE.split()), 3)]

TO_48: dict[str, str | None] = {
    **{phone: phone for phone in _SAME.split()},
    **{row[0]: row[1] for row in _ROWS},
    "q": None,
}
"""TIMIT's phones -> the 48, None: left out."""

TO_39: dict[str, str | None] = {
    **{phone: phone for phone in _SAME.split()},
    **{row[0]: row[2] for row in _ROWS},
    **{row[1]: row[2] for row in _ROWS},
    "q": None,
}
"""TIMIT's phones, and the 48 -> the 39, None: left out."""

PHONES = tuple(sorted(TO_48))
"""The 61 phones of TIMIT."""


def fold_phones(
    segments: Sequence[Segment], folding: Mapping[str, str | None], merged: Collection[str] = ()
) -> tuple[Segment, ...]:
    """Fold the labels of segments; the time of a phone that is left out goes to no segment.

    Args:
        segments: In order.
        folding: Label -> what it becomes, None: the segment is left out. A label that is not there stays.
        merged: Labels of which several in a row become one segment, from the first one's start to the last
            one's end.
    """
    result: list[Segment] = []
    for segment in segments:
        label = folding.get(segment.label, segment.label)
        if label is None:
            continue
        if result and label in merged and result[-1].label == label:
            result[-1] = result[-1]._replace(end=segment.end)
        else:
            result.append(segment._replace(label=label))
    return tuple(result)
