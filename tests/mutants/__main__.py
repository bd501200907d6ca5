"""`python -m tests.mutants`: the mutation check (tests.mutants.check)."""

import sys

from tests.mutants.check import main

if __name__ == "__main__":
    sys.exit(main())
