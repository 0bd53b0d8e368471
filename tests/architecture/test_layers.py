"""Who may import whom, how long a file may be, and what no file may do: read from the sources."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("karma_envs", "agents", "training")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
LONGEST = 405
LONGEST_TEST = 450
EVERYWHERE = {"numpy", "numba", "scipy", "llvmlite"}
ABOVE_CORE = {"__init__", "__main__", "checks", "games", "registry", "rendering", "views"}
CORE = {path.stem for path in (ROOT / "karma_envs").iterdir() if path.suffix == ".py" or path.is_dir()}
CORE -= ABOVE_CORE | {"__pycache__"}


class Import(NamedTuple):
    module: str
    lazy: bool  # inside a function, or for type checkers only
    line: int


def name_of(file: Path) -> str:
    """The dotted name of the module in ``file``."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file: Path) -> Iterator[Import]:
    """All imports, the names of ``from package import submodule`` spelled out where they are modules."""

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, lazy, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute here"
            module = node.module or ""
            for alias in node.names:
                folder = ROOT.joinpath(*module.split("."))
                is_module = (folder / alias.name).is_dir() or (folder / f"{alias.name}.py").is_file()
                yield Import(f"{module}.{alias.name}" if is_module else module, lazy, node.lineno)
        inside = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inside = True
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(file.read_text(encoding="utf-8")), lazy=False)


def ours(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES


def within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def breaches(files: list[Path], allowed: set[str]) -> list[str]:
    """Imports of ours in ``files`` that are not within ``allowed`` packages."""
    return [
        f"{file.relative_to(ROOT)}:{found.line} imports {found.module}"
        for file in files
        for found in imports_of(file)
        if ours(found.module) and not within(found.module, allowed)
    ]


def files_in(*parts: str) -> list[Path]:
    return [file for file in FILES if file.is_relative_to(ROOT.joinpath(*parts))]


def test_the_reader_sees_imports(tmp_path: Path) -> None:
    source = """
import os, agents.policies.tabular
from karma_envs.numerics import compile
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
def later():
    from agents.policies import tabular as policy
"""
    file = tmp_path / "some.py"
    file.write_text(source)
    found = [(each.module, each.lazy) for each in imports_of(file)]
    assert found == [
        ("os", False),
        ("agents.policies.tabular", False),
        ("karma_envs.numerics.compile", False),
        ("typing", False),
        ("torch", True),
        ("agents.policies.tabular", True),
    ]
    assert len(FILES) > 20


def test_layers_never_import_back() -> None:
    assert not breaches(files_in("karma_envs"), {"karma_envs"})
    assert not breaches(files_in("agents"), {"karma_envs", "agents"})


def test_games_import_the_core_and_themselves() -> None:
    """And a variant of a game, whose name begins with that game's, imports it."""
    core = {f"karma_envs.{module}" for module in CORE}
    games = {file: ".".join(name_of(file).split(".")[:3]) for file in files_in("karma_envs", "games")}
    for file, own in games.items():
        if file.name == "picture.py":  # drawn with what all pictures share
            assert not breaches([file], {"karma_envs.rendering", own}), file
            continue
        varied = {game for game in games.values() if own.startswith(f"{game}_")}
        assert not breaches([file], core | varied | {own}), file


def test_mechanisms_import_nothing_but_numbers() -> None:
    core = ("config", "mechanisms", "numerics", "plugins")
    allowed = {f"karma_envs.{module}" for module in core}
    files = files_in("karma_envs", "mechanisms")
    assert not breaches(files, allowed)
    for file in files:
        for found in imports_of(file):
            top = found.module.partition(".")[0]
            assert ours(top) or top in {"numpy", "numba"} or top in sys.stdlib_module_names, found


def test_the_core_knows_no_game_and_no_view() -> None:
    core = [file for file in FILES if name_of(file).split(".")[0] == "karma_envs"]
    core = [file for file in core if [*name_of(file).split("."), ""][1] in CORE]
    assert len(core) > len(CORE)
    assert not breaches(core, {f"karma_envs.{module}" for module in CORE})


ALSO_IMPORTED = {
    "solvers": {"agents.learners", "agents.evaluators"},
    "planners": {"agents.coalitions", "agents.learners", "agents.solvers"},
}
"""Some solvers learn best responses, or certify what they come to; planners have problems solved and learned.
Nothing else in ``agents`` needs another part of it."""


@pytest.mark.parametrize("part", ["learners", "solvers", "evaluators", "planners", "mean_field"])
def test_parts_of_agents_do_not_import_each_other(part: str) -> None:
    shared = {"karma_envs", "agents.policies", "agents.mean_field", f"agents.{part}"}
    assert not breaches(files_in("agents", part), shared | ALSO_IMPORTED.get(part, set()))


ROOMS = {
    "common": set(),
    "evaluation": {"common"},
    "solving": {"common", "evaluation"},
    "theory": {"common", "evaluation", "solving"},
    "runs": {"common", "evaluation", "solving"},
    "sweeps": {"common", "evaluation", "runs"},
    "planning": {"common", "evaluation", "solving", "runs"},
    "benchmark": {"common", "evaluation", "solving", "runs"},
    "reproduction": {"common", "evaluation", "solving", "theory", "runs", "sweeps", "benchmark"},
    "integrations": {"common", "evaluation", "runs", "benchmark"},
}
"""The rooms of ``training``, and the rooms that each may import."""


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_of_training_import_no_room_above(room: str) -> None:
    below = {f"training.{name}" for name in (room, *ROOMS[room])}
    assert not breaches(files_in("training", room), {"karma_envs", "agents", *below})


OF_SOME_GAMES = {
    *("DICT", "COIN", "TURN", "allocation", "bid_all", "bid_nothing", "proportional"),
    *("accesses", "contests", "losses_if_never", "access_fairness", "access_gini", "karma_gini"),
    *("nash_welfare", "karma_max", "karma_mean", "urgencies", "bid_of_action", "urgency_of_observation"),
}
"""What games say themselves: their references, baselines, metrics, totals and fields."""


@pytest.mark.parametrize("room", ["common", "evaluation", "solving", "runs", "sweeps", "planning"])
def test_rooms_ask_games_and_name_nothing_of_theirs(room: str) -> None:
    for file in files_in("training", room):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            word = getattr(node, "attr", getattr(node, "value", None))
            named = isinstance(word, str) and word in OF_SOME_GAMES
            assert not named, f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)} names {word}"


