"""Writes the generated table of claims into a README, between its two markers: ``make readme``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

BEGIN, END = "<!-- claims -->", "<!-- /claims -->"


def rendered(text: str, table: str) -> str:
    """The README with the table between the markers.

    Raises:
        ValueError: unless each marker stands exactly once, in order.

    Examples:
        >>> rendered("a <!-- claims --> old <!-- /claims --> b", "new")
        'a <!-- claims -->\\nnew\\n<!-- /claims --> b'
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"expected the markers {BEGIN} and {END} once each")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Verdicts come from the shipped certificates, so the table is the same on every machine."""
    from . import registry
    from .display import markdown_table
    from .store import write_atomically
    from .verification import standing

    path = Path(arguments[0])
    text = path.read_text(encoding="utf-8")
    table = markdown_table(standing(claim) for claim in registry.claims().values())
    write_atomically(path, rendered(text, table))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
