"""Warnings as the command shows them: each once, in a line."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from rich.console import Console


@contextlib.contextmanager
def notices() -> Iterator[None]:
    """Show warnings of ours, about what the user has given, without the place in the code; others as ever.

    A command makes a game several times, and says a thing once.
    """
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *place: Any, **further: Any) -> None:
        if not issubclass(category, UserWarning):
            as_ever(message, category, *place, **further)
        elif str(message) not in said:
            said.add(str(message))
            console = Console(stderr=True, highlight=False)
            console.print(f"karma-envs: warning: {message}")

    with warnings.catch_warnings():
        as_ever = warnings.showwarning
        warnings.showwarning = show
        yield
