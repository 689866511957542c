"""Garrod & Keating 2025: neural collapse under cross-entropy, in deep linear models that prefer low rank."""

from ..claim import Paper
from . import alignment, depth, imbalance, landscape, losses, low_rank, relu

BIBTEX = r"""@inproceedings{garrod2025,
  author        = {Garrod, Connall and Keating, Jonathan P.},
  title         = {The Persistence of Neural Collapse Despite Low-Rank Bias},
  booktitle     = {Advances in Neural Information Processing Systems},
  year          = {2025},
  eprint        = {2410.23169v2},
  archiveprefix = {arXiv}
}
"""

_FOUND = {
    claim.slug: claim
    for part in (alignment, losses, low_rank, landscape, depth, relu, imbalance)
    for claim in part.CLAIMS
}
_ORDER = (  # of the paper; a module has what one theory proves
    ("alignment", "schatten", "dnc-properties", "dnc-loss", "paired-loss", "dnc-suboptimal", "rank-superiority"),
    ("minimal-rank", "global-rank-decay", "dnc-scale", "dnc-psd", "rho-identity", "solution-dimension"),
    ("paired-scale", "flatness-ratio", "relu-suboptimal", "imbalanced-rank", "imbalanced-dnc"),
)

PAPER = Paper(
    "garrod2025",
    "The Persistence of Neural Collapse Despite Low-Rank Bias",
    BIBTEX,
    tuple(_FOUND.pop(slug) for line in _ORDER for slug in line) + tuple(_FOUND.values()),
)
