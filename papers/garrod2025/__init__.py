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

PAPER = Paper(
    "garrod2025",
    "The Persistence of Neural Collapse Despite Low-Rank Bias",
    BIBTEX,
    (
        *alignment.CLAIMS,
        *losses.CLAIMS,
        *low_rank.CLAIMS,
        *landscape.CLAIMS,
        *depth.CLAIMS,
        *relu.CLAIMS,
        *imbalance.CLAIMS,
    ),
)
