"""Dang et al. 2023: deep linear networks on free features, from balanced to imbalanced classes."""

from ..claim import Paper
from . import balanced, critical_points, cross_entropy, deep, geometry, one_layer, scalar

BIBTEX = r"""@inproceedings{dang2023,
  author        = {Dang, Hien and Tran, Tho and Osher, Stanley and Tran-The, Hung and Ho, Nhat and Nguyen, Tan},
  title         = {Neural Collapse in Deep Linear Networks: From Balanced to Imbalanced Data},
  booktitle     = {Proceedings of the 40th International Conference on Machine Learning},
  series        = {Proceedings of Machine Learning Research},
  volume        = {202},
  pages         = {6873--6947},
  year          = {2023},
  eprint        = {2301.00437v5},
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
