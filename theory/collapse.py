"""Neural collapse on the central path: NC1, NC2 and NC3 in the limit, with rates.

Whitened features X = R + U diag(w) V^T Y + mu 1^T have Sigma_W = I, Mbar = U diag(w) V^T and W_LS = V diag(w) (C I +
diag(w)^2)^{-1} U^T, where V V^T = I - 1 1^T / C is the Gram matrix of a simplex ETF. So

    NC1  tr(Sigma_B^+ Sigma_W) / C = sum_j 1 / w_j^2                      ~ (C - 1) (N / (4 t))^(1/2),
    NC2  Mbar^T Mbar / ||Mbar||^2 = V diag(a) V^T,                        a_j = w_j^2 / sum_i w_i^2,
    NC3  W_LS / ||W_LS|| = V diag(b)^(1/2) U^T,  Mbar^T / ||Mbar|| = V diag(a)^(1/2) U^T,

with b_j the shares of (w / (C + w^2))^2. All shares tend to 1 / (C - 1) (Han, Papyan & Donoho 2022).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import growth, signal_to_noise
from .derivation import Derivation, Hypothesis, Setting, Step
from .growth import SingularValueMotion, w
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import ByFirstIntegral, Conjunction, NormZero, Square, Star
from .proof.statement import AllOf, Decay, Equal, EqualShares, Invertible, Statement
from .renormalised_flow import SingularValueFlow, covariance_steps, flow_sample
from .symbols import C, frobenius_squared, ones, p


def positive_values(flow: SingularValueFlow) -> Hypothesis:
    """diag(w) has an inverse."""
    says = "no singular value of the SNR matrix is zero (one that starts at zero stays there)"
    return Hypothesis("positive values", Invertible(DiagMatrix(flow.snr.values)), says)


def pseudo_inverse(flow: SingularValueFlow) -> MatrixExpr:
    """Sigma_B^+ = C U diag(w)^{-2} U^T."""
    inverse = DiagMatrix(flow.snr.values).inv()
    return C * flow.snr.left * inverse * inverse * flow.snr.left.T


def penrose(matrix: MatrixExpr, inverse: MatrixExpr) -> tuple[Equal, ...]:
    """The four equations that determine the pseudo-inverse."""
    return (
        Equal(matrix * inverse * matrix, matrix),
        Equal(inverse * matrix * inverse, inverse),
        Equal((matrix * inverse).T, matrix * inverse),
        Equal((inverse * matrix).T, inverse * matrix),
    )


def matrix_parts(flow: SingularValueFlow) -> dict[str, Statement]:
    """What NC1 to NC3 are at whitened features, as functions of the singular values."""
    snr, data = flow.snr, flow.data(flow.features)
    diagonal, left, right = DiagMatrix(snr.values), snr.left, snr.right
    between, inverse = left * diagonal**2 * left.T / C, pseudo_inverse(flow)
    weights = right * diagonal * snr.resolvent * left.T
    penrose_names = ("inner inverse", "outer inverse", "left projection", "right projection")
    return {
        "within": Equal(data.within_covariance, sp.Identity(p)),
        "between": Equal(data.between_covariance, between),
        **dict(zip(penrose_names, penrose(between, inverse), strict=True)),
        "NC1": Equal(sp.Trace(inverse) / C, sp.Trace(diagonal.inv() * diagonal.inv())),
        "class means": Equal(data.centred_means, flow.means),
        "Gram matrix": Equal(flow.means.T * flow.means, right * diagonal**2 * right.T),
        "size": Equal(frobenius_squared(flow.means), sp.Trace(diagonal**2)),
        "simplex": Equal(right * right.T, sp.Identity(C) - ones(C) * ones(C).T / C),
        "classifier": Equal(flow.classifier(flow.features), weights),
        "size of the classifier": Equal(
            frobenius_squared(weights), sp.Trace(diagonal**2 * snr.resolvent * snr.resolvent)
        ),
    }


def limits(motion: SingularValueMotion) -> tuple[Decay, EqualShares, EqualShares]:
    """The sum of 1 / w^2, and the shares of w^2 and of (w / (C + w^2))^2, of C - 1 solutions."""
    return (
        motion.decay(1 / w**2, 2, sp.S.One, C - 1),
        motion.shares(w**2, 2, C - 1),
        motion.shares((w / (C + w**2)) ** 2, 2, C - 1),
    )


def statement(flow: SingularValueFlow, motion: SingularValueMotion) -> AllOf:
    return AllOf((*matrix_parts(flow).values(), *limits(motion)))


def setting(
    flow: SingularValueFlow, parameters: Mapping[sp.Symbol, Range], definitions: Mapping[Any, Any] | None = None
) -> Setting:
    """Whitened features with positive singular values, and ``w``, which runs over the positive reals."""

    def sample(rng: random.Random) -> Values:
        values = dict(flow_sample(flow, rng, signal_to_noise.sample(rng, least=1)))
        return {**values, w: Fraction(rng.randint(1, 20), 4), growth.v: Fraction(rng.randint(1, 20), 4)}

    hypotheses = (*flow.structure, positive_values(flow))
    return Setting(parameters, hypotheses, sample, definitions=definitions or {})


def collapse(flow: SingularValueFlow, motion: SingularValueMotion, where: Setting) -> Derivation:
    """NC1 decays; the Gram matrix of the class means, and classifier against class means, tend to the simplex."""
    right, parts = flow.snr.right, matrix_parts(flow)
    gap = sp.Identity(C) - right * right.T - ones(C) * ones(C).T / C
    orthonormal = ("left vectors", "right vectors")
    because = {
        "within": ("The features are whitened.", None),
        "between": ("Sigma_B = Mbar Mbar^T / C, and V has orthonormal columns.", None),
        "inner inverse": ("diag(w)^{-2} undoes diag(w)^2: the first of Penrose's equations,", ("left vectors",)),
        "outer inverse": ("the second,", ("left vectors",)),
        "left projection": ("the third: both sides are U U^T,", ("left vectors",)),
        "right projection": ("and the fourth. They determine the pseudo-inverse of Sigma_B.", ("left vectors",)),
        "NC1": ("U has orthonormal columns; and Sigma_W = I.", ("left vectors",)),
        "Gram matrix": ("U has orthonormal columns.", ("left vectors",)),
        "size": ("Take the trace.", orthonormal),
        "classifier": (
            "W_LS = Mbar^T K / C, and K U = C U (C I + diag(w)^2)^{-1}.",
            ("class means", "inverse on left vectors"),
        ),
        "size of the classifier": ("U and V have orthonormal columns.", orthonormal),
    }
    nc1, means, weights = limits(motion)

    def step(name: str) -> Step:
        reason, using = because[name]
        return Step(name, parts[name], reason, Star(using))

    names = [*parts, "NC1 in time", "shares of the class means", "shares of the classifier"]
    return Derivation(
        "Neural collapse on the central path",
        where,
        (
            *covariance_steps(flow),
            *(step(name) for name in because if not name.startswith(("size", "classifier"))),
            step("size"),
            Step(
                "no gap",
                Equal(frobenius_squared(gap), sp.S.Zero),
                "V V^T + 1 1^T / C is an orthogonal projection of trace (C - 1) + 1 in dimension C.",
                Star(("right vectors", "centred")),
            ),
            Step(
                "gap",
                Equal(gap, sp.ZeroMatrix(C, C)),
                "A matrix of norm zero is zero.",
                NormZero("no gap", (Square(1, gap),)),
            ),
            Step("simplex", parts["simplex"], "V V^T is the Gram matrix of a simplex ETF.", Star(("gap",))),
            step("classifier"),
            step("size of the classifier"),
            *growth.equalises(motion, where).steps,
            Step("NC1 in time", nc1, "Every term is 1 / w_j^2, whatever its start.", ByFirstIntegral()),
            Step(
                "shares of the class means",
                means,
                "The logarithmic slope of w^2 is 2, so the shares differ as the squared ratios do.",
                ByFirstIntegral(),
            ),
            Step(
                "shares of the classifier",
                weights,
                "The logarithmic slope of (w / (C + w^2))^2 lies between -2 and 2.",
                ByFirstIntegral(),
            ),
            Step(
                "collapse",
                statement(flow, motion),
                "With all shares equal to 1 / (C - 1) the Gram matrix is that of a simplex ETF, up to scale, and "
                "normalised W_LS and Mbar^T are both V U^T / (C - 1)^(1/2).",
                Conjunction(tuple(names)),
            ),
        ),
    )
