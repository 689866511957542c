"""Files that users name, read up to a bound, so that none fills the memory."""

from __future__ import annotations

from pathlib import Path


def read_bounded(path: Path, most: int, shown: str | None = None) -> bytes:
    """The bytes of a file of at most so many MiB (2^20 bytes); `shown` stands in for its path where that is told.

    Raises:
        ValueError: in one line, for a file that is longer or cannot be read.

    >>> from pathlib import Path
    >>> from tightframe.papers.files import read_bounded
    >>> read_bounded(Path("nowhere"), 1)
    Traceback (most recent call last):
    ValueError: cannot read nowhere (No such file or directory)
    """
    bound = most * 2**20
    try:
        with path.open("rb") as file:
            found = file.read(bound + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except ValueError:  # a null byte
        reason = "no such path"
    else:
        if len(found) <= bound:
            return found
        reason = f"more than {most} MiB"
    raise ValueError(f"cannot read {path if shown is None else shown} ({reason})")
