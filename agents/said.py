"""How results show themselves: in a line, and as a table in a notebook."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod


class Said(ABC):
    """Base of results that say in few words what they are; their arrays would fill pages."""

    @abstractmethod
    def _said(self) -> dict[str, str]:
        """What there is to say, by name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}: {said}' for name, said in self._said().items())})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(said)}</td></tr>"
            for name, said in self._said().items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"
