"""Hypothesis in search of a counterexample: it draws exact values, climbs where the residual is large, and shrinks."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy as sp

from ...theory.proof.certificate import complete_model
from ...theory.proof.checker import Rejected
from .sampling import Sampler

if TYPE_CHECKING:
    from .refutation import Trial

EXAMPLES = 2000
LARGEST = 10  # of numbers that are drawn


class _Found(Exception):
    """A counterexample; hypothesis shrinks what raises it."""


class _Late(KeyboardInterrupt):
    """Time is up; hypothesis lets an interrupt through at once."""


def search(trial: Trial, seed: int) -> str | None:
    """Look for a counterexample; what is found is kept in ``trial.best``."""
    from hypothesis import HealthCheck, Phase, given, settings, target
    from hypothesis import seed as seeded
    from hypothesis import strategies as st
    from hypothesis.errors import HypothesisException

    trial.begin()  # loading hypothesis is not searching
    sampler = trial.claim.setting.sample
    numbers = st.integers(-LARGEST, LARGEST) | st.fractions(-LARGEST, LARGEST, max_denominator=12)

    def symbol_values(data: Any) -> Any:
        if not isinstance(sampler, Sampler) or sampler.given is not None:
            return sampler(random.Random(data.draw(st.integers(0, 2**31))))
        values: dict[Any, Any] = {}
        for parameter in sampler.domain.parameters:
            low = parameter.range.low
            if parameter.range.integer:
                start = -3 if low is None else int(low)
                values[parameter.symbol] = data.draw(st.integers(start, start + 3))
            else:
                drawn = Fraction(data.draw(numbers))
                values[parameter.symbol] = drawn if low is None else low + abs(drawn)
        sizes = {symbol: value for symbol, value in values.items() if isinstance(value, int)}
        for shape in sampler.shapes:
            rows, cols = (int(sp.sympify(side, strict=True).subs(sizes)) for side in shape.symbol.shape)
            if shape.form == "any":
                values[shape.symbol] = [[Fraction(data.draw(numbers)) for _ in range(cols)] for _ in range(rows)]
            else:
                drawn = shape.draw(random.Random(data.draw(st.integers(0, 2**31))), rows, cols)
                if drawn is None:
                    return None
                values[shape.symbol] = drawn
        return sampler.fitted(random.Random(0), values)

    @seeded(seed)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=False,
        print_blob=False,
        phases=(Phase.generate, Phase.target, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(st.data())
    def climb(data: Any) -> None:
        if trial.late:
            raise _Late
        values = symbol_values(data)
        if values is None:
            return
        if trial.take(values):
            raise _Found
        height = violation(trial, values)
        if height is not None:
            target(height, label="residual")

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            climb()
        except (_Found, _Late):
            return None
        except HypothesisException as error:
            return None if trial.best is not None else f"hypothesis gave up: {' '.join(str(error).split())[:80]}"
    return None


def violation(trial: Trial, values: Any) -> float | None:
    """How near the claim is to failing: minus the slack of an inequality; of an equation, the size of what is left."""
    goal = trial.goal
    if goal.kind not in ("zero", "positive", "nonnegative"):
        return None
    model = complete_model(trial.translation, values)
    try:
        if model is None:
            return None
        rows = trial.translation.algebra.evaluate(goal.target, model)
        found = float(max(abs(x) for row in rows for x in row)) if goal.kind == "zero" else -float(rows[0][0])
    except (Rejected, OverflowError, ZeroDivisionError):
        return None
    return found if abs(found) < 1e100 else None
