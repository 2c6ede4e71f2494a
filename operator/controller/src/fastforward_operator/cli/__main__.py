"""`python -m fastforward_operator.cli`: `ff` where the console script is not installed."""

from . import main

if __name__ == "__main__":
    main()
