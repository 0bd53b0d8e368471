"""Trainers of others: the modules of ``training/integrations`` with a ``TRAINER``, and what they say of it.

nox, the tests, the README's table and the benchmark's list of algorithms read it here, so that a trainer is
one module, its constraints, tests and example. The modules are not imported but read, as most of what they
integrate is not installed at a time; and this one needs nothing but the standard library, as nox runs it
where nothing of ours is installed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "integrations"


@dataclass(frozen=True)
class Trainer:
    """A package of others, or a file of ours, that trains policies of our games.

    In its module ``TRAINER = Trainer(...)`` has keywords only, and literals for values.

    Attributes:
        title: its name.
        extra: the extra that brings what it needs, ``pip install 'karma-envs[extra]'``; nox calls it so, too.
        packages: distributions that must be installed, whose versions are recorded with results.
        constraints: file of versions that were tested together.
        example: script in ``examples``, without its suffix.
        algorithms: of the benchmark, by name ``module:function`` of the folder. A function is
            ``train(game, budget, seed)``, and the first line of its docstring says what the algorithm is.
        learns: the algorithms that the tests run.
        legal_actions: whether it knows which actions are legal.
        continuous: whether actions may be numbers in a box.
        types: what agents of several types are to it.
        module: the name of its module, which :func:`trainers` fills in.
    """

    title: str
    extra: str
    packages: tuple[str, ...]
    example: str
    algorithms: Mapping[str, str]
    learns: str
    legal_actions: str
    continuous: str
    types: str
    constraints: str = "constraints.txt"
    module: str = ""

    @property
    def tests(self) -> str:
        """The file of its tests, from the root of the repository."""
        return f"tests/integrations/test_{self.module}.py"

    @property
    def imports(self) -> tuple[str, ...]:
        """The names under which :attr:`packages` are imported."""
        return tuple(package.replace("-", "_") for package in self.packages)


def trainers() -> tuple[Trainer, ...]:
    """All trainers, in the order of their examples; read from the sources, nothing is imported."""
    defined = (trainer for path in _FOLDER.glob("*.py") for trainer in _defined_in(path))
    return tuple(sorted(defined, key=lambda trainer: trainer.example))


def docstring_of(path: str) -> str:
    """The docstring of ``module:function`` of the folder, read from the source; empty if there is none."""
    module, _, name = path.partition(":")
    for statement in _statements(_FOLDER / f"{module}.py"):
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return ast.get_docstring(statement) or ""
    raise LookupError(f"training.integrations.{module} has no function {name}")


def table() -> str:
    """The README's table of trainers, in Markdown."""
    rows = [
        ("trainer", "extra", "run here", "legal actions", "continuous actions", "types of agents", "example"),
        ("---",) * 7,
        *(
            (
                trainer.title,
                f"`{trainer.extra}`",
                trainer.learns,
                trainer.legal_actions,
                trainer.continuous,
                trainer.types,
                trainer.example[:2],
            )
            for trainer in trainers()
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _defined_in(path: Path) -> Iterator[Trainer]:
    """What a module assigns to ``TRAINER``, if it does."""
    for statement in _statements(path):
        if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)):
            continue
        if [ast.unparse(target) for target in statement.targets] == ["TRAINER"]:
            fields = {str(each.arg): ast.literal_eval(each.value) for each in statement.value.keywords}
            yield Trainer(**fields, module=path.stem)


def _statements(path: Path) -> list[ast.stmt]:
    return ast.parse(path.read_text(encoding="utf-8")).body
