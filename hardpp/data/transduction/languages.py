"""Which language of a parallel text is translated into which."""

from collections.abc import Collection

from hardpp.errors import UsageError

_TARGETS = ("en", "tgt")  # what is translated into when nothing else was said


def translation_direction(
    place: str, languages: Collection[str], source: str | None = None, target: str | None = None
) -> tuple[str, str]:
    """Decide the source and the target language.

    What was not said is the other one of two languages, or English (or "tgt") as the target.

    Args:
        place: Where the text lies, for messages.
        languages: Of which there is text.
        source: The source language, if it was said.
        target: The target language, if it was said.

    Raises:
        UsageError: What was said is not there, or is not enough; the message lists the languages.
    """
    names = sorted(languages)
    present = f"{place}: there is text in {' and '.join(names) or 'no language'}"
    for name in (source, target):
        if name is not None and name not in names:
            raise UsageError(f"{present}, but not in {name!r}")
    if source is not None and source == target:
        raise UsageError(f"{place}: {source!r} cannot be both source and target")
    if len(names) < 2:
        raise UsageError(f"{present}, and two languages are needed")
    if target is None:
        candidates = [name for name in names if name != source]
        usual = [name for name in _TARGETS if name in candidates]
        if not usual and len(candidates) > 1:
            raise UsageError(f"{present}: which is translated into?", "say the target language")
        target = usual[0] if usual else candidates[0]
    if source is None:
        candidates = [name for name in names if name != target]
        if len(candidates) > 1:
            raise UsageError(f"{present}: which is translated into {target!r}?", "say the source language")
        source = candidates[0]
    return source, target
