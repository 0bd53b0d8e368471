"""What is broken on purpose, by the check that must catch it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from karma_envs.checks import CheckError

Broken = TypeVar("Broken", bound=type)


class Faults(list[Any]):
    """Cases for ``pytest.mark.parametrize(("check", "broken", "message"), …)``, gathered by a decorator."""

    def caught_by(self, check: str, message: str) -> Callable[[Broken], Broken]:
        """Mark a broken class with the check that must refuse it, and what the error must say."""

        def mark(broken: Broken) -> Broken:
            self.append(pytest.param(check, broken, message, id=f"{check}-{broken.__name__}"))
            return broken

        return mark

    @property
    def checks(self) -> set[str]:
        """The names of the checks that catch something."""
        return {case.values[0] for case in self}


def expect_caught(checks: Sequence[Callable[[Any], None]], check: str, subject: Any, message: str) -> None:
    """The check of this name refuses the subject, and says so."""
    (run,) = (candidate for candidate in checks if candidate.__name__ == check)
    with pytest.raises(CheckError, match=message):
        run(subject)
