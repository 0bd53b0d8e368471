"""What moved: old names go on working, with a warning that names the new one."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

MOVED = {
    "agents.evaluators.mirror_ascent": "agents.evaluators.theory.mirror_ascent",
    "agents.mean_field.chains": "karma_envs.mean_field.chains",
    "agents.mean_field.dynamic_programming": "karma_envs.mean_field.dynamic_programming",
    "agents.mean_field.exploitability": "karma_envs.mean_field.exploitability",
    "agents.mean_field.stationary": "karma_envs.mean_field.stationary",
    "agents.policy": "agents.policies.tabular",
    "agents.policy_table": "agents.policies.table",
    "karma_envs.compile": "karma_envs.numerics.compile",
    "karma_envs.karma_game": "karma_envs.karma.game",
    "karma_envs.random": "karma_envs.numerics.random",
    "karma_envs.sampling": "karma_envs.numerics.sampling",
    "karma_envs.urgency": "karma_envs.karma.urgency",
    "training.config": "training.runs.config",
    "training.evaluate": "training.runs.evaluate",
    "training.exploitability": "training.runs.exploitability",
    "training.plots.figures": "training.common.figures",
    "training.plots.policies": "training.common.policy_figures",
    "training.plots.run": "training.runs.figures",
    "training.plots.solution": "training.solving.figures",
    "training.plots.sweep": "training.sweeps.figures",
    "training.results": "training.runs.folder",
    "training.solution": "training.solving.solution",
    "training.sweep": "training.sweeps.sweep",
    "training.trials": "training.sweeps.config",
}
"""New names of modules that scripts import, by their old ones."""

MOVED_NAMES = {
    "karma_envs.baselines": {
        name: f"karma_envs.karma.baselines:{name}" for name in ("bid_all", "bid_nothing", "proportional")
    },
    "karma_envs.game": {
        "Environment": "karma_envs.mean_field:DecisionProblem",
        "MOST_INDICES": "karma_envs.finite:MOST_INDICES",
        "MeanFieldModel": "karma_envs.mean_field:FiniteMeanFieldModel",
        "SamplingPolicy": "karma_envs.finite:SamplingPolicy",
        "check_thresholds": "karma_envs.finite:check_thresholds",
    },
    "karma_envs.metrics": {
        "Estimate": "karma_envs.outcome:Estimate",
        "Outcome": "karma_envs.karma.outcome:KarmaOutcome",
        "total_outcome": "karma_envs.outcome:total_outcome",
    },
}
"""Where to find what modules once defined, by module and name."""


def old_names(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that once defined more: it finds that in its new place.

    Args:
        module: the module's dotted name.
    """

    def find(name: str) -> Any:
        if name not in MOVED_NAMES[module]:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new_module, _, new_name = MOVED_NAMES[module][name].partition(":")
        warnings.warn(f"{module}.{name} is now {new_module}.{new_name}", DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(new_module), new_name)

    return find


class _OldName(importlib.abc.Loader):
    """A module of an old name: whatever is asked of it, the module of the new name is asked."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill in the module; one that is only on the way to others, as ``training.plots``, stays empty."""
        if module.__name__ not in MOVED:
            return
        new_name = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} is now {new_name}", DeprecationWarning, stacklevel=2)
        new = importlib.import_module(new_name)
        vars(module).update(__doc__=new.__doc__, __getattr__=lambda name: getattr(new, name))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the old names, when nothing else has."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of an old name, or a package on the way to one."""
        on_the_way = any(old.startswith(f"{fullname}.") for old in MOVED)
        if fullname not in MOVED and not on_the_way:
            return None
        return importlib.util.spec_from_loader(fullname, _OldName(), is_package=on_the_way)


def find_old_names() -> None:
    """Let old names be imported, once and for all; an old name that is a module again is that module."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        finder: Any = _Finder()
        sys.meta_path.append(finder)
