"""The file of a sweep: which experiment, which parameters run through what, which seeds.

::

    experiment = "minority-collapse"
    design = "grid"                  # or "random", with samples = 1000 and the seed of the draws, seed = 0
    seeds = 2                        # so many, from 0 on; or a list of them
    dtype = "float64"                # or "float32"

    [parameters]
    M = [1, 2, 3]                    # a list runs through its values
    n = [300, 300, 300]              # a parameter that is a list: one value; a list of lists runs through them
    n_min = { low = 3, high = 300, count = 16, scale = "log" }    # without count in a random design
    starts = 16

Numbers are exact: 0.1 is a tenth, and "1/3" a third. What is not set has its default.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import experiments
from ..experiments import EXPERIMENTS, Experiment, modules
from ..prediction import Input, Word, exact, to_float

if TYPE_CHECKING:
    from ...numerics.sweep import Axis, Design

FORMAT = 1
MOST = 10**8  # configurations
MOST_ON_AXIS = 10**6
MAX_FILE = 2**24  # bytes
KEYS = ("experiment", "design", "samples", "seed", "seeds", "dtype", "parameters")
RANGE_KEYS = ("low", "high", "count", "scale")
DIGITS = 12  # of spaced values: the last bits of exp and log differ between machines


@dataclass(frozen=True)
class Spec:
    """A sweep as it was asked for; `canonical` is JSON and says the same in one way."""

    experiment: Experiment
    inputs: tuple[Input | Word, ...]
    design: Design
    dtype: str
    canonical: Mapping[str, Any]

    def values(self, number: int) -> dict[str, Any]:
        """The exact values of a configuration, seed included."""
        raw = self.design.configuration(number)
        return {name: exact(value) if isinstance(value, float) else value for name, value in raw.items()}

    @cached_property
    def swept(self) -> tuple[str, ...]:
        """The parameters that have more than one value."""
        several = [axis.name for axis in self.design.axes if len(axis.values) != 1]
        return (*several, *(("seed",) if len(self.design.seeds) > 1 else ()))

    @property
    def text(self) -> str:
        """The canonical form as text."""
        return json.dumps(self.canonical, sort_keys=True)

    def key(self, code: str, device: str) -> str:
        """The hash of what fixes the numbers: the spec, the source code and the kind of device."""
        body = json.dumps([FORMAT, self.canonical, code, device], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()[:12]


def load(path: Path) -> Spec:
    """Read a file.

    Raises:
        ValueError: in one line, for what is no sweep.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror})") from None
    if len(content) > MAX_FILE:
        raise ValueError(f"{path}: expected a file of at most {MAX_FILE} bytes")
    try:
        given = tomllib.loads(content.decode(), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from None
    try:
        return read(given)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    except LookupError as error:
        raise ValueError(f"{path}: {error.args[0]}") from None


def named(path: Path) -> str | None:
    """The experiment of ours that a file names, if it does: what can be loaded before all is looked at."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("experiment")
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, str) and found in EXPERIMENTS else None


def read(given: Mapping[str, Any]) -> Spec:
    """The spec of a mapping like that of the file.

    Raises:
        ValueError: in one line, for what is no sweep.
        UnknownName: for an unknown experiment.
    """
    from ...numerics.sweep import Design

    _known("key", given, KEYS)
    name = given.get("experiment")
    if not isinstance(name, str):
        raise ValueError(f'expected experiment = "NAME", with one of {", ".join(modules())}')
    experiment = experiments.find(name)
    inputs = experiment.inputs if experiment.cell is None else experiment.cell.inputs
    kind = given.get("design", "grid")
    if kind not in ("grid", "random"):
        raise ValueError(f'expected design = "grid" or "random", got {_shown(kind)}')
    dtype = given.get("dtype", "float64")
    if dtype not in ("float64", "float32"):
        raise ValueError(f'expected dtype = "float64" or "float32", got {_shown(dtype)}')
    if dtype != "float64" and experiment.cell is None:
        raise ValueError(f"dtype: {name} runs in float64 only")
    seeds = _seeds(given.get("seeds", 1))
    samples = _integer("samples", given.get("samples", 0 if kind == "grid" else None), 0 if kind == "grid" else 1)
    if kind == "grid" and "samples" in given and samples:
        raise ValueError('samples: expected with design = "random" only')
    seed = _integer("seed", given.get("seed", 0), 0)
    parameters = given.get("parameters", {})
    if not isinstance(parameters, Mapping):
        raise ValueError("expected [parameters] to be a table")
    _known("parameter", parameters, [each.name for each in inputs])
    axes = [_axis(each, parameters.get(each.name), kind == "random") for each in inputs]
    found = [(axis, told) for axis, told in (each for each in axes if each is not None)]
    design = Design(tuple(axis for axis, _ in found), seeds, kind, samples, seed)
    if design.count > MOST:
        raise ValueError(f"expected at most {MOST:,} configurations, got {design.count:,}")
    canonical = {
        "experiment": name,
        "design": kind,
        "samples": samples,
        "seed": seed,
        "seeds": list(seeds),
        "dtype": dtype,
        "parameters": {axis.name: told for axis, told in found},
    }
    return Spec(experiment, inputs, design, dtype, canonical)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _known(what: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in given:
        if name not in names:
            raise ValueError(f"unknown {what} {_shown(name)}; known: {', '.join(names)}")


def _integer(name: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**63:
        raise ValueError(f"{name}: expected an integer >= {least}, got {'none' if value is None else _shown(value)}")
    return value


def _seeds(given: Any) -> tuple[int, ...]:
    if not isinstance(given, list):
        number = _integer("seeds", given, 1)
        if number > MOST_ON_AXIS:
            raise ValueError(f"seeds: expected at most {MOST_ON_AXIS:,}, got {number:,}")
        return tuple(range(number))
    if not given:
        raise ValueError("seeds: expected at least one, got an empty list")
    return _different("seeds", [_integer("seeds", each, 0) for each in given])


def _different(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"{name}: expected different values, got one twice")
    return tuple(values)


def _axis(each: Input | Word, given: Any, random: bool) -> tuple[Axis, Any] | None:
    """The axis of an input, and its canonical form; None for an optional input that is not set."""
    from ...numerics.sweep import Axis

    if given is None:
        if each.default is None:
            if each.optional:
                return None
            raise ValueError(f"no value for {each.name} ({each.says}); expected {each.expected()}")
        given = each.default
    if isinstance(given, Mapping):
        if isinstance(each, Word):
            raise ValueError(f"{each.name}: expected {each.expected()}, or a list of such, got a range")
        return _range(each, given, random)
    if isinstance(given, list):
        if not given:
            raise ValueError(f"{each.name}: expected at least one value, got an empty list")
        one = each.many and not any(isinstance(x, Sequence) for x in given)
        listed: list[Any] = [given] if one else given
    else:
        listed = [given]
    values = _different(each.name, [each.read(value) for value in listed])
    return Axis(each.name, values), [_told(value) for value in values]


def _told(value: Any) -> Any:
    """An exact value as JSON that reads as the same."""
    if isinstance(value, tuple):
        return [_told(one) for one in value]
    return value if isinstance(value, int) else str(value)


def _range(each: Input, given: Mapping[str, Any], random: bool) -> tuple[Axis, Any]:
    from ...numerics.sweep import Axis

    _known("key", given, RANGE_KEYS)
    if each.many:
        raise ValueError(f"{each.name}: expected lists, as it has several numbers, got a range")
    scale = given.get("scale", "linear")
    if scale not in ("linear", "log"):
        raise ValueError(f'{each.name}: expected scale = "linear" or "log", got {_shown(scale)}')
    for name in ("low", "high"):
        if name not in given:
            raise ValueError(f"{each.name}: expected a range with low and high, got no {name}")
    low, high = (each.read(given[name]) for name in ("low", "high"))
    if not low < high:
        raise ValueError(f"{each.name}: expected low < high, got {low} and {high}")
    if scale == "log" and low <= 0:
        raise ValueError(f"{each.name}: expected low > 0 on a logarithmic scale, got {low}")
    bounds = [to_float(each.name, Fraction(bound)) for bound in (low, high)]
    if random:
        if "count" in given:
            raise ValueError(f"{each.name}: expected no count, as values of a random design are drawn")
        axis = Axis(each.name, (), *bounds, logarithmic=scale == "log", integer=each.range.integer)
        return axis, {"low": _told(low), "high": _told(high), "scale": scale}
    count = _integer(f"{each.name}: count", given.get("count"), 2)
    if count > MOST_ON_AXIS:
        raise ValueError(f"{each.name}: expected a count of at most {MOST_ON_AXIS:,}, got {count:,}")
    values = _spaced(each, low, high, count, scale)
    return Axis(each.name, values), [_told(value) for value in values]


def _spaced(each: Input, low: Any, high: Any, count: int, scale: str) -> tuple[Any, ...]:
    """`count` values from low to high, ends included; integers are rounded, and each is there once."""
    ratio = to_float(each.name, Fraction(high) / Fraction(low)) if scale == "log" else 1.0
    found: list[Any] = [low]
    for step in range(1, count - 1):
        if scale == "log":
            value = Fraction(Decimal(f"{float(low) * ratio ** (step / (count - 1)):.{DIGITS}g}"))
        else:
            value = low + Fraction(high - low) * step / (count - 1)
        found.append(round(value) if each.range.integer else value)
    return tuple(dict.fromkeys([*found, high]))
