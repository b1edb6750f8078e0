"""`python -m cleanhours` is the command `cleanhours`."""

from __future__ import annotations

from cleanhours.apps.cli import main

if __name__ == "__main__":
    main()
