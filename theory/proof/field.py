"""Scalar calculus: rational zero test in a differential field, with x^M, log, exp and flows as generators.

FLINT decides quickly here; the checker repeats the decision with its own arithmetic. Two expressions that agree only
for particular exponents (x^M at M = 2) are different here: a nonzero numerator is no counterexample.
"""

from __future__ import annotations

from typing import Any

from .checker import Calculus, Tree


def numerator(calculus: Calculus) -> str:
    """The cleared numerator of the expression, printed; ``"0"`` if the identity holds."""
    import flint

    generators = dict(calculus.generators)
    names = sorted(
        _names(calculus.tree) | {n for rule in generators.values() for n in _names(rule[1:])} | set(generators)
    )
    context = flint.fmpq_mpoly_ctx.get([f"g{i}" for i in range(len(names))], flint.Ordering.degrevlex)
    gens = dict(zip(names, context.gens(), strict=True))
    one = context.constant(1)

    def derivative(value: tuple[Any, Any], variable: str) -> tuple[Any, Any]:
        top, bottom = value
        dt, db = total(top, variable), total(bottom, variable)
        return reduced(dt[0] * bottom * db[1] - db[0] * top * dt[1], dt[1] * db[1] * bottom * bottom)

    def total(poly: Any, variable: str) -> tuple[Any, Any]:
        result = context.constant(0), one
        for i, name in enumerate(names):
            partial = poly.derivative(i)
            if partial != 0:
                slope = generator_derivative(name, variable)
                result = reduced(result[0] * slope[1] + partial * slope[0] * result[1], result[1] * slope[1])
        return result

    def generator_derivative(name: str, variable: str) -> tuple[Any, Any]:
        if name == variable:
            return one, one
        rule = generators.get(name)
        if rule is None:
            return context.constant(0), one
        if rule[0] == "flow":
            return quotient(rule[2]) if rule[1] == variable else (context.constant(0), one)
        inner = quotient(rule[1])
        slope = derivative(inner, variable)
        if rule[0] == "exp":
            return gens[name] * slope[0], slope[1]
        log_slope = slope[0] * inner[1], slope[1] * inner[0]
        if rule[0] == "log":
            return log_slope
        exponent = quotient(rule[2])
        return gens[name] * exponent[0] * log_slope[0], exponent[1] * log_slope[1]

    def reduced(top: Any, bottom: Any) -> tuple[Any, Any]:
        common = top.gcd(bottom) if top != 0 else bottom
        return (top / common, bottom / common) if top != 0 else (top, one)

    def quotient(tree: Tree) -> tuple[Any, Any]:
        if isinstance(tree, str):
            if tree[:1].isdigit() or tree[:1] == "-":
                top, _, bottom = tree.partition("/")
                return context.constant(flint.fmpq(int(top), int(bottom or 1))), one
            return gens[tree], one
        operator, *arguments = tree
        if operator == "D":
            return derivative(quotient(arguments[0]), arguments[1])
        if operator == "^":
            top, bottom = quotient(arguments[0])
            exponent = int(arguments[1])
            return (top**exponent, bottom**exponent) if exponent >= 0 else (bottom**-exponent, top**-exponent)
        result = quotient(arguments[0])
        for argument in arguments[1:]:
            top, bottom = quotient(argument)
            if operator == "+":
                result = reduced(result[0] * bottom + top * result[1], result[1] * bottom)
            elif operator == "*":
                result = reduced(result[0] * top, result[1] * bottom)
            else:
                result = reduced(result[0] * bottom, result[1] * top)
        return result

    return str(quotient(calculus.tree)[0])


def _names(tree: Any) -> set[str]:
    if isinstance(tree, str):
        return set() if tree[:1].isdigit() or tree[:1] == "-" or tree in ("+", "*", "/", "^", "D") else {tree}
    return set().union(*(_names(part) for part in tree)) if tree else set()
