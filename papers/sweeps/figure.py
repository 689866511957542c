"""Figures of a sweep: lines with intervals, or a phase diagram with what theory says of it.

Both are drawn from the rows alone. ``x,y`` and ``x,y,colour`` are columns. Where x and y both ran through values of
their own and there is a colour, that is a phase diagram of the colour's mean; else lines of y over x, one for each
colour: the median, and from the 5th to the 95th percentile of the configurations.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..drawing import (
    COLOURS,
    LINE,
    STYLE,
    Style,
    colours,
    frame,
)
from ..store import write_atomically
from .folder import query

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .spec import Spec

MOST_PANELS = 9
MOST_LINES = 12
MOST_STATES = 9  # of a discrete colour
WIDE = 20  # ratio of the ends of an axis, from which on it is logarithmic
SHADES = ("#f7f7f7", "#0b4a83")
CURVE: Style = {"color": COLOURS[1], "linewidth": 1.2}
STEP: Style = {"color": COLOURS[1], "linewidth": 1.0, "linestyle": (0, (3, 1.5))}
THEORY: Style = {"color": "0.05", "linestyle": (0, (3, 3)), "linewidth": 0.8}
LOST: Style = {"linestyle": "none", "marker": "x", "markersize": 3, "color": COLOURS[3], "markeredgewidth": 0.8}


class _Rows:
    """The rows that a figure is made of, and what their columns are."""

    def __init__(self, spec: Spec, parts: Sequence[Path], where: str | None) -> None:
        self.spec, self.parts = spec, parts
        self.condition = f"({where})" if where else "true"
        head = query(parts, "SELECT * FROM results LIMIT 0")
        self.types = {field.name: str(field.type) for field in head.schema}

    def require(self, name: str) -> str:
        """The column, quoted for SQL.

        Raises:
            ValueError: if there is none, or it has no single numbers.
        """
        if name not in self.types:
            raise ValueError(f"no column is called {name!r}; known: {', '.join(self.types)}")
        if self.types[name].startswith(("list", "struct")):
            raise ValueError(f"expected a column of numbers, and {name} has {self.types[name]}")
        return _quoted(name)

    def ask(self, sql: str) -> list[dict[str, Any]]:
        table: pa.Table = query(self.parts, sql.replace("$where", self.condition))
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def several(self) -> list[str]:
        """The parameters that have more than one value in the rows asked for, seeds aside."""
        names = [name for name in self.spec.swept if name != "seed"]
        counts = ", ".join(f"count(DISTINCT {_quoted(name)}) AS {_quoted(name)}" for name in names)
        (found,) = self.ask(f"SELECT {counts or '1'} FROM results WHERE $where")
        return [name for name in names if found[name] > 1]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def save(spec: Spec, parts: Sequence[Path], told: str, folder: Path, where: str | None = None) -> list[Path]:
    """Draw ``x,y`` or ``x,y,colour`` and write it as PNG and PDF; the paths.

    Raises:
        ValueError: in one line, for columns that there are not, or cannot be drawn.
        OSError: if the folder cannot be written to.
    """
    import matplotlib as mpl

    names = [name.strip() for name in told.split(",")]
    if len(names) not in (2, 3) or not all(names):
        raise ValueError(f"expected --plot x,y or x,y,colour, got {told[:60]!r}")
    with mpl.rc_context(dict(STYLE)):
        drawn = figure(spec, parts, names, where)
        paths = []
        unsaid: dict[str, tuple[str, ...]] = {"png": ("Software",), "pdf": ("CreationDate", "Producer", "Creator")}
        for suffix, keys in unsaid.items():
            buffer = io.BytesIO()
            drawn.savefig(buffer, format=suffix, metadata=dict.fromkeys(keys))
            paths.append(folder / f"{'-'.join(names)}.{suffix}")
            write_atomically(paths[-1], buffer.getvalue())
    return paths


def figure(spec: Spec, parts: Sequence[Path], names: Sequence[str], where: str | None = None) -> Figure:
    """The figure of two or three columns."""
    rows = _Rows(spec, parts, where)
    for name in names:
        rows.require(name)
    x, y = names[:2]
    (seen,) = rows.ask("SELECT count(*) AS number FROM results WHERE $where")
    if not seen["number"]:
        raise ValueError("no rows to draw")
    if len(names) == 3 and x in spec.swept and y in spec.swept:
        return _phase_diagram(rows, x, y, names[2])
    return _lines(rows, x, y, names[2] if len(names) == 3 else None)


# ------------------------------------------------------------------------------------------------ a phase diagram


def _panels(rows: _Rows, used: Sequence[str]) -> tuple[str | None, list[Any]]:
    """The one parameter beside those used that has several values, and the values: a panel each."""
    others = [name for name in rows.several() if name not in used]
    if len(others) > 1:
        raise ValueError(f"expected one more parameter at most, got {', '.join(others)}; choose with --where")
    if not others:
        return None, [None]
    name = _quoted(others[0])
    values = [row["value"] for row in rows.ask(f"SELECT DISTINCT {name} AS value FROM results WHERE $where ORDER BY 1")]
    if len(values) > MOST_PANELS:
        raise ValueError(f"{others[0]}: expected at most {MOST_PANELS} values, got {len(values)}; choose with --where")
    return others[0], values


def _phase_diagram(rows: _Rows, x: str, y: str, colour: str) -> Figure:
    from matplotlib.figure import Figure

    other, values = _panels(rows, (x, y, colour))
    a, b, c = (_quoted(name) for name in (x, y, colour))
    lost = "count(*) FILTER (NOT converged)" if "converged" in rows.types else "0"
    predicted = _quoted(f"predicted_{colour}") if f"predicted_{colour}" in rows.types else "NULL"
    asked = f"{a} AS x, {b} AS y, avg({c}::DOUBLE) AS colour, avg({predicted}::DOUBLE) AS predicted, {lost} AS lost"
    facet = f", {_quoted(other)} AS facet" if other else ", NULL AS facet"
    cells = rows.ask(f"SELECT {asked}{facet} FROM results WHERE $where GROUP BY ALL ORDER BY facet, y, x")
    found = [cell for cell in cells if cell["colour"] is not None]
    if not found:
        raise ValueError(f"{colour} has no numbers to draw")
    shading = _Shading(colour, [cell["colour"] for cell in found])
    across = min(3, len(values))
    down = -(-len(values) // across)
    drawn = Figure(figsize=(1.0 + 2.7 * across, 0.75 + 2.6 * down), layout="constrained")
    panels = drawn.subplots(down, across, squeeze=False).flatten()
    for panel in panels[len(values) :]:
        panel.remove()
    labels: dict[str, Mapping[str, Any]] = {}
    for panel, letter, value in zip(panels, "abcdefghi", values, strict=False):
        here = [cell for cell in cells if cell["facet"] == value]
        panel.set_title(f"{_text(other)} = {_number(value)}" if other else "")
        labels |= _diagram(panel, rows, (x, y), here, shading, {} if other is None else {other: value})
        if len(values) > 1:
            frame(panel, letter)
    shading.key(drawn, list(panels[: len(values)]), labels)
    return drawn


class _Shading:
    """Colours of a quantity: a shade for each whole number if there are few, else a scale."""

    def __init__(self, name: str, values: Sequence[float]) -> None:
        from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, ListedColormap, Normalize

        self.name, low, high = name, min(values), max(values)
        whole = all(value == int(value) for value in values) and high - low < MOST_STATES
        self.states = sorted({int(value) for value in values}) if whole else []
        if whole:
            steps = range(int(low), int(high) + 1)
            blend = LinearSegmentedColormap.from_list("states", SHADES)
            shades = [blend(0.05 + 0.95 * (s - steps[0]) / max(1, len(steps) - 1)) for s in steps]
            self.map: Any = ListedColormap(shades)
            self.norm: Any = BoundaryNorm([s - 0.5 for s in (*steps, steps[-1] + 1)], len(shades))
        else:
            self.map, self.norm = "viridis", Normalize(low, high)

    def key(self, drawn: Figure, panels: list[Axes], labels: Mapping[str, Mapping[str, Any]]) -> None:
        import matplotlib as mpl
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        handles: list[Any] = [Line2D([], [], label=label, **style) for label, style in labels.items()]
        if self.states:
            shade: Any = mpl.cm.ScalarMappable(self.norm, self.map)
            handles = [
                Patch(facecolor=shade.to_rgba(s), edgecolor="0.6", linewidth=0.4, label=f"{_text(self.name)} = {s}")
                for s in reversed(self.states)
            ] + handles
        else:
            drawn.colorbar(mpl.cm.ScalarMappable(self.norm, self.map), ax=panels, label=f"mean of {_text(self.name)}")
        if handles:
            columns = min(len(handles), max(2, round(1.6 * len(panels))))
            drawn.legend(handles=handles, loc="outside upper center", ncols=columns)


def _diagram(
    panel: Axes,
    rows: _Rows,
    names: tuple[str, str],
    cells: Sequence[Mapping[str, Any]],
    shading: _Shading,
    fixed: Mapping[str, Any],
) -> dict[str, Mapping[str, Any]]:
    """Draws a panel; the lines in it by their labels."""
    import numpy as np

    xs, ys = (sorted({cell[axis] for cell in cells}) for axis in "xy")
    for name, values, scale in zip(names, (xs, ys), (panel.set_xscale, panel.set_yscale), strict=True):
        if _logarithmic(rows.spec, name, values):
            scale("log")
    grid, predicted = np.full((len(ys), len(xs)), np.nan), np.full((len(ys), len(xs)), np.nan)
    labels: dict[str, Mapping[str, Any]] = {}
    places = {axis: {value: place for place, value in enumerate(values)} for axis, values in (("x", xs), ("y", ys))}
    full = len(cells) > 0.5 * grid.size
    for cell in cells:
        at = places["y"][cell["y"]], places["x"][cell["x"]]
        grid[at] = np.nan if cell["colour"] is None else cell["colour"]
        predicted[at] = np.nan if cell["predicted"] is None else cell["predicted"]
    edges = [_edges(values, scale == "log") for values, scale in ((xs, panel.get_xscale()), (ys, panel.get_yscale()))]
    if full:
        masked = np.ma.masked_invalid(grid)
        panel.pcolormesh(edges[0], edges[1], masked, cmap=shading.map, norm=shading.norm, rasterized=True)
    else:  # a random design
        panel.scatter(
            [cell["x"] for cell in cells],
            [cell["y"] for cell in cells],
            c=[np.nan if cell["colour"] is None else cell["colour"] for cell in cells],
            cmap=shading.map,
            norm=shading.norm,
            s=9,
            edgecolors="0.5",
            linewidths=0.2,
        )
    curves = _curves(rows.spec, names, fixed)
    for label, x, y in curves:
        panel.plot(x, y, **CURVE)
        labels[label] = CURVE
    if full and not curves and np.isfinite(predicted).any():
        _steps(panel, edges, predicted)
        labels[f"predicted change of {_text(shading.name)}"] = STEP
    lost = [cell for cell in cells if cell["lost"]]
    if lost:
        panel.plot([cell["x"] for cell in lost], [cell["y"] for cell in lost], **LOST)
        labels["some did not converge"] = LOST
    panel.set_xlim(edges[0][0], edges[0][-1])
    panel.set_ylim(edges[1][0], edges[1][-1])
    panel.set_xlabel(_text(names[0]))
    panel.set_ylabel(_text(names[1]))
    return labels


def _curves(spec: Spec, names: tuple[str, str], fixed: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The theory's own curves, where all other parameters have one value."""
    cell = spec.experiment.cell
    if cell is None or cell.curves is None:
        return []
    one = {axis.name: axis.values[0] for axis in spec.design.axes if len(axis.values) == 1}
    return cell.curves(*names, one | dict(fixed))


