"""Figures of experiments as ``tightframe simulate NAME --out DIR`` wrote them, read again for a report."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..experiments import Experiment, Numbers, find, modules

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 64 * 1024 * 1024  # of one file; the largest that we write has less than one


@dataclass(frozen=True)
class Figure:
    """What is at hand of an experiment: nothing, or its numbers, and its image if there was anything to draw.

    ``files`` are the contents by name, the numbers as JSON among them; ``image`` is the name of the PNG, ``size`` its
    width and height in pixels.
    """

    experiment: Experiment
    numbers: Numbers | None = None
    lines: tuple[str, ...] = ()
    files: Mapping[str, bytes] | None = None
    image: str | None = None
    size: tuple[int, int] = (0, 0)

    @property
    def missing(self) -> str:
        """Why there is no image, in words; empty if there is one."""
        if self.image is not None:
            return ""
        if self.numbers is None:
            return "no figure was made for this report"
        return f"no figure: the simulation did not converge ({self.failed})" if self.failed else "nothing to draw"

    @property
    def failed(self) -> str:
        """Why the simulation did not converge; empty if it did, or was not run."""
        return "" if self.numbers is None or self.numbers["converged"] else str(self.numbers["reason"])


def read(experiment: Experiment, folder: Path) -> Figure:
    """What the folder holds of an experiment; an image left there by an earlier run that had one does not count.

    Raises:
        ValueError: in one line, if a file cannot be read, or is not what ``tightframe simulate`` writes.
    """
    path = folder / f"{experiment.name}.json"
    if not path.is_file():
        return Figure(experiment)
    data = _bytes(path)
    try:
        numbers = json.loads(data)
        if numbers["experiment"] != experiment.name or not isinstance(numbers["converged"], bool):
            raise ValueError
        lines, drawn = tuple(experiment.summary(numbers)), experiment.drawn(numbers)
        if not numbers["converged"] and not isinstance(numbers["reason"], str):
            raise ValueError
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise ValueError(f"{path}: not what tightframe simulate {experiment.name} writes today; run it again") from None
    files = {path.name: data}
    image = folder / f"{experiment.name}.png"
    if not drawn or not image.is_file():
        return Figure(experiment, numbers, lines, files)
    files |= {each.name: _bytes(each) for each in (image, image.with_suffix(".pdf")) if each.is_file()}
    return Figure(experiment, numbers, lines, files, image.name, _size(image, files[image.name]))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror})") from None
    if len(found) > MOST_BYTES:
        raise ValueError(f"{path}: expected at most {MOST_BYTES} bytes")
    return found


def _size(path: Path, data: bytes) -> tuple[int, int]:
    """Width and height of a PNG: the two numbers after the name of its first chunk."""
    if not data.startswith(SIGNATURE) or data[12:16] != b"IHDR" or len(data) < 24:
        raise ValueError(f"{path}: not a PNG")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def of(folder: Path | None) -> list[Figure]:
    """What there is of every experiment.

    Raises:
        ValueError: if there is no such folder, or nothing of any experiment in it.
    """
    every = [find(name) for name in modules()]
    found = [Figure(each) if folder is None else read(each, folder) for each in every]
    if folder is not None and all(figure.numbers is None for figure in found):
        raise ValueError(f"{folder}: expected a folder that tightframe simulate --out wrote")
    return found


def paper(figure: Figure) -> str:
    """The key of the paper whose module defines the experiment."""
    return modules()[figure.experiment.name].partition(".")[0]


def inputs(numbers: Mapping[str, Any]) -> str:
    """The inputs of a run in a line."""

    def written(value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(map(written, value))
        return f"{value:g}" if isinstance(value, float) else str(value)

    pairs = {**numbers.get("inputs", {}), "seed": numbers.get("seed")}
    return "; ".join(f"{name} = {written(value)}" for name, value in pairs.items() if value is not None)
