"""A summary as one HTML page: plots as inline SVG, nothing from elsewhere, all text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ctclassify.corpus.summary import UNKNOWN, Group, Summary

__all__ = ["summary_page"]

_WIDTH, _HEIGHT = 640, 90
_SHOWN_SOURCES = 30

_STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
table{border-collapse:collapse;font-size:13px}
th,td{padding:.2rem .5rem;border-bottom:1px solid #d9dee5;text-align:right}
th:first-child,td:first-child{text-align:left}th.up{writing-mode:vertical-rl;transform:rotate(180deg)}
svg{display:block;margin:.2rem 0 1.1rem}rect{fill:#2f6f9f}text{font-size:11px;fill:#55606e}.wide{overflow-x:auto}"""


def summary_page(summary: Summary, *, title: str) -> str:
    """Return the page.

    Parameters
    ----------
    summary : Summary
        The counts.
    title : str
        Its heading.

    Returns
    -------
    str
        HTML.
    """
    n_articles = sum(group.n_articles for group in summary.periods.values())
    n_sentences = sum(group.n_sentences for group in summary.periods.values())
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>{n_articles:,} articles, {n_sentences:,} sentences. Counts are of sentences with the label, as the "
            "model gives it: they have its errors.</p>",
            f"<h2>By {escape(summary.by)}</h2>",
            *_plots(summary),
            "<h2>By source</h2>",
            _sources(summary),
            "<h2>Together in one sentence</h2>",
            _together(summary),
            "</body></html>\n",
        ]
    )


def _plots(summary: Summary) -> list[str]:
    """Return a bar chart for each label: share of the period's sentences."""
    periods = {key: group for key, group in summary.periods.items() if key != UNKNOWN}
    unknown = summary.periods.get(UNKNOWN, Group()).n_articles
    lines = [
        f"<p>Share of each {escape(summary.by)}'s sentences. "
        f"{unknown:,} articles whose date is missing or in no known form are left out.</p>"
    ]
    if not periods:
        return lines
    for name in summary.label_names:
        shares = [group.labels[name] / group.n_sentences if group.n_sentences else 0.0 for group in periods.values()]
        lines += [f"<h3>{escape(name)}</h3>", _bars(list(periods), shares)]
    return lines


def _bars(keys: Sequence[str], shares: Sequence[float]) -> str:
    """Return a bar chart; each bar says its value when pointed at."""
    top = max(shares) or 1.0
    step = _WIDTH / len(keys)
    bars = []
    for i, (key, share) in enumerate(zip(keys, shares, strict=True)):
        height = _HEIGHT * share / top
        box = f'x="{i * step:.2f}" y="{_HEIGHT - height:.2f}" width="{max(step * 0.85, 0.3):.2f}" height="{height:.2f}"'
        bars.append(f"<rect {box}><title>{escape(key)}: {share:.2%}</title></rect>")
    return (
        f'<svg viewBox="0 0 {_WIDTH + 70} {_HEIGHT + 18}" width="{_WIDTH + 70}" role="img">{"".join(bars)}'
        f'<text x="0" y="{_HEIGHT + 14}">{escape(keys[0])}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 14}" text-anchor="end">{escape(keys[-1])}</text>'
        f'<text x="{_WIDTH + 6}" y="10">{max(shares):.2%}</text></svg>'
    )


def _sources(summary: Summary) -> str:
    """Return a table of the largest sources."""
    head = "".join(f'<th class="up">{escape(name)}</th>' for name in ("articles", "sentences", *summary.label_names))
    rows = []
    for source, group in list(summary.sources.items())[:_SHOWN_SOURCES]:
        numbers = [group.n_articles, group.n_sentences, *(group.labels[name] for name in summary.label_names)]
        rows.append(f"<tr><td>{escape(source)}</td>{''.join(f'<td>{n:,}</td>' for n in numbers)}</tr>")
    more = len(summary.sources) - _SHOWN_SOURCES
    note = f"<p>and {more:,} more in labels_by_source.csv</p>" if more > 0 else ""
    return f'<div class="wide"><table><tr><th>source</th>{head}</tr>{"".join(rows)}</table></div>{note}'


def _together(summary: Summary) -> str:
    """Return the matrix of pairs, darker for more."""
    names = summary.label_names
    top = max(summary.together.values(), default=1)
    head = "".join(f'<th class="up">{escape(name)}</th>' for name in names)
    rows = []
    for i, name in enumerate(names):
        cells = []
        for j, other in enumerate(names):
            n = summary.together[(name, other) if i < j else (other, name)] if i != j else 0
            shade = f' style="background:rgba(47,111,159,{0.6 * n / top:.3f})"' if n else ""
            cells.append(f"<td{shade}>{n:,}</td>" if i != j else "<td></td>")
        rows.append(f"<tr><td>{escape(name)}</td>{''.join(cells)}</tr>")
    return f'<div class="wide"><table><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'