def _edges(values: Sequence[float], logarithmic: bool) -> Any:
    """The edges of cells, half-way between their centres."""
    import numpy as np

    centres = np.log(values) if logarithmic else np.asarray(values, np.float64)
    if len(centres) == 1:
        edges = np.array([centres[0] - 0.5, centres[0] + 0.5])
    else:
        middle = (centres[1:] + centres[:-1]) / 2
        edges = np.array([2 * centres[0] - middle[0], *middle, 2 * centres[-1] - middle[-1]])
    return np.exp(edges) if logarithmic else edges


def _steps(panel: Axes, edges: Sequence[Any], values: Any) -> None:
    """The edges between cells of different values."""
    from matplotlib.collections import LineCollection

    x, y = edges
    rows, columns = values.shape
    right = [
        ((x[j + 1], y[i]), (x[j + 1], y[i + 1]))
        for i in range(rows)
        for j in range(columns - 1)
        if values[i, j] != values[i, j + 1]
    ]
    above = [
        ((x[j], y[i + 1]), (x[j + 1], y[i + 1]))
        for i in range(rows - 1)
        for j in range(columns)
        if values[i, j] != values[i + 1, j]
    ]
    panel.add_collection(LineCollection([*right, *above], colors=STEP["color"], linewidths=STEP["linewidth"]))


