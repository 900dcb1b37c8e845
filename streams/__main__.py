"""``python -m streams`` is ``journey``."""

from streams.cli import main

if __name__ == "__main__":
    main()
