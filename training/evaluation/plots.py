"""Plots of a report as SVG elements that stand inside an HTML page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure  # not pyplot, which keeps figures and picks a screen

__all__ = ["precision_recall_plot", "reliability_plot", "risk_coverage_plot"]

_INK = "#010203"
"""Stands for the colour of the page's text, which differs between light and dark."""
_LINE, _GUIDE = "#3b82d6", "#888888"  # both readable on white and on near-black
_N_COLUMNS = 4
_SETTINGS = {
    "svg.hashsalt": "ctclassify",  # the same figures give the same bytes
    "svg.fonttype": "none",  # text stays text: it can be searched, and is small
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
}


def precision_recall_plot(curves: Mapping[str, Mapping[str, Any] | None], *, name: str) -> str:
    """Return small multiples of precision over recall.

    Parameters
    ----------
    curves : mapping
        As :func:`training.evaluation.curves.precision_recall_curves` gives them; a label without one gets an empty
        panel.
    name : str
        Prefix of the ids in the element: unique in the page.

    Returns
    -------
    str
        An ``svg`` element.
    """

    def draw(axes: Any, curve: Mapping[str, Any] | None) -> None:
        if curve is None:
            axes.text(0.5, 0.5, "not in the data", ha="center", va="center")
        else:
            # Precision holds from one point of recall, which falls, to the next lower one: it is not interpolated.
            axes.step(curve["recall"], curve["precision"], where="post", color=_LINE, linewidth=1.2)

    return _multiples(curves, draw, x_label="recall", y_label="precision", name=name)


def reliability_plot(parts: Mapping[str, Mapping[str, Any]], *, name: str) -> str:
    """Return small multiples of observed frequency over mean probability, beside the diagonal.

    Parameters
    ----------
    parts : mapping
        Title to an object with ``bins``, as :func:`training.evaluation.reliability.reliability` gives them; empty bins
        are left out. The area of a mark grows with the bin's share of the decisions.
    name : str
        Prefix of the ids in the element: unique in the page.

    Returns
    -------
    str
        An ``svg`` element.
    """

    def draw(axes: Any, part: Mapping[str, Any]) -> None:
        bins = [each for each in part["bins"] if each["count"]]
        total = sum(each["count"] for each in bins)
        x, y = ([each[key] for each in bins] for key in ("mean_probability", "observed_frequency"))
        axes.plot([0, 1], [0, 1], color=_GUIDE, linewidth=0.8, linestyle="--")
        axes.plot(x, y, color=_LINE, linewidth=1)
        axes.scatter(x, y, s=[6 + 50 * each["count"] / total for each in bins], color=_LINE)

    return _multiples(parts, draw, x_label="mean probability", y_label="observed frequency", name=name)


def risk_coverage_plot(curve: Sequence[Mapping[str, Any]], *, name: str) -> str:
    """Return micro-F1 of the rest over the percentage reviewed, an ``svg`` element; undefined points are left out."""
    points = [point for point in curve if point["micro_f1"] is not None]
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(4.6, 2.8), layout="constrained")
        axes = figure.add_subplot()
        x, y = ([point[key] for point in points] for key in ("percent", "micro_f1"))
        axes.plot(x, y, color=_LINE, linewidth=1.4, marker="o", markersize=3)
        axes.set_xlabel("% of sentences reviewed, the least certain first")
        axes.set_ylabel("micro-F1 of the rest")
        axes.grid(color=_GUIDE, alpha=0.25, linewidth=0.6)
        return _svg(figure, name)


def _multiples(parts: Mapping[str, Any], draw: Any, *, x_label: str, y_label: str, name: str) -> str:
    """Draw one panel a part, all from 0 to 1."""
    n_rows = max(1, -(-len(parts) // _N_COLUMNS))
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(8.6, 2.1 * n_rows + 0.3), layout="constrained")
        panels = figure.subplots(n_rows, _N_COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (title, part) in zip(panels, parts.items(), strict=False):
            draw(axes, part)
            axes.set_title(title, parse_math=False)
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
            axes.grid(color=_GUIDE, alpha=0.25, linewidth=0.6)
        for axes in panels[len(parts) :]:
            axes.set_axis_off()
        figure.supxlabel(x_label, fontsize=8)
        figure.supylabel(y_label, fontsize=8)
        return _svg(figure, name)


def _svg(figure: Figure, name: str) -> str:
    """Return a figure as an element whose ids begin with ``name`` and whose text has the page's colour."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    element = file.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r"\s*<metadata>.*?</metadata>", "", element, count=1, flags=re.DOTALL)
    # Several figures stand in one page: without the prefix a clip path would be looked up in the first of them.
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r'href="#', f'href="#{name}-', element)
    element = element.replace("url(#", f"url(#{name}-").replace(_INK, "currentColor")
    return element.strip()
