"""Run the command line as ``python -m tradelab``."""

from tradelab.app.cli import main

if __name__ == "__main__":
    main()
