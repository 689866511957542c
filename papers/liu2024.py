"""Liu 2024: deep linear networks on free features, classes of any sizes and a free bias. No locator is known."""

from __future__ import annotations

from functools import partial

from ..theory import centred_labels, critical_values, interlacing, label_directions, label_spectrum
from . import general_target
from .claim import Paper, stated
from .dang2023 import balanced, deep, phase_diagram
from .dang2023.critical_points import ENOUGH, class_counts, of_samples
from .domain import Domain, Parameter
from .evidence import Comparison, Kind, Verdict
from .prediction import Values

VERSION = "2411.17278v1"
BIBTEX = rf"""@misc{{liu2024,
  author        = {{Liu, Haixia}},
  title         = {{The Exploration of Neural Collapse under Imbalanced Data}},
  year          = {{2024}},
  eprint        = {{{VERSION}}},
  archiveprefix = {{arXiv}}
}}
"""


# ---- simulation
def simulate_collapse(values: Values, seed: int) -> Comparison:
    """Where gradient descent on the features of all samples ends: these less their class means."""
    from ..numerics import descent, initialisers, models, statistics
    from ..numerics.deep_linear import DeepLinearUFM

    counts = class_counts(values["K"], values["N"], seed)
    decay = (0.3 + values["lambda_H"] / 20) / values["N"]
    model = DeepLinearUFM(counts, values["d"], 1 + seed % 2, decay, bias=True)
    found = descent.until_critical(model, initialisers.gaussian(model, seed, 0.3), 0.3, 0.9, limit=20_000)
    features = models.Features(found.value.features.nan_to_num() * decay**0.5, counts)
    lost = statistics.residuals(features).flatten().tolist()
    return Comparison(lost, [0.0] * len(lost), 1e-6, converged=found.converged)


def spectrum(values: Values, seed: int) -> tuple[list[int], list[float]]:
    """Class sizes, and the squared singular values of the centred labels, which have N Sigma_T for a Gram matrix."""
    from ..numerics import linalg, models, statistics

    counts = sorted(class_counts(values["K"], values["N"], seed), reverse=True)
    labels = models.FeatureModel(tuple(counts), 1).sample(seed).one_hot.double()
    scatter = values["N"] * statistics.total_covariance(models.Features(labels, tuple(counts)))
    return counts, linalg.eigenvalues(scatter).flip(-1).tolist()


def simulate_spectrum(values: Values, seed: int) -> Comparison:
    counts, squares = spectrum(values, seed)
    return Comparison(squares, [float(low) for low, _ in label_spectrum.enclosed(counts, 64)], 1e-10)


def simulate_interlacing(values: Values, seed: int) -> Comparison:
    """sigma_i^2 below n_(i), and n_(i+1) below sigma_i^2."""
    counts, squares = spectrum(values, seed)
    return Comparison([*squares, *counts[1:]], [*counts, *squares[:-1]], 1e-10)


def simulate_geometry(values: Values, seed: int) -> Comparison:
    """W W^T, the Gram matrix of Hbar S, and f at the least f found; the width is K - 1 at times."""
    counts, width = class_counts(values["K"], values["N"], seed), None if seed % 4 else values["K"] - 1
    return general_target.compared(general_target.searched(counts, None, True, values["M"], seed, width))


