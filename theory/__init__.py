"""Exact mathematics: sympy at the surface, certificates underneath. Knows no torch and no simulation.

Submodules load on first use: importing the package does not import sympy.

Examples:
    >>> from tightframe import theory
    >>> "statistics" in theory.__all__
    True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from . import (
        abbreviations,
        balance,
        bottleneck,
        centred_labels,
        collapse,
        critical_examples,
        critical_values,
        cross_entropy,
        deep_linear,
        derivation,
        evaluation,
        factorisation,
        first_integral,
        frames,
        global_minima,
        growth,
        interlacing,
        label_directions,
        label_spectrum,
        layerwise,
        least_squares,
        printing,
        proof,
        renormalised_flow,
        rounding,
        scalar_problem,
        signal_to_noise,
        statistics,
        symbols,
        tangent_projection,
    )

__all__ = [
    "abbreviations",
    "balance",
    "bottleneck",
    "centred_labels",
    "collapse",
    "critical_examples",
    "critical_values",
    "cross_entropy",
    "deep_linear",
    "derivation",
    "evaluation",
    "factorisation",
    "first_integral",
    "frames",
    "global_minima",
    "growth",
    "interlacing",
    "label_directions",
    "label_spectrum",
    "layerwise",
    "least_squares",
    "printing",
    "proof",
    "renormalised_flow",
    "rounding",
    "scalar_problem",
    "signal_to_noise",
    "statistics",
    "symbols",
    "tangent_projection",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
