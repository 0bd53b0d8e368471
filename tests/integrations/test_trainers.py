"""What trainers say of themselves is right, and is what everything else says of them."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import re
import runpy
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import karma_envs
from karma_envs.config import ConfigError
from training.benchmark.algorithms import algorithms
from training.common import trainers as integrated
from training.common.trainers import Trainer, docstring_of, table, trainers

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]
each_trainer = pytest.mark.parametrize("trainer", trainers(), ids=lambda trainer: trainer.module)


def test_the_readme_has_their_table() -> None:
    assert table() in (ROOT / "README.md").read_text(encoding="utf-8"), f"it should be\n\n{table()}"


@each_trainer
def test_everything_of_a_trainer_is_there(trainer: Trainer) -> None:
    assert trainer.extra in EXTRAS
    assert (ROOT / trainer.tests).is_file()
    assert (ROOT / "examples" / f"{trainer.example}.py").is_file()
    pinned = re.findall(r"(?m)^([\w-]+)==", (ROOT / trainer.constraints).read_text(encoding="utf-8"))
    assert set(trainer.packages) <= {package.lower().replace("_", "-") for package in pinned}


@each_trainer
def test_what_is_read_is_what_is_imported(trainer: Trainer) -> None:
    for package in trainer.imports:
        pytest.importorskip(package, reason=f"needs the extra {trainer.extra}")
    module = importlib.import_module(f"training.integrations.{trainer.module}")
    assert dataclasses.replace(module.TRAINER, module=trainer.module) == trainer
    for path in trainer.algorithms.values():
        name, _, function = path.partition(":")
        trains = getattr(importlib.import_module(f"training.integrations.{name}"), function)
        assert docstring_of(path).split() == trains.__doc__.split()


@each_trainer
def test_the_benchmark_has_its_algorithms(trainer: Trainer) -> None:
    for name in trainer.algorithms:
        algorithm = algorithms()[name]
        assert re.fullmatch(r"[A-Z].{20,}\.", algorithm.description)
        assert (algorithm.extra, algorithm.needs) == (trainer.extra, trainer.imports)


def test_nox_reads_them_without_what_is_ours() -> None:
    alone = runpy.run_path(str(ROOT / "training" / "common" / "trainers.py"))["trainers"]()
    assert [vars(trainer) for trainer in alone] == [vars(trainer) for trainer in trainers()]


def test_every_module_that_trains_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "import no_such_package\n"
        "TRAINER = Trainer(title='Mine', extra='mine', packages=('mine-rl',), example='18_mine', "
        "algorithms={'mine-ppo': 'mine:train'}, learns='PPO', legal_actions='yes', continuous='no', "
        "types='one')\n"
        "def train(game, budget, seed):\n    '''PPO of mine.'''\n"
    )
    (tmp_path / "other.py").write_text("TRAINERS = TRAINER = None\nOTHER = Trainer(title='no')\n")
    monkeypatch.setattr(integrated, "_FOLDER", tmp_path)
    (mine,) = trainers()
    assert (mine.module, mine.tests) == ("mine", "tests/integrations/test_mine.py")
    assert mine.imports == ("mine_rl",)
    assert docstring_of("mine:train") == "PPO of mine."
    assert table().splitlines()[2:] == ["| Mine | `mine` | PPO | yes | no | one | 18 |"]
    with pytest.raises(LookupError, match=r"integrations\.mine has no function learn"):
        docstring_of("mine:learn")


needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")


@needs_torch
@pytest.mark.parametrize(
    ("budget", "n_agents", "expected"),
    [
        (100_000, 10, (320, 31)),  # 3200 samples
        (20_000, 10, (66, 30)),  # fewer, for 30 updates
        (1_000_000, 1000, (32, 31)),  # 32 steps, which are more samples
        (10, 10, (1, 1)),
        (10**12, 10, (320, 3125)),  # at most 10^7 agent-steps
    ],
)
def test_how_a_budget_is_spent(budget: int, n_agents: int, expected: tuple[int, int]) -> None:
    from training.integrations.budget import spend

    assert spend(karma_envs.make("matching", n_agents=n_agents), budget) == expected


@needs_torch
@given(st.integers(1, 10**8), st.integers(1, 2000), st.integers(1, 100))
def test_a_budget_is_never_exceeded_and_hardly_left(budget: int, n_agents: int, updates: int) -> None:
    from training.integrations.budget import spend

    class Game:
        pass

    game = Game()
    game.n_agents = n_agents  # type: ignore[attr-defined]
    if budget < n_agents:
        with pytest.raises(ConfigError, match=f"budget = {budget} .* at least a step of {n_agents} agents"):
            spend(game, budget, updates=updates)  # type: ignore[arg-type]
        return
    steps, times = spend(game, budget, updates=updates, most=10**9)  # type: ignore[arg-type]
    in_all = budget // n_agents
    assert in_all - steps < steps * times <= in_all
    assert times >= min(updates, in_all)