# ---------------------------------------------------------------------------------------------------------- lines


def _lines(rows: _Rows, x: str, y: str, colour: str | None) -> Figure:
    from matplotlib.figure import Figure

    a, b = _quoted(x), _quoted(y)
    group = f", {_quoted(colour)} AS colour" if colour else ", NULL AS colour"
    told = f"predicted_{y}" if f"predicted_{y}" in rows.types and not y.startswith("predicted_") else None
    predicted = f", median({_quoted(told)}::DOUBLE) AS predicted" if told else ", NULL AS predicted"
    quantiles = ", ".join(f"quantile_cont({b}::DOUBLE, {q}) AS q{n}" for n, q in enumerate((0.05, 0.5, 0.95)))
    found = rows.ask(
        f"SELECT {a} AS x{group}{predicted}, {quantiles} FROM results WHERE $where AND {b} IS NOT NULL "
        "GROUP BY ALL ORDER BY colour, x"
    )
    if not found:
        raise ValueError(f"{y} has no numbers to draw")
    groups = list(dict.fromkeys(row["colour"] for row in found))
    if len(groups) > MOST_LINES:
        raise ValueError(f"{colour}: expected at most {MOST_LINES} values, got {len(groups)}; choose with --where")
    drawn = Figure(figsize=(4.4, 3.2), layout="constrained")
    panel = drawn.subplots()
    panel.grid(visible=True, which="major", linewidth=0.3, color="0.85")
    for value, shade in zip(groups, colours(len(groups)), strict=True):
        here = [row for row in found if row["colour"] == value]
        at = [row["x"] for row in here]
        label = "median; 5 % to 95 %" if colour is None else f"{_text(colour)} = {_number(value)}"
        panel.plot(at, [row["q1"] for row in here], color=shade, label=label, marker=".", markersize=4, **LINE)
        panel.fill_between(at, [row["q0"] for row in here], [row["q2"] for row in here], color=shade, alpha=0.2, lw=0)
        if told:
            panel.plot(at, [row["predicted"] for row in here], **THEORY)
    if told:
        panel.plot([], [], label="theory (median)", **THEORY)
    if _logarithmic(rows.spec, x, [row["x"] for row in found]):
        panel.set_xscale("log")
    if _wide([row["q1"] for row in found]):
        panel.set_yscale("log")
    panel.set_xlabel(_text(x))
    panel.set_ylabel(_text(y))
    title = None if colour is None else "median, and from 5 % to 95 % of the configurations"
    drawn.legend(loc="outside upper center", ncols=3, title=title, title_fontsize=8)
    return drawn


def _wide(values: Sequence[Any]) -> bool:
    return bool(values) and min(values) > 0 and max(values) > WIDE * min(values)


def _logarithmic(spec: Spec, name: str, values: Sequence[Any]) -> bool:
    axis = next((each for each in spec.design.axes if each.name == name), None)
    return _wide(values) if axis is None or axis.values else axis.logarithmic


def _text(name: str | None) -> str:
    return (name or "").replace("_", " ")


def _number(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_number, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
