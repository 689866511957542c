"""What all figures share: letters, colours, markers, panels and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colours of Okabe & Ito, which colour-blind readers tell apart; serif letters.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: Mapping[str, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "figure.dpi": 200,
    "pdf.fonttype": 42,
    "axes.axisbelow": True,
}

Style = dict[str, Any]
MARKER: Style = {"linestyle": "none", "markersize": 3.4, "fillstyle": "none", "markeredgewidth": 0.7}
CIRCLE: Style = MARKER | {"marker": "o"}
CROSS: Style = MARKER | {"marker": "x"}
LINE: Style = {"linewidth": 1.0}
ASYMPTOTE: Style = {"linestyle": "--", "color": "0.45", "linewidth": 0.9}


def colours(count: int) -> list[Any]:
    """So many colours; beyond what can be told apart, shades from dark to light."""
    if count < len(COLOURS):
        return list(COLOURS[:count])
    import matplotlib as mpl

    return [mpl.colormaps["viridis"](0.9 * j / (count - 1)) for j in range(count)]


def scientific(number: float, digits: int = 3) -> str:
    """A number in a formula: 0.002, 10^{-5}, 2.5 \\times 10^{-7}.

    Examples:
        >>> scientific(0.002), scientific(1e-5)
        ('0.002', '10^{-5}')
    """
    mantissa, _, power = f"{number:.{digits}g}".partition("e")
    if not power:
        return mantissa
    return ("" if mantissa == "1" else rf"{mantissa} \times ") + f"10^{{{int(power)}}}"


def frame(panel: Axes, letter: str) -> None:
    """The letter of a panel, and its grid."""
    panel.grid(visible=True, which="major", linewidth=0.3, color="0.85")
    panel.text(-0.12, 1.03, f"({letter})", transform=panel.transAxes, ha="right", va="bottom", weight="bold")


def key(panel: Axes, *entries: tuple[str, Style], columns: int = 2) -> None:
    """A legend above the panel, where no data can be; what has no colour of its own is black."""
    from matplotlib.lines import Line2D

    black: Style = {"color": "0.1"}
    handles = [Line2D([], [], label=label, **(black | style)) for label, style in entries]
    panel.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        borderaxespad=0.3,
        handlelength=1.8,
        columnspacing=1.2,
    )
