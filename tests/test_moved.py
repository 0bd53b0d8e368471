"""Old names of modules go on working."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import pytest

from karma_envs.moved import MOVED, MOVED_NAMES


@pytest.mark.parametrize("old", MOVED)
def test_the_new_name_is_a_module_and_the_old_is_none(old: str) -> None:
    assert importlib.import_module(MOVED[old]).__name__ == MOVED[old]
    spec = importlib.util.find_spec(old)
    assert spec is not None
    assert spec.origin is None, f"{old} is a module again"


def test_old_names_give_the_same_objects_and_a_warning() -> None:
    program = """
import warnings
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    from karma_envs.compile import kernel
    import training.plots.run
    from agents.policy import TabularPolicy
from karma_envs.numerics.compile import kernel as new
from training.runs.figures import plot
from agents import TabularPolicy as Public
assert kernel is new and training.plots.run.plot is plot and TabularPolicy is Public
assert "karma_envs.compile is now karma_envs.numerics.compile" in [str(each.message) for each in told]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_names_that_never_were_are_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match="compiler"):
        importlib.import_module("karma_envs.compiler")


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in MOVED_NAMES.items() for name in names]
)
def test_old_names_in_modules_are_found_where_they_are_now(module: str, name: str) -> None:
    new_module, _, new_name = MOVED_NAMES[module][name].partition(":")
    with pytest.warns(DeprecationWarning, match=f"{module}.{name} is now {new_module}.{new_name}"):
        old = getattr(importlib.import_module(module), name)
    assert old is getattr(importlib.import_module(new_module), new_name)
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nothing'"):
        importlib.import_module(module).nothing  # noqa: B018
