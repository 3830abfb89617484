"""`hardpp` and `python -m hardpp` are the command line."""

import os
import sys

from hardpp.verbs.interrupts import end_at_once


def main() -> None:
    """Runs the command line; an interrupt, even before it is imported, leaves no traceback."""
    end_at_once()
    if sys.getfilesystemencoding() == "ascii":  # by the locale, in which most names cannot be written
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    from hardpp.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
