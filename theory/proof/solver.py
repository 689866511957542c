"""z3 in a process of its own: SMT-LIB text in, one line of JSON out, a hard limit on time and memory.

The solver may hang, crash or be killed; whatever happens here is an :class:`Answer`, and everything but a clean
``sat`` or ``unsat`` is ``unknown``. Nothing that it says is a proof or a counterexample by itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

Verdict = Literal["sat", "unsat", "unknown"]


@dataclass(frozen=True)
class Answer:
    """What the solver said; ``values`` are rational (near an algebraic number, a rational approximation of it)."""

    verdict: Verdict
    values: Mapping[str, Fraction] = field(default_factory=dict[str, Fraction])
    reason: str = ""


def ask(text: str, seconds: float = 5.0, megabytes: int = 2048, command: Sequence[str] | None = None) -> Answer:
    """Whether the assertions of an SMT-LIB text can hold together.

    ``seconds`` limits the whole call, the start of the process (about half a second) included. ``command`` is another
    process that reads the text and answers.

    Examples:
        >>> ask("(declare-const x Real) (assert (< (* x x) 0))", seconds=60).verdict
        'unsat'
        >>> ask("(declare-const x Real) (assert (= (* 2 x) 1))", seconds=60).values
        {'x': Fraction(1, 2)}
    """
    own = [sys.executable, "-I", "-m", __spec__.name, str(seconds), str(megabytes)]
    try:
        process = subprocess.Popen(
            own if command is None else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError as error:
        return Answer("unknown", reason=f"the solver does not start: {error}")
    with process:
        try:
            out, _ = process.communicate(text, timeout=seconds)
        except subprocess.TimeoutExpired:
            return Answer("unknown", reason=f"the solver took longer than {seconds:g} s")
        except (OSError, UnicodeDecodeError):
            return Answer("unknown", reason="the solver closed its pipe")
        finally:
            process.kill()
    if process.returncode:
        return Answer("unknown", reason=f"the solver ended with status {process.returncode}")
    return _read(out)


def _read(out: str) -> Answer:
    try:
        data: Any = json.loads(out)
        verdict, reason = data["verdict"], str(data.get("reason", ""))[:200]
        values = {str(name): Fraction(value) for name, value in dict(data.get("values", {})).items()}
    except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError, RecursionError):
        return Answer("unknown", reason="the solver's answer cannot be read")
    if verdict not in ("sat", "unsat"):
        return Answer("unknown", reason=reason or "the solver does not know")
    return Answer(verdict, values, reason)


def _limit(seconds: float, megabytes: int) -> None:
    """Of memory, and of processor time in case the parent dies first; where the system has such limits."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 2, int(seconds) + 2))


def _main(arguments: Sequence[str]) -> int:
    seconds, megabytes = float(arguments[0]), int(arguments[1])
    _limit(seconds, megabytes)
    import z3

    solver = z3.Solver()
    solver.set("timeout", max(1, int(1000 * seconds)))
    solver.from_string(sys.stdin.read())
    verdict = str(solver.check())
    answer: dict[str, Any] = {"verdict": verdict}
    if verdict == "sat":
        model = solver.model()
        answer["values"] = {
            name.name(): text for name in model.decls() if (text := _number(z3, model[name])) is not None
        }
    elif verdict == "unknown":
        answer["reason"] = solver.reason_unknown()
    print(json.dumps(answer))
    return 0


def _number(z3: Any, value: Any) -> str | None:
    if z3.is_int_value(value) or z3.is_rational_value(value):
        return str(value.as_fraction()) if z3.is_rational_value(value) else str(value.as_long())
    if z3.is_algebraic_value(value):
        return str(value.approx(30).as_fraction())
    return None


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
