"""Dang et al. 2023: deep linear networks on free features, from balanced to imbalanced classes."""

from ..claim import Paper
from . import balanced, critical_points, cross_entropy, deep, geometry, one_layer, scalar

BIBTEX = r"""@inproceedings{dang2023,
  author        = {Dang, Hien and Tran, Tho and Osher, Stanley and Tran-The, Hung and Ho, Nhat and Nguyen, Tan},
  title         = {Neural Collapse in Deep Linear Networks: From Balanced to Imbalanced Data},
  booktitle     = {International Conference on Machine Learning},
  year          = {2023},
  eprint        = {2301.00437},
  archiveprefix = {arXiv}
}
"""

PAPER = Paper(
    "dang2023",
    "Neural Collapse in Deep Linear Networks: From Balanced to Imbalanced Data",
    BIBTEX,
    (
        *critical_points.CLAIMS,
        *scalar.CLAIMS,
        *balanced.CLAIMS,
        *geometry.CLAIMS,
        *one_layer.CLAIMS,
        *deep.CLAIMS,
        *cross_entropy.CLAIMS,
    ),
)
