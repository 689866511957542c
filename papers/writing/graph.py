"""The graph of claims: which claim is a step of which proof, which sharpens or corrects which, and where it is drawn.

Arrows run from a claim to what is built on it: the claims whose certificates have it as a step, those that say the same
on a larger domain, and the one that replaces it. The drawing is layered, from left to right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import Any

import networkx as nx

KINDS = {"step": "is a step of the proof of", "sharpened": "is sharpened by", "corrected": "is corrected by"}


@dataclass(frozen=True, order=True)
class Arrow:
    """An arrow between two claims; ``kind`` is one of :data:`KINDS`."""

    source: str
    target: str
    kind: str


def arrows(shown: Mapping[str, Mapping[str, Any]]) -> list[Arrow]:
    """The arrows between claims that are described as ``show`` describes them; each other claim is left out."""
    found: list[Arrow] = []
    for name, data in shown.items():
        found += [Arrow(other, name, "step") for other in data["depends"]]
        found += [Arrow(data["sharpens"], name, "sharpened")] if data["sharpens"] else []
        found += [Arrow(data["corrects"], name, "corrected")] if data["corrects"] else []
    return [arrow for arrow in found if arrow.source in shown and arrow.source != arrow.target]


def impact(names: Iterable[str], every: Iterable[Arrow]) -> dict[str, tuple[str, ...]]:
    """What falls with each of these claims: all claims whose proofs have it as a step, however far back.

    Examples:
        >>> impact(["a"], [Arrow("a", "b", "step"), Arrow("b", "c", "step"), Arrow("a", "d", "corrected")])
        {'a': ('b', 'c')}
    """
    graph = nx.DiGraph((arrow.source, arrow.target) for arrow in every if arrow.kind == "step")
    return {name: tuple(sorted(nx.descendants(graph, name))) if name in graph else () for name in names}


def reduced(every: Sequence[Arrow]) -> list[Arrow]:
    """The arrows without those between a claim and a proof that also has it as a step by way of another claim.

    Examples:
        >>> reduced([Arrow("a", "b", "step"), Arrow("b", "c", "step"), Arrow("a", "c", "step")])
        [Arrow(source='a', target='b', kind='step'), Arrow(source='b', target='c', kind='step')]
    """
    graph = nx.DiGraph((arrow.source, arrow.target) for arrow in every if arrow.kind == "step")
    if not nx.is_directed_acyclic_graph(graph):
        return list(every)
    kept = set(nx.transitive_reduction(graph).edges)
    return [arrow for arrow in every if arrow.kind != "step" or (arrow.source, arrow.target) in kept]


# ------------------------------------------------------------------------------------------------ layers

WIDTH, HEIGHT = 192.0, 46.0  # of a box
GAP, LEVEL = 18.0, 48.0  # between the boxes of a layer, and between layers
SWEEPS = 40  # of the search for an order with few crossings, and of that for heights


@dataclass(frozen=True)
class Drawing:
    """Boxes by their upper left corners, arrows by the points through which they pass, and the size of all of it."""

    width: float
    height: float
    boxes: Mapping[str, tuple[float, float]]
    curves: Mapping[Arrow, tuple[tuple[float, float], ...]]


Node = str | tuple[Arrow, int]  # a claim, or the place where a long arrow crosses a layer


def layered(names: Sequence[str], every: Sequence[Arrow]) -> Drawing:
    """A connected graph in layers from left to right: arrows point to the right, unless they close a cycle."""
    forward = nx.DiGraph()
    forward.add_nodes_from(names)
    for arrow in every:
        if not nx.has_path(forward, arrow.target, arrow.source):
            forward.add_edge(arrow.source, arrow.target)
    level: dict[Node, int] = {name: i for i, layer in enumerate(nx.topological_generations(forward)) for name in layer}
    beside: dict[Node, list[Node]] = {name: [] for name in names}
    path: dict[Arrow, list[Node]] = {}
    for arrow in every:
        inner: list[Node] = [(arrow, i) for i in range(level[arrow.source] + 1, level[arrow.target])]
        level |= {node: node[1] for node in inner if not isinstance(node, str)}
        path[arrow] = [arrow.source, *inner, arrow.target]
        for one, other in pairwise(path[arrow]):
            beside.setdefault(one, []).append(other)
            beside.setdefault(other, []).append(one)
    layers: list[list[Node]] = [[] for _ in range(max(level.values()) + 1)]
    for node in beside:
        layers[level[node]].append(node)
    top = _heights(_ordered(layers, beside, level), beside)
    low = min(top.values())
    boxes = {name: (level[name] * (WIDTH + LEVEL), top[name] - low) for name in names}
    size = (len(layers) * (WIDTH + LEVEL) - LEVEL, max(top.values()) - low + HEIGHT)
    return Drawing(*size, boxes, _curves(path, boxes, {node: y - low for node, y in top.items()}, level))


def _ordered(
    layers: list[list[Node]], beside: Mapping[Node, list[Node]], level: Mapping[Node, int]
) -> list[list[Node]]:
    """Layers in an order with few crossings, by barycentres (Sugiyama, Tagawa and Toda, 1981)."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, beside, level)
    for sweep in range(SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        for i in range(len(layers))[::step]:
            if not 0 <= i - step < len(layers):
                continue
            place = {node: at for at, node in enumerate(layers[i - step])}
            weight = {
                node: mean([place[other] for other in beside[node] if other in place] or [at])
                for at, node in enumerate(layers[i])
            }
            layers[i].sort(key=weight.__getitem__)
        if (count := _crossings(layers, beside, level)) < fewest:
            best, fewest = [list(layer) for layer in layers], count
    return best


def _crossings(layers: list[list[Node]], beside: Mapping[Node, list[Node]], level: Mapping[Node, int]) -> int:
    total = 0
    for left, right in pairwise(layers):
        place = {node: at for at, node in enumerate(right)}
        ends = [sorted(place[other] for other in beside[node] if level[other] == level[node] + 1) for node in left]
        total += sum(a > b for i, upper in enumerate(ends) for lower in ends[i + 1 :] for a in upper for b in lower)
    return total


def _heights(layers: list[list[Node]], beside: Mapping[Node, list[Node]]) -> dict[Node, float]:
    """Each node near the middle of its neighbours, without overlaps."""
    top = {node: at * (HEIGHT + GAP) for layer in layers for at, node in enumerate(layer)}
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 else layers[::-1]:
            wanted = [mean([top[other] for other in beside[node]] or [top[node]]) for node in layer]
            placed: list[float] = []
            for y in wanted:
                placed.append(max(y, placed[-1] + HEIGHT + GAP) if placed else y)
            shift = mean(wanted) - mean(placed)
            top |= {node: y + shift for node, y in zip(layer, placed, strict=True)}
    return top


def _curves(
    path: Mapping[Arrow, list[Node]],
    boxes: Mapping[str, tuple[float, float]],
    top: Mapping[Node, float],
    level: Mapping[Node, int],
) -> dict[Arrow, tuple[tuple[float, float], ...]]:
    """From the right side of a box to the left side of another; arrows between the same boxes run side by side."""
    found: dict[Arrow, tuple[tuple[float, float], ...]] = {}
    for arrow, nodes in path.items():
        twins = [other for other in path if (other.source, other.target) == (arrow.source, arrow.target)]
        aside = 12.0 * (twins.index(arrow) - (len(twins) - 1) / 2)
        points = [(boxes[arrow.source][0] + WIDTH, top[arrow.source] + HEIGHT / 2 + aside)]
        for node in nodes[1:-1]:
            x, y = level[node] * (WIDTH + LEVEL), top[node] + HEIGHT / 2 + aside
            points += [(x, y), (x + WIDTH, y)]
        points.append((boxes[arrow.target][0], top[arrow.target] + HEIGHT / 2 + aside))
        found[arrow] = tuple(points)
    return found


# ------------------------------------------------------------------------------------------------ all of the graph


@dataclass(frozen=True)
class Section:
    """A part of the drawing with a title above it."""

    title: str
    top: float
    names: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The drawing of a graph, and its sections: first what is linked, then the rest, paper by paper."""

    drawing: Drawing
    sections: tuple[Section, ...]


TITLE = 40.0  # height of a title
BETWEEN = 40.0  # between connected parts
LINKED = "Claims that build on one another"


def plan(names: Sequence[str], every: Sequence[Arrow], width: float = 4 * WIDTH + 3 * LEVEL) -> Plan:
    """Where every claim is drawn: connected parts from the largest to the smallest, single claims in rows.

    Of the arrows those of :func:`reduced` are drawn. ``width`` is filled where that can be done; a wider part makes the
    drawing wider.
    """
    every = reduced(every)
    graph = nx.Graph((arrow.source, arrow.target) for arrow in every)
    order = {name: at for at, name in enumerate(names)}
    parts = [sorted(part, key=order.__getitem__) for part in nx.connected_components(graph)]
    drawn = [layered(part, [arrow for arrow in every if arrow.source in part]) for part in parts]
    drawn.sort(key=lambda part: (-part.height * part.width, min(order[name] for name in part.boxes)))
    width = max([width, *(part.width for part in drawn)])
    boxes: dict[str, tuple[float, float]] = {}
    curves: dict[Arrow, tuple[tuple[float, float], ...]] = {}
    sections: list[Section] = []
    x = y = tallest = 0.0
    if drawn:
        y = TITLE
        sections.append(Section(LINKED, 0.0, tuple(name for name in names if name in graph)))
    for part in drawn:
        if x and x + part.width > width:
            x, y, tallest = 0.0, y + tallest + BETWEEN, 0.0
        boxes |= {name: (x + left, y + top) for name, (left, top) in part.boxes.items()}
        curves |= {arrow: tuple((x + a, y + b) for a, b in points) for arrow, points in part.curves.items()}
        x, tallest = x + part.width + LEVEL, max(tallest, part.height)
    y += tallest
    columns = int((width + LEVEL) // (WIDTH + LEVEL))
    single: dict[str, list[str]] = {}
    for name in names:
        if name not in graph:
            single.setdefault(name.partition("/")[0], []).append(name)
    for paper, others in single.items():
        y += BETWEEN if boxes else 0.0
        sections.append(Section(f"{paper}: without a link to another claim", y, tuple(others)))
        y += TITLE
        for at, name in enumerate(others):
            boxes[name] = (at % columns * (WIDTH + LEVEL), y + at // columns * (HEIGHT + GAP))
        y += ((len(others) - 1) // columns + 1) * (HEIGHT + GAP) - GAP
    return Plan(Drawing(width, y, boxes, curves), tuple(sections))
