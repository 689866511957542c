"""Sweeps: designs of many configurations, batches of those that share shapes, and the work on a batch.

A configuration is a mapping from names to values, among them `seed`. Configurations are numbered and computed from
their number alone, so that a plan of a million of them takes no memory; planning does not load torch. Which of them run
together is a function of the design, and of the device's memory on a GPU, never of the clock or of who runs them: the
last bits of a batched product may depend on what else is in the batch, and the same sweep has to give the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["Axis", "Batch", "Design", "Simulation", "batch_size", "batches", "run"]

Configuration = Mapping[str, Any]
Columns = dict[str, list[Any]]

# Configurations among which a batch is chosen: few at first, so that results come soon; then many, as random draws of a
# parameter that is a shape seldom meet, and as many as are planned in about a second.
FIRST_WINDOWS = (8, 64, 512, 4096)
WINDOW = 2**15
LARGEST_BATCH = 4096  # configurations
# Operations of a batch on a cpu core: about a second of small matrices at 2 GFLOP/s, measured on one core of an AMD
# EPYC; on a GPU a thousand times as many.
WORK, WORK_OF_GPU = 3e9, 3e12
MEMORY = 2**28  # bytes of a batch on a cpu core
SHARE = 0.5  # of the free memory of a GPU


@dataclass(frozen=True)
class Axis:
    """What a parameter runs through: listed values, or, in a random design, all numbers from low to high.

    Raises ValueError, in one line, for an axis without values or bounds that are not in order.
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    logarithmic: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        if self.values:
            return
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"{self.name}: expected values, or low < high, got {self.low} and {self.high}")
        if self.logarithmic and self.low <= 0:
            raise ValueError(f"{self.name}: expected low > 0 on a logarithmic scale, got {self.low}")

    def drawn(self, uniform: float) -> Any:
        """The value at a number in [0, 1)."""
        if self.values:
            return self.values[int(uniform * len(self.values))]
        low, high = (self.low, self.high + 1) if self.integer else (self.low, self.high)
        value = low * (high / low) ** uniform if self.logarithmic else low + (high - low) * uniform
        return min(int(value), int(self.high)) if self.integer else value


@dataclass(frozen=True)
class Design:
    """All configurations: every combination of the axes, or `samples` independent draws; each with every seed.

    `seed` is that of the draws. The last axis runs fastest, and the seeds still faster.

    >>> from tightframe.numerics.sweep import Axis, Design
    >>> design = Design((Axis("depth", (1, 2)), Axis("decay", (0.1, 0.2, 0.3))), seeds=(0, 1))
    >>> design.count, design.configuration(3)
    (12, {'depth': 1, 'decay': 0.2, 'seed': 1})
    >>> design = Design((Axis("decay", low=1e-3, high=1.0, logarithmic=True),), (0,), "random", samples=1000)
    >>> (
    ...     design.count,
    ...     1e-3 <= design.configuration(999)["decay"] <= 1,
    ...     design.configuration(5) == design.configuration(5),
    ... )
    (1000, True, True)
    """

    axes: tuple[Axis, ...]
    seeds: Sequence[int]
    kind: Literal["grid", "random"] = "grid"
    samples: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.seeds:
            raise ValueError("expected at least one seed")
        names = [axis.name for axis in self.axes]
        if len({*names, "seed"}) <= len(names):
            raise ValueError(f"expected different names, none of them seed, got {', '.join(names)}")
        if self.kind == "random" and self.samples < 1:
            raise ValueError(f"expected samples >= 1, got {self.samples}")
        for axis in self.axes:
            if self.kind == "grid" and not axis.values:
                raise ValueError(f"{axis.name}: expected values, as the design is a grid")

    @property
    def count(self) -> int:
        """The number of configurations."""
        points = self.samples if self.kind == "random" else math.prod(len(axis.values) for axis in self.axes)
        return points * len(self.seeds)

    def configuration(self, number: int) -> dict[str, Any]:
        """The configuration of this number, 0 <= number < count."""
        point, which = divmod(number, len(self.seeds))
        values: dict[str, Any] = {}
        if self.kind == "random":
            for axis, uniform in zip(self.axes, self._uniforms(point), strict=True):
                values[axis.name] = axis.drawn(float(uniform))
        else:
            for axis in reversed(self.axes):
                point, place = divmod(point, len(axis.values))
                values[axis.name] = axis.values[place]
            values = {axis.name: values[axis.name] for axis in self.axes}
        return values | {"seed": self.seeds[which]}

    def _uniforms(self, point: int) -> np.ndarray:
        """One number in [0, 1) for every axis: the point's own stretch of a counter-based stream."""
        return np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, 0, point])).random(len(self.axes))


