"""`hardpp` and `python -m hardpp` are the command line."""

from hardpp.verbs.interrupts import end_at_once


def main() -> None:
    """Runs the command line; an interrupt, even before it is imported, leaves no traceback."""
    end_at_once()
    from hardpp.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
