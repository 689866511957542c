"""Claims of the papers, their verification, and the command line: where theory and simulation meet.

The verbs are functions of this package, loaded on first use (importing it imports neither sympy nor torch)::

    from tightframe import papers

    papers.find("han2022/total-covariance").statement
    papers.show("han2022/total-covariance")["verdict"]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .auditing import audit
    from .citation import cite
    from .claim import Claim, Paper
    from .display import show
    from .documents import document
    from .evidence import Evidence, Verdict
    from .experiments import simulate
    from .measuring import measure
    from .prediction import predict
    from .registry import claims, find, papers
    from .site import report
    from .sweeping import results, sweep
    from .verification import Standing, recheck, standing, verify

_HOME = {
    "Claim": "claim",
    "Paper": "claim",
    "Evidence": "evidence",
    "Standing": "verification",
    "Verdict": "evidence",
    "audit": "auditing",
    "cite": "citation",
    "claims": "registry",
    "document": "documents",
    "find": "registry",
    "measure": "measuring",
    "papers": "registry",
    "predict": "prediction",
    "recheck": "verification",
    "report": "site",
    "results": "sweeping",
    "show": "display",
    "simulate": "experiments",
    "standing": "verification",
    "sweep": "sweeping",
    "verify": "verification",
}

__all__ = [
    "Claim",
    "Evidence",
    "Paper",
    "Standing",
    "Verdict",
    "audit",
    "cite",
    "claims",
    "document",
    "find",
    "measure",
    "papers",
    "predict",
    "recheck",
    "report",
    "results",
    "show",
    "simulate",
    "standing",
    "sweep",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
