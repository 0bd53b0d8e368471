"""What tasks of all kinds have, and what competes in them.

A kind of task is a class: it says what competes in its tasks, how a seed of one is run, and which numbers are
told of it. Runs, files, pages and the command ask the task, never which kind it is.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from karma_envs.config import choice, refusal
from karma_envs.plugins import import_named
from training.benchmark.columns import Column
from training.common.tables import Row

_IMPORTABLE = "module:function that can be imported"


def first_line(documented: Any) -> str:
    """The first line of a docstring; empty where there is none."""
    line = (documented.__doc__ or "").strip().partition("\n")[0]
    return "".join(each for each in line if each.isprintable())


@dataclass(frozen=True)
class Contender:
    """What competes in tasks, by name.

    Attributes:
        name: as on the command line.
        function: what it does.
    """

    name: str
    function: Callable[..., Any]

    @property
    def description(self) -> str:
        """The first line of the function's docstring."""
        return first_line(self.function)


@dataclass(frozen=True)
class BenchmarkTask(ABC):
    """Base of the kinds of tasks.

    Attributes:
        name: as on the command line.
        title: what it is, in a line.
        budget: the most of ``unit`` that a run may spend.
        heading: what the kind is called above its tables.
        contender: what competes in its tasks is called so.
        arguments: those of a contender's function, by name.
        unit: what a budget is of, in words.
        spent: the number of a row that says how much of the budget was spent.
    """

    name: str
    title: str
    budget: int

    heading: ClassVar[str]
    contender: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]]
    unit: ClassVar[str]
    spent: ClassVar[str]

    @classmethod
    @abstractmethod
    def contenders(cls) -> Mapping[str, Contender]:
        """What is built in and competes in tasks of this kind, by name."""

    @classmethod
    @abstractmethod
    def find(cls, name: str) -> Contender:
        """A built-in contender that can be run here, or the user's own by ``module:function``.

        Raises:
            ConfigError: when there is none, or a package that it needs is missing.
        """

    @classmethod
    @abstractmethod
    def columns(cls, tasks: Iterable[Self]) -> dict[str, Column]:
        """What is told of results in some tasks of this kind, at least one, by name; the headline first."""

    @abstractmethod
    def definition(self) -> dict[str, Any]:
        """What numbers depend on, as plain data; results of another definition are not comparable."""

    @property
    def reference_names(self) -> tuple[str, ...]:
        """What a score is relative to, by name; none where numbers are told as they are."""
        return ()

    def measure_references(self) -> dict[str, float]:
        """The number of each of ``reference_names``."""
        return {}

    @abstractmethod
    def run(self, contender: Contender, seed: int, budget: int, reference: Row) -> Row:
        """The numbers of one seed of a contender: those of the columns, and ``spent``."""

    @property
    @abstractmethod
    def numbers_text(self) -> str:
        """What the task's numbers are, in a line: the budget, and how is measured."""

    @property
    def budget_text(self) -> str:
        """The budget as printed, such as 1e8; with all its digits where it is small."""
        if self.budget < 10_000:
            return str(self.budget)
        digits, _, power = f"{self.budget:e}".partition("e")
        return f"{float(digits):g}e{int(power)}"

    @classmethod
    def takes(cls, name: str) -> bool:
        """Whether what goes by a name competes in tasks of this kind.

        A function of the user's, ``module:function``, does if it can be called with as many arguments.

        Raises:
            ConfigError: when it cannot be imported.
        """
        if ":" not in name:
            return name in cls.contenders()
        return _can_be_called(import_named("algo", name, _IMPORTABLE), len(cls.arguments))


def own_function(name: str, called: str, arguments: Sequence[str]) -> Callable[..., Any]:
    """A function of the user's, ``module:function``.

    Args:
        name: its name.
        called: what such a function is called in the error.
        arguments: what it is to be called with, by name.

    Raises:
        ConfigError: when it cannot be imported, or takes other arguments.
    """
    function: Callable[..., Any] = import_named("algo", name, _IMPORTABLE)
    if not _can_be_called(function, len(arguments)):
        raise refusal("algo", name, f"a function {called}({', '.join(arguments)})")
    return function


def known(name: str, kinds: Iterable[type[BenchmarkTask]]) -> str:
    """A name if something that is built into one of the kinds of tasks goes by it, or ``module:function``.

    Raises:
        ConfigError: otherwise.
    """
    built_in = dict.fromkeys(each for kind in kinds for each in kind.contenders())
    return name if ":" in name else choice("algo", name, (*built_in, "module:function"))


def _can_be_called(function: Any, count: int) -> bool:
    """Whether it is a function of so many arguments, as far as it tells."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a built-in one that says nothing of its arguments
        return True
    return True
