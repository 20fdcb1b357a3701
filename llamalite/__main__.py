"""`python -m llamalite`, as torchrun starts it, is the command line."""

import sys

from llamalite.cli import main

if __name__ == "__main__":
    sys.exit(main())