def test_all_rooms_of_training_are_known() -> None:
    rooms = {path.name for path in (ROOT / "training").iterdir() if (path / "__init__.py").exists()}
    assert rooms == set(ROOMS)


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTALLED = {re.split(r"\W", package)[0] for package in PROJECT["dependencies"]}
INTEGRATED = {
    top
    for file in files_in("training", "integrations")
    for found in imports_of(file)
    if (top := found.module.partition(".")[0]) not in {*sys.stdlib_module_names, *INSTALLED, *PACKAGES}
}
"""What integrations import and is not always there; other places are named in :func:`allowed_places`."""


DRAWING = ("figures.py", "_figure.py", "picture.py", "training/common/notebook.py")
"""Ends of the paths of what draws, besides the rooms of pictures and of published figures."""


def allowed_places(module: str) -> tuple[str, ...] | None:
    """Where a heavy or optional package may be imported: beginnings of paths. None: anywhere."""
    return {
        "pettingzoo": (
            *("karma_envs/views/", "karma_envs/__init__.py", "karma_envs/registry.py"),
            "training/integrations/",
        ),
        **dict.fromkeys(INTEGRATED, ("training/integrations/",)),
        "torch": ("training/integrations/", "agents/learners/actor_critic", "agents/planners/methods/"),
        "ray": ("training/integrations/",),
        "optuna": ("training/integrations/", "agents/planners/"),
        "tensorboard": ("training/runs/event_files.py",),
    }.get(module)


LAZY = {*INTEGRATED, "optuna", "pandas", "tensorboard"}
IMPORTED_LATE = (
    "training/integrations/",
    *(f"agents/learners/actor_critic/{name}.py" for name in ("learner", "network")),
)
"""Nothing imports these but in a function, so that they may import what is heavy at their top."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_heavy_packages_stay_where_they_belong(file: Path) -> None:
    path = file.relative_to(ROOT).as_posix()
    for found in imports_of(file):
        top = found.module.partition(".")[0]
        places = allowed_places(top)
        if top == "matplotlib":
            allowed = path.startswith(("karma_envs/rendering/", "training/reproduction/"))
            assert allowed or path.endswith(DRAWING), f"line {found.line} imports {found.module}"
        assert places is None or path.startswith(places), f"line {found.line} imports {found.module}"
        in_place = found.lazy or top not in LAZY or path.startswith(IMPORTED_LATE)
        assert in_place, f"line {found.line}: import {found.module} in a function"


def test_nothing_depends_on_integrations() -> None:
    """So that they may import what they integrate at their top."""
    others = [file for file in FILES if not file.is_relative_to(ROOT / "training" / "integrations")]
    assert len(others) < len(FILES)
    for file in others:
        for found in imports_of(file):
            assert found.lazy or not within(found.module, {"training.integrations"}), file


FORBIDDEN_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec"}
TRIES_PICKLING = "karma_envs/checks/"
"""Pickles what it has made itself, to see whether that survives; it reads no file."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_unpickles_evaluates_or_is_too_long(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert source.count("\n") <= LONGEST
    if not file.relative_to(ROOT).as_posix().startswith(TRIES_PICKLING):
        assert not {found.module.partition(".")[0] for found in imports_of(file)} & FORBIDDEN_MODULES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            assert not (isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS), node.lineno
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False", node.value.lineno


def test_no_test_or_benchmark_is_too_long() -> None:
    files = [file for folder in ("tests", "benchmarks") for file in (ROOT / folder).rglob("*.py")]
    lengths = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8").count("\n") for file in files}
    assert len(lengths) > 50
    assert {file: length for file, length in lengths.items() if length > LONGEST_TEST} == {}


def test_the_packages_that_are_installed_are_the_folders() -> None:
    """Setuptools finds every folder that is a package, below the names that it is given."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert settings["packages"]["find"]["include"] == [f"{package}*" for package in PACKAGES]
    for folder in {file.parent for file in FILES}:
        assert (folder / "__init__.py").exists(), folder


@pytest.mark.parametrize(
    ("packages", "also"), [("karma_envs", {"numba"}), ("agents, training, training.integrations", set())]
)
def test_importing_the_packages_loads_nothing_heavy(packages: str, also: set[str]) -> None:
    heavy = {"matplotlib", "torch", "stable_baselines3", "supersuit", "ray", "pandas", "tensorboard"} | also
    program = f"import sys, {packages}; print([name for name in {sorted(heavy)} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
