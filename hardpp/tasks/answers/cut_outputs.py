"""Outputs that had not ended when they were as long as outputs may be: they are cut off, and that is said."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from hardpp.tasks.answers.decoded import Decoded

_TOLD = 5  # such outputs named one by one


def telling_cuts(
    answers: Iterable[Decoded], where: Callable[[int], str], report: Callable[[str], None]
) -> Iterator[Decoded]:
    """The answers as they come; of those that were cut off the first are named, and the others counted.

    Args:
        answers: in the order of the items.
        where: where an item is to be found, by its index.
        report: told.
    """
    count = 0
    for index, answer in enumerate(answers):
        if answer.cut:
            count += 1
            if count <= _TOLD:
                report(f"warning: {where(index)}: {_cut_off(answer.cut)}")
        yield answer
    if count > _TOLD:
        report(f"warning: {count - _TOLD} more outputs were cut off in the same way")


def tell_remarks(
    remarks: Sequence[tuple[int, str]], where: Callable[[int], str], report: Callable[[str], None]
) -> None:
    """Tells why what is said of some items, given by index, may be wrong: of the first, and how many more."""
    for index, sentence in remarks[:_TOLD]:
        report(f"warning: {where(index)}: {sentence}")
    if len(remarks) > _TOLD:
        report(f"warning: the same of {len(remarks) - _TOLD} more")


def cuts_told(cuts: Sequence[int], report: Callable[[str], None]) -> None:
    """Tells how many outputs were cut off, if any were; `cuts` are as of `Decoded`, 0 for one that ended."""
    if some := [cut for cut in cuts if cut]:
        report(
            f"warning: {len(some)} of {len(cuts)} outputs were cut off, the longest of them: "
            f"{_cut_off(max(some))}"
        )


def _cut_off(cut: int) -> str:
    after = f"{cut} symbol{'s' if cut > 1 else ''}"
    return (
        f"the likeliest output had not ended after {after}, where outputs are cut off; "
        f"--max-length {2 * cut} (decoding.max_length) lets them be longer"
    )