# ---- claims
COLLAPSE, SPECTRUM, GEOMETRY = centred_labels.Collapse(), centred_labels.Spectrum(), centred_labels.Geometry()
INTERLACING, DIRECTIONS, BALANCED = (
    interlacing.Interlacing(),
    label_directions.Directions(),
    label_directions.Balanced(),
)
LEMMAS = (*deep.EXISTS, critical_values.EIGENVECTORS, critical_values.POWER)
SIZES = "n = Y 1 holds the class sizes, S = diag(n)^(1/2) (D in the paper), and Yhat = (I - n 1^T/N) S. "
PARALLEL = (
    "T = Y (I - 1 1^T/N), of rank K - 1, so that widths need be no more. Is w_k parallel to hbar_k? n_k N lam_H hbar_k "
    "has the coordinates of w_k times sigma_i^2/(1 + x_i^M), which increases with sigma_i: exactly if sigma_i is one "
    "number for all living i with u_ik != 0. So not in general: n = (6, 1, 1), M = 1, N^2 lam_W lam_H = 1/4."
)
proved = partial(stated, recorded=Verdict.PROVED, version=VERSION)
CLAIMS = (
    proved(
        "liu2024/feature-collapse",
        "Features of a class collapse to their mean at every critical point, so at every global minimiser",
        COLLAPSE,
        of_samples(COLLAPSE.parameters),
        centred_labels.collapse,
        simulate_collapse,
        notes="W is the product of all layers. Only the gradient in H has to vanish: layers and bias may be any.",
    ),
    proved(
        "liu2024/centred-spectrum",
        "Y (I - 1 1^T/N) and Yhat have the same singular values; the squares are eigenvalues of diag(n) - n n^T/N",
        SPECTRUM,
        of_samples(SPECTRUM.parameters),
        centred_labels.spectrum,
        simulate_spectrum,
        notes=SIZES + "The rank of Yhat is K - 1: S is invertible, and an idempotent matrix has its trace for a rank.",
    ),
    proved(
        "liu2024/geometry",
        "Global minima: W W^T = sum_i N lam_H x_i^M u_i u_i^T, and Hbar S has the right singular vectors of Yhat",
        GEOMETRY,
        Domain(deep.parameters(GEOMETRY.minimisers.at), (ENOUGH,)),
        centred_labels.geometry,
        simulate_geometry,
        lemmas=deep.EXISTS,
        notes=deep.READING + deep.OPTIMAL + deep.MINIMAL + SIZES + PARALLEL,
        predict=deep.CENTRED_PREDICTION,
    ),
    proved(
        "liu2024/direction-collapse",
        "A direction of the centred labels vanishes above its threshold and survives below it",
        DIRECTIONS,
        of_samples(DIRECTIONS.parameters),
        label_directions.direction_collapse,
        lemmas=LEMMAS,
        notes="u is a left singular vector of Yhat; x minimises g at b = M (N/sigma^2) gamma (geometry). Above beta "
        "all x > 0 are worse than 0; below it s = (M - 1)^(1/M) is better, or epsilon if M = 1. A row w_k is zero only "
        "if u_ik = 0 for all living directions i: what collapses is a direction, not a class.",
    ),
    proved(
        "liu2024/interlacing",
        "n_(1) >= sigma_1^2 >= n_(2) >= ... >= n_(K) >= sigma_K^2 = 0 for sizes and singular values in order",
        INTERLACING,
        of_samples(INTERLACING.parameters),
        interlacing.interlaced,
        simulate_interlacing,
        kind=Kind.UPPER,
        notes="Traces of projections count: sigma^2 >= t + delta is no more frequent than n_k > t, and n_k >= t + "
        "delta at most once more than sigma^2 > t, at every t and delta > 0. That is the order of the two lists.",
    ),
    proved(
        "liu2024/balanced-limit",
        "Classes of one size: Yhat has one singular value, and the geometry is that of dang2023/balanced-etf",
        BALANCED,
        Domain((*deep.parameters(BALANCED.minimisers.at), Parameter(*label_directions.SIDE))),
        label_directions.balanced,
        balanced.simulate_frames(bias=True),
        lemmas=LEMMAS,
        notes=SIZES + "Assumed is what geometry says, off the threshold; the rest is said in balanced-etf too.",
    ),
)
SHOWN = ("liu2024/direction-collapse", "liu2024/geometry")
EXPERIMENT = phase_diagram.experiment("liu2024-directions", "liu2024", bias=True, sizes="300,200,120", claims=SHOWN)
PAPER = Paper("liu2024", "The Exploration of Neural Collapse under Imbalanced Data", BIBTEX, CLAIMS, (EXPERIMENT,))
