"""`python -m hardpp` is the command line."""

from hardpp.cli import main

if __name__ == "__main__":
    main()
