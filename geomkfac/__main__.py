"""``python -m geomkfac``: the program, where its script is not on the path."""

from __future__ import annotations

from geomkfac.cli import main

if __name__ == "__main__":
    main()
