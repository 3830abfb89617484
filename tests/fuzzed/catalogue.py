"""All readers of files that a user or a stranger may bring, by what they read."""

from fuzzed import pictures, questions, runs, sounds, texts
from fuzzed.reader import Reader

READERS: dict[str, Reader] = {
    **texts.READERS,
    **sounds.READERS,
    **pictures.READERS,
    **questions.READERS,
    **runs.READERS,
}
