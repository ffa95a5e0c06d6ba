"""Runs the command line: python -m cnnlab COMMAND."""

import sys

from cnnlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
