"""How a command told that something was wrong: what its exit code and its words are worth."""

LONGEST = 1500  # characters of a message with its hint
CODES = (0, 2, 3, 4, 5, 6)  # that a command may end with


def verdict(code: int | None, said: str) -> str:
    """ "ended well", "refused", or what is wrong with how a command ended.

    Args:
        code: its exit code; minus a signal's number; None where it had to be killed.
        said: all that it printed.
    """
    if code is None:
        return "did not end"
    if code < 0:
        return f"died of signal {-code}"
    if "Traceback (most recent call last)" in said:
        return f"traceback: {said.strip().splitlines()[-1][:160]}"
    if code not in CODES:
        return f"exit code {code}"
    if code == 0:
        return "ended well"
    lines = [line for line in said.splitlines() if line.startswith(("hardpp: ", "  hint: ", "Error: "))]
    if not lines:
        return f"exit code {code} without a sentence"
    if sum(map(len, lines)) > LONGEST:
        return f"a message of {sum(map(len, lines))} characters"
    return "refused"


def is_fault(told: str) -> bool:
    """Is a verdict one that must not be?"""
    return told not in ("ended well", "refused")
