"""Tables of the evaluation page; every text in them is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["figure_cell", "heat_table", "interval_cell", "table"]

_HEAT = "59, 130, 214"
"""Red, green, blue of a full cell: it lies over the page's own ground, so it fits light and dark."""
_MAX_OPACITY = 0.6
"""Of the largest cell: its number stays readable."""


def table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[str | int]]) -> str:
    """Return a table.

    Parameters
    ----------
    caption : str
        What it shows.
    headings : sequence of str
        One a column.
    rows : sequence of sequence of str or int
        Cells; the first of a row is its heading. May be empty.

    Returns
    -------
    str
        A ``table`` element in a box that scrolls where the screen is narrow.
    """
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(_row(*row) for row in rows)
    return (
        f'<div class="box"><table><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def _row(first: str | int, *cells: str | int) -> str:
    """Return a row of a table."""
    rest = "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(str(first))}</th>{rest}</tr>\n'


def heat_table(
    caption: str, corner: str, names: Sequence[str], matrix: Sequence[Sequence[int]], *, has_diagonal: bool
) -> str:
    """Return a square table of counts, the larger the fuller its cell.

    Parameters
    ----------
    caption : str
        What it shows.
    corner : str
        What rows and columns are.
    names : sequence of str
        Of the rows and the columns.
    matrix : sequence of sequence of int
        Counts, shape (n, n).
    has_diagonal : bool
        Whether the diagonal means something; it never takes part in the scale, which it would dwarf.

    Returns
    -------
    str
        A ``table`` element in a box.
    """
    most = max((count for i, row in enumerate(matrix) for j, count in enumerate(row) if i != j), default=0)

    def cell(i: int, j: int) -> str:
        if i == j:
            return f'<td class="diagonal">{matrix[i][j] if has_diagonal else ""}</td>'
        count = matrix[i][j]
        if not count:
            return '<td class="zero">0</td>'
        return f'<td style="background: rgba({_HEAT}, {_MAX_OPACITY * count / most:.3f})">{count}</td>'

    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(cell(i, j) for j in range(len(names)))}</tr>\n'
        for i, name in enumerate(names)
    )
    return (
        f'<div class="box"><table class="heat"><caption>{escape(caption)}</caption>\n'
        f'<thead><tr><th scope="col">{escape(corner)}</th>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n'
    )


def figure_cell(value: float | None, *, digits: int = 3) -> str:
    """Return a figure, a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval_cell(interval: Sequence[float | None]) -> str:
    """Return the ends of an interval."""
    low, high = interval
    return "–" if low is None or high is None else f"{low:.3f} to {high:.3f}"
