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
    from .claim import Claim, Paper
    from .display import show
    from .draft import Draft
    from .evidence import Evidence, Verdict
    from .experiments import simulate
    from .measuring import measure
    from .prediction import predict
    from .reading.auditing import audit
    from .registry import claims, find, papers
    from .step_checking import check_steps
    from .sweeps.sweeping import results, sweep
    from .trials.refutation import refute
    from .verification import Standing, recheck, standing, verify
    from .writing.citation import cite
    from .writing.documents import document
    from .writing.site import report

_HOME = {
    "Claim": "claim",
    "Draft": "draft",
    "Paper": "claim",
    "Evidence": "evidence",
    "Standing": "verification",
    "Verdict": "evidence",
    "audit": "reading.auditing",
    "check_steps": "step_checking",
    "cite": "writing.citation",
    "claims": "registry",
    "document": "writing.documents",
    "find": "registry",
    "measure": "measuring",
    "papers": "registry",
    "predict": "prediction",
    "recheck": "verification",
    "refute": "trials.refutation",
    "report": "writing.site",
    "results": "sweeps.sweeping",
    "show": "display",
    "simulate": "experiments",
    "standing": "verification",
    "sweep": "sweeps.sweeping",
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
