"""The simulations that sweeps know: which shapes their batches share, what they hold in memory and what they take.

A configuration has `class_counts`, `widths` (a number), `depth`, `decays` (lam_1, ..., lam_M, lam_H) and `seed`, and
what its simulation names. The work itself is in `runs`, so that a driver that only plans does not load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .sweep import Columns, Configuration, Simulation

if TYPE_CHECKING:
    import torch

__all__ = ["CRITICAL_POINTS", "DESCENTS", "MINIMA", "SIMULATIONS"]

ITERATIONS = 150  # of L-BFGS, typically
MEMORY = 10  # pairs of its history
DESCENT_ITERATIONS = 5000  # until a critical point, typically


def _run(name: str) -> Callable[[Sequence[Configuration], torch.device, torch.dtype], Columns]:
    def run(configurations: Sequence[Configuration], device: torch.device, dtype: torch.dtype) -> Columns:
        from . import runs

        work = {"minima": runs.minima, "descents": runs.descents, "critical_points": runs.critical_points}
        return work[name](configurations, device, dtype)

    return run


def _parameters(configuration: Configuration) -> int:
    """Entries of the weights, and of the features of the classes."""
    width, classes = configuration["widths"], len(configuration["class_counts"])
    return int(width * width * (configuration["depth"] - 1) + 2 * classes * width)


def _gradient_work(configuration: Configuration) -> float:
    """Operations of a gradient in class-mean columns."""
    return 6.0 * len(configuration["class_counts"]) * _parameters(configuration)


MINIMA = Simulation(
    "minima",
    ("class_counts", "widths", "depth", "starts"),
    _run("minima"),
    lambda told: told["starts"] * _parameters(told) * (2 * MEMORY + 12),
    lambda told: told["starts"] * ITERATIONS * (8 * MEMORY * _parameters(told) + 3 * _gradient_work(told)),
)


def _columns_of(told: Configuration) -> int:
    samples, classes = sum(told["class_counts"]), len(told["class_counts"])
    return int(classes + min(told["widths"], samples - classes))


DESCENTS = Simulation(
    "descents",
    ("class_counts", "widths", "depth", "rate", "momentum", "iterations"),
    _run("descents"),
    lambda told: 4 * _parameters(told) + 2 * told["widths"] * sum(told["class_counts"]),
    lambda told: (
        told["iterations"]
        * (6 * _parameters(told) + 6 * len(told["class_counts"]) * told["widths"])
        * (_columns_of(told) / len(told["class_counts"]))
    ),
)


CRITICAL_POINTS = Simulation(
    "critical_points",
    ("class_counts", "widths", "depth", "rate", "iterations"),
    _run("critical_points"),
    lambda told: 6 * _parameters(told) + 6 * told["widths"] * sum(told["class_counts"]),
    lambda told: (
        min(told["iterations"], DESCENT_ITERATIONS)
        * 6
        * (_parameters(told) + told["widths"] * sum(told["class_counts"]))
        * len(told["class_counts"])
    ),
)

SIMULATIONS = {each.name: each for each in (MINIMA, DESCENTS, CRITICAL_POINTS)}
