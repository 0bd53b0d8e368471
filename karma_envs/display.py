"""How results show themselves: in a line, as small tables in notebooks, and as data frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame


def data_frame(table: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> DataFrame:
    """A table as a data frame.

    Args:
        table: its columns by name, or its rows.

    Raises:
        ImportError: where pandas is missing; the message says what to install.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("a data frame needs pandas: pip install 'karma-envs[frame]'") from error
    return pandas.DataFrame(table if isinstance(table, Mapping) else list(table))


def html_table(rows: Sequence[Mapping[str, object]], caption: str = "", *, most: int = 20) -> str:
    """A table for a notebook, with the keys of the first row as headings; all texts are escaped.

    Args:
        rows: with equal keys.
        caption: stands above the table.
        most: rows shown; how many others there are is said below them.
    """
    headings = list(rows[0]) if rows else []
    lines = ["<table>"]
    if caption:
        lines.append(f'<caption style="caption-side: top; text-align: left">{escape(caption)}</caption>')
    lines.append("<thead>" + _html_row("th", headings) + "</thead>")
    lines.append("<tbody>" + "".join(_html_row("td", row.values()) for row in rows[:most]) + "</tbody>")
    if len(rows) > most:
        lines.append(
            f'<tfoot><tr><td colspan="{len(headings)}">and {len(rows) - most} others</td></tr></tfoot>'
        )
    return "\n".join([*lines, "</table>"])


def _html_row(tag: str, cells: Any) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"


class Said(ABC):
    """Base of results that say in few words what they are; their arrays would fill pages."""

    @abstractmethod
    def _said(self) -> dict[str, str]:
        """What there is to say, by name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}: {said}' for name, said in self._said().items())})"

    def _repr_html_(self) -> str:
        rows = [{"": name, type(self).__name__: said} for name, said in self._said().items()]
        return html_table(rows)
