"""Simulation of neural collapse: features, frames, statistics, losses, flows and descent as batched tensors.

This side knows no closed form of the theory. What it finds, it finds by sampling and numerical linear
algebra, so that its agreement with `tightframe.theory` is evidence. Submodules load on first use: importing
the package does not import torch.

>>> from tightframe import numerics
>>> numerics.__all__
['columns', 'deep_linear', 'deep_relu', 'descent', 'fitting', 'flow', 'frames', 'gpu_check', 'images', 'initialisers',
 'integrators', 'landscape', 'lbfgs', 'linalg', 'losses', 'low_rank', 'measurement', 'minimisation', 'models',
 'moments', 'mse_split', 'networks', 'parametrisation', 'runs', 'shapes', 'simulations', 'solution', 'statistics',
 'sweep', 'training']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from . import (
        columns,
        deep_linear,
        deep_relu,
        descent,
        fitting,
        flow,
        frames,
        gpu_check,
        images,
        initialisers,
        integrators,
        landscape,
        lbfgs,
        linalg,
        losses,
        low_rank,
        measurement,
        minimisation,
        models,
        moments,
        mse_split,
        networks,
        parametrisation,
        runs,
        shapes,
        simulations,
        solution,
        statistics,
        sweep,
        training,
    )

__all__ = [
    "columns",
    "deep_linear",
    "deep_relu",
    "descent",
    "fitting",
    "flow",
    "frames",
    "gpu_check",
    "images",
    "initialisers",
    "integrators",
    "landscape",
    "lbfgs",
    "linalg",
    "losses",
    "low_rank",
    "measurement",
    "minimisation",
    "models",
    "moments",
    "mse_split",
    "networks",
    "parametrisation",
    "runs",
    "shapes",
    "simulations",
    "solution",
    "statistics",
    "sweep",
    "training",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