@dataclass(frozen=True)
class Simulation:
    """A simulation of many configurations in one call.

    `shapes` are the names of what a batch has in common. `run(configurations, device, dtype)` gives columns, a value
    for every configuration. `numbers` (floats that a configuration holds in memory) and `work` (operations it takes)
    are estimates, right to a small factor.
    """

    name: str
    shapes: tuple[str, ...]
    run: Callable[[Sequence[Configuration], torch.device, torch.dtype], Columns]
    numbers: Callable[[Configuration], float]
    work: Callable[[Configuration], float]

    def key(self, configuration: Configuration) -> Hashable:
        """Equal for configurations that may share a batch."""
        return tuple(configuration[name] for name in self.shapes)


Batch = tuple[int, ...]
"""The numbers of the configurations of a batch."""


def batch_size(simulation: Simulation, configuration: Configuration, device: str, free: int | None = None) -> int:
    """How many configurations like this one make a batch on "cpu" or "cuda"; `free` bytes stand in for its free memory.

    On a cpu it depends on the configuration alone. On a GPU it is a power of 2, so that a little more or less memory
    gives the same batches, and with them the same last bits.
    """
    if device == "cuda":
        memory, work = SHARE * (_free_of_gpu() if free is None else free), WORK_OF_GPU
    else:
        memory, work = MEMORY if free is None else free, WORK
    most = min(memory / (8 * max(simulation.numbers(configuration), 1)), work / max(simulation.work(configuration), 1))
    size = max(1, min(LARGEST_BATCH, int(most)))
    return 2 ** (size.bit_length() - 1) if device == "cuda" else size


def _free_of_gpu() -> int:
    import torch

    return torch.cuda.mem_get_info()[0]


def windows(count: int) -> Iterator[range]:
    """Runs of consecutive numbers, small ones first."""
    first, sizes = 0, iter(FIRST_WINDOWS)
    while first < count:
        size = next(sizes, WINDOW)
        yield range(first, min(first + size, count))
        first += size


def batches(
    configuration: Callable[[int], Configuration],
    count: int,
    simulation: Simulation,
    device: str,
    free: int | None = None,
    wanted: Callable[[range], bool] = lambda window: True,
) -> Iterator[Batch]:
    """All configurations in batches of equal shapes, window by window; windows that are not wanted are left out.

    `configuration` may raise ValueError, for what does not fit together: such configurations share batches.

    >>> from tightframe.numerics.sweep import Simulation, batches
    >>> simulation = Simulation("none", ("width",), lambda some, device, dtype: {}, lambda one: 1, lambda one: 1)
    >>> list(batches(lambda number: {"width": number % 2}, 12, simulation, "cpu"))
    [(0, 2, 4, 6), (1, 3, 5, 7), (8, 10), (9, 11)]
    """
    if device == "cuda" and free is None:
        free = _free_of_gpu()  # once, before the batches themselves take of it
    for window in windows(count):
        if not wanted(window):
            continue
        groups: dict[Hashable, list[int]] = {}
        sizes: dict[Hashable, int] = {}
        for number in window:
            try:
                told = configuration(number)
                key = simulation.key(told)
                size = sizes.get(key) or batch_size(simulation, told, device, free)
            except ValueError:
                key, size = None, LARGEST_BATCH
            sizes[key] = size
            groups.setdefault(key, []).append(number)
        for key, members in groups.items():
            for first in range(0, len(members), sizes[key]):
                yield tuple(members[first : first + sizes[key]])


def run(
    simulation: Simulation, configurations: Sequence[Configuration], device: str | torch.device, dtype: torch.dtype
) -> Columns:
    """The columns of a batch, with `error`: None, or in one line why a configuration has no numbers.

    A batch that fails, or does not fit in memory, is run in halves.
    """
    from .shapes import check_dtype, resolve_device

    check_dtype(dtype)
    where = resolve_device(device)
    try:
        return simulation.run(configurations, where, dtype) | {"error": [None] * len(configurations)}
    except (ValueError, ArithmeticError, RuntimeError) as error:
        if len(configurations) == 1:
            return {"error": [" ".join(f"{type(error).__name__}: {error}".split())[:200]]}
    middle = len(configurations) // 2
    halves = [configurations[:middle], configurations[middle:]]
    done = [run(simulation, half, where, dtype) for half in halves]
    names = dict.fromkeys(name for columns in done for name in columns)
    return {
        name: [x for half, columns in zip(halves, done, strict=True) for x in columns.get(name, [None] * len(half))]
        for name in names
    }
