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
    from .draft import Draft
    from .evidence import Evidence, Verdict
    from .experiments import simulate
    from .measuring import measure
    from .prediction import predict
    from .refutation import refute
    from .registry import claims, find, papers
    from .site import report
    from .step_checking import check_steps
    from .sweeping import results, sweep
    from .verification import Standing, recheck, standing, verify

_HOME = {
    "Claim": "claim",
    "Draft": "draft",
    "Paper": "claim",
    "Evidence": "evidence",
    "Standing": "verification",
    "Verdict": "evidence",
    "audit": "auditing",
    "check_steps": "step_checking",
    "cite": "citation",
    "claims": "registry",
    "document": "documents",
    "find": "registry",
    "measure": "measuring",
    "papers": "registry",
    "predict": "prediction",
    "recheck": "verification",
    "refute": "refutation",
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
    "Draft",
    "Evidence",
    "Paper",
    "Standing",
    "Verdict",
    "audit",
    "check_steps",
    "cite",
    "claims",
    "document",
    "find",
    "measure",
    "papers",
    "predict",
    "recheck",
    "refute",
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
