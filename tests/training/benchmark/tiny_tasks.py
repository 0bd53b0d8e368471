"""What several tests of the benchmark look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.benchmark import TASKS, run_benchmark

REAL = dict(TASKS)
TINY = {"n_agents": 6, "karma_max": 4, "karma_mean": 2}


def content(folder: Path, name: str = "random-tiny") -> Any:
    return json.loads((folder / "results" / f"{name}.json").read_text())


def edit(folder: Path, change: Callable[[Any], None]) -> Path:
    """A result of one seed, changed."""
    run_benchmark(["random"], folder, tasks=["tiny"], seeds=1)
    found = content(folder)
    del found["sha256"]  # as in files of earlier versions
    change(found)
    path = folder / "results" / "random-tiny.json"
    path.write_text(json.dumps(found))
    return path
