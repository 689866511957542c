"""Lengths and angles that dang2023 predicts beside those that a tracker of a network in training has measured."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...numerics.training import CollapseTracker


def beside(tracker: CollapseTracker, decays: Sequence[float | Fraction]) -> list[dict[str, Any]]:
    """The table `tracker.lengths` of the head, with `predicted_mean`, `predicted_row` and `alive` for each class.

    The prediction is the minimum of the MSE loss (1/2) Ave ||W h - y||^2 + (lam_W/2) ||W||^2 + (lam_H/2) ||H||^2 for
    free features of these class sizes, without bias; ``decays`` are (lam_W, lam_H), lam_H being on the sum over all
    samples. There, class means are orthogonal (`overlap` 0), each along its row (`alignment` 1), and a class that is
    not `alive` has length zero (Dang et al. 2023, section 4).

    Raises:
        ValueError: for a tracker without a head, a head with a bias, or decays that are not two positive numbers.

    Examples:
        >>> import torch
        >>> from tightframe.numerics.training import CollapseTracker
        >>> features, labels = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), torch.tensor([0, 0, 1])
        >>> model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(2, 2, bias=False))
        >>> tracker = CollapseTracker(model, [(features, labels)], head="1")
        >>> [round(row["predicted_mean"], 4) for row in beside(tracker, (0.01, 0.01))]
        [0.8319, 0.9849]
    """
    from ...theory import deep_linear

    if tracker.head is None or tracker.has_bias:
        raise ValueError("expected a tracker of a head without bias: lengths are predicted for models without one")
    if len(decays) != 2:
        raise ValueError(f"expected two decays, of the head and of the features, got {len(decays)}")
    counts = tracker.moments[tracker.head].class_counts
    found = deep_linear.minimum(counts, sum(counts), decays)
    lengths = deep_linear.lengths(found.p, sum(counts), float(decays[1]))
    rows, means = (lengths.rows**0.5).tolist(), (lengths.means**0.5).tolist()
    return [
        row | {"predicted_mean": means[k], "predicted_row": rows[k], "alive": rows[k] > 0}
        for row in tracker.lengths
        if row["layer"] == tracker.head
        for k in (row["class"],)
    ]
