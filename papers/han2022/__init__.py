"""Han, Papyan & Donoho 2022: the central path under MSE, in the order of the paper."""

from ..claim import Paper
from . import growth, least_squares, proximity, renormalised_flow

BIBTEX = r"""@inproceedings{han2022,
  author        = {Han, X. Y. and Papyan, Vardan and Donoho, David L.},
  title         = {Neural Collapse Under {MSE} Loss: Proximity to and Dynamics on the Central Path},
  booktitle     = {International Conference on Learning Representations},
  year          = {2022},
  eprint        = {2106.02073v4},
  archiveprefix = {arXiv}
}
"""

PAPER = Paper(
    "han2022",
    "Neural Collapse Under MSE Loss: Proximity to and Dynamics on the Central Path",
    BIBTEX,
    (*least_squares.CLAIMS, *proximity.CLAIMS, *renormalised_flow.CLAIMS, *growth.CLAIMS),
)
