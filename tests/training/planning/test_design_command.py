"""The command of designs, its folder and its figures."""

from __future__ import annotations

import importlib
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.planners import Choice, Continuous, Evaluation, Limit, Measure, Space, design
from agents.planners.inner import Arrays
from agents.planners.space import Point
from karma_envs.config import ConfigError
from karma_envs.meaning import EXACT, STATIONARY, Meaning
from training.cli import main
from training.common.errors import ResultsError
from training.common.plot_command import drawn
from training.common.trust import read_config
from training.planning import config as config_module
from training.planning.command import report, state_of
from training.planning.config import DesignConfig
from training.planning.figures import convergence, effects, figures_of, front, mechanisms
from training.planning.folder import Plan, read_design


@dataclass
class Hill:
    """Efficient at a mean karma of 6, fair at 14; a tax of t does both -t^2 of good; a budget of the tax.

    Attributes:
        stops_at: the evaluation during which Ctrl-C is pressed.
    """

    game: Any = None
    stops_at: int = -1
    noise: float = 0.0
    evaluated: list[Point] = field(default_factory=list)

    @property
    def meanings(self) -> dict[str, Meaning]:
        return {"exploitability_normalised": Meaning(None, EXACT, STATIONARY)}

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        if len(self.evaluated) == self.stops_at:
            raise KeyboardInterrupt
        self.evaluated.append(point)
        karma, tax = float(point.get("karma_mean", 10)), float(point.get("tax.rate", 0))
        if karma > 17:
            raise RuntimeError("too much karma")
        error = self.noise * np.random.default_rng(seed).normal()
        values = {
            "efficiency": -(((karma - 6) / 10) ** 2) - tax**2 + error,
            "fairness": -(((karma - 14) / 10) ** 2) - tax**2,
            "budget": tax,
            "exploitability_normalised": 0.0,
        }
        return Evaluation(values, {"efficiency": self.noise} if self.noise else {})

    def to_plain(self) -> dict[str, Any]:
        return {"problem": "hill"}


@pytest.fixture
def hill(monkeypatch: pytest.MonkeyPatch) -> Hill:
    """What stands for the equilibrium."""
    hill = Hill()
    monkeypatch.setattr(DesignConfig, "inner_problem", lambda config: hill)
    monkeypatch.setenv("COLUMNS", "200")
    return hill


MATCHING = ["design", "matching", "--over", "karma_mean=2:18", "--over", "tax.rate=0:0.5"]
HOW = ["--method", "random", "--quiet"]
BOTH = ["--objective", "efficiency", "--objective", "fairness"]


def test_the_command_leaves_a_front_beside_the_mechanism_as_it_is(
    hill: Hill, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "front"
    arguments = [*MATCHING, *BOTH, "--limit", "budget<=0.4", "--budget", "12", *HOW, "--folder", str(folder)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    plan = Plan.open(folder)
    assert plan.own_values == {"karma_mean": 10.0}
    assert plan.as_it_is is not None
    assert plan.as_it_is.values["efficiency"] == pytest.approx(-0.16)
    assert hill.evaluated[0] == {}
    assert len(hill.evaluated) == 13
    assert all(trial.values["budget"] <= 0.4 for trial in plan.design.front)
    assert re.search(r"^ as it is +10 +-0\.1600 +-0\.1600 +0\.0000 +0\.0e\+00 *$", out, re.MULTILINE)
    shown = re.findall(r"^ +(\d+) +[\d.]+ +[\d.e-]+ +(-\d\.\d{4}) ", out, re.MULTILINE)
    assert [int(number) for number, _ in shown] == [trial.number for trial in plan.design.front]
    assert [float(value) for _, value in shown] == pytest.approx(
        [trial.values["efficiency"] for trial in plan.design.front], abs=5e-5
    )
    assert "exploitability normalised: mean field, exact; any stationary deviation of one agent" in out
    for name in ("convergence", "effects", "front", "mechanisms"):
        assert f"{folder / 'figures' / name}.pdf\n" in out
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000
    assert len((folder / "trials.csv").read_text().splitlines()) == 13
    about = json.loads((folder / "provenance.json").read_text())
    assert about["versions"]["karma-envs"]


def test_one_objective_has_the_best_trials_and_fewer_figures(
    hill: Hill, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hill.noise = 0.01
    folder = tmp_path / "best"
    arguments = [*MATCHING, "--objective", "efficiency", "--budget", "8", "--seeds", "3", *HOW]
    assert main([*arguments, "--folder", str(folder)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"the best of 8 trials(, \d failed)?; in brackets the standard error", out)
    values = [float(value) for value in re.findall(r"(-?\d\.\d{4})\(\d+\)", out.split("as it is", 1)[1])][1:]
    assert values == sorted(values, reverse=True)
    assert "evaluate it anew to know" in out
    assert {path.stem for path in (folder / "figures").iterdir()} == {"convergence", "effects"}


def test_ctrl_c_keeps_what_is_done_and_the_study_goes_on(
    hill: Hill, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, whole = tmp_path / "stopped", tmp_path / "whole"
    arguments = [*MATCHING, *BOTH, "--budget", "6", *HOW, "--no-figures"]
    assert main([*arguments, "--folder", str(whole)]) == 0
    hill.evaluated.clear()
    hill.stops_at = 4
    assert main([*arguments, "--folder", str(folder)]) == 130
    assert f"interrupted after 3 of 6 trials; go on with: karma-envs design --resume {folder}\n" in (
        capsys.readouterr().out
    )
    hill.stops_at = -1
    assert main(["design", "--resume", str(folder), "--quiet", "--no-figures"]) == 0
    assert Plan.open(folder) == Plan(folder, *_parts(Plan.open(whole)))
    assert len(hill.evaluated) == 7
    assert main(["design", "--resume", str(folder), "--budget", "9", "--quiet", "--no-figures"]) == 0
    assert len(Plan.open(folder).design.trials) == 9
    assert read_design(folder).budget == 9
    assert hill.evaluated.count({}) == 1


def _parts(plan: Plan) -> tuple[Any, ...]:
    return plan.design, plan.as_it_is, plan.own_values


def test_the_same_command_goes_on_and_another_is_refused(
    hill: Hill, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*MATCHING, *BOTH, *HOW, "--no-figures", "--folder", str(tmp_path / "same")]
    assert main([*arguments, "--budget", "2"]) == 0
    assert main([*arguments, "--budget", "3"]) == 0
    assert len(hill.evaluated) == 4
    assert main([*arguments, "--budget", "3", "--seed", "1"]) == 1
    assert "holds another design" in capsys.readouterr().err
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("game: matching")
    assert main([*arguments[:-1], str(run)]) == 1
    assert "holds a run already" in capsys.readouterr().err


def test_a_file_is_copied_and_changed(hill: Hill, tmp_path: Path) -> None:
    file = tmp_path / "design.yaml"
    file.write_text(
        "game: matching\nkarma_max: 30\nover:\n  karma_mean: 2:18\n  payment: [pbp, pbs]\n"
        "objective: [efficiency, fairness]\nmethod: random\nbudget: 3\n"
    )
    folder = tmp_path / "from-file"
    how = ["--quiet", "--no-figures", "--folder", str(folder)]
    assert main(["design", str(file), "--discount", "0.9", "--budget", "2", *how]) == 0
    config = read_design(folder)
    assert config.game_config.karma_max == 30
    assert config.game_config.discount == 0.9
    assert config.over == {"karma_mean": {"low": 2, "high": 18}, "payment": ["pbp", "pbs"]}
    again = tmp_path / "again"
    assert main(["design", str(folder / "config.yaml"), *how[:-1], str(again)]) == 0
    assert Plan(folder, *_parts(Plan.open(again))) == Plan.open(folder)


def test_a_range_is_no_code_to_be_trusted(hill: Hill, tmp_path: Path) -> None:
    folder = tmp_path / "ranges"
    arguments = [*MATCHING, "--objective", "efficiency", "--budget", "1", *HOW, "--no-figures"]
    assert main([*arguments, "--folder", str(folder)]) == 0
    assert read_config(folder / "config.yaml")
    text = (folder / "config.yaml").read_text()
    own = text.replace("over:\n", "over:\n  payment:\n  - pbp\n  - mine:rule\n")
    (folder / "config.yaml").write_text(own)
    (folder / "digests.json").unlink()
    with pytest.raises(ResultsError, match="mine:rule"):
        read_design(folder)


RULE = """
def pay(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    return 0, winner_bid
"""


def test_rules_that_may_be_chosen_are_kept_by_their_code(
    hill: Hill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of --over as those of the game: a folder is not gone on with under other code, nor untrusted."""
    (tmp_path / "chosen_rules.py").write_text(RULE)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "own"
    over = ["--over", "payment=pbp,chosen_rules:pay", "--over", "karma_mean=2:16"]
    again = ["design", "matching", *over, *HOW, "--no-figures", "--folder", str(folder), "--budget"]
    assert main([*again, "1"]) == 0
    kept = json.loads((folder / "provenance.json").read_text())["provenance"]
    assert list(kept) == ["payment chosen_rules:pay"]
    assert main(["design", "--resume", str(folder), "--budget", "2", "--quiet", "--no-figures"]) == 1
    assert "names code to be run: 'chosen_rules:pay'" in capsys.readouterr().err
    assert main([*again, "2"]) == 0
    (tmp_path / "chosen_rules.py").write_text(RULE.replace("0, winner_bid", "0, winner_bid // 2"))
    monkeypatch.delitem(sys.modules, "chosen_rules")
    importlib.invalidate_caches()
    assert main([*again, "3"]) == 1
    assert "payment chosen_rules:pay has changed since; restore what it was" in capsys.readouterr().err
    assert len(Plan.open(folder).design.trials) == 2


PLANNER = """
from agents.planners.study import Proposal


def upwards(study, trials):
    return [Proposal(study.space.at([0.1 + 0.2 * len(trials)]))]
"""


def test_a_planner_of_one_s_own_is_kept_by_its_code(
    hill: Hill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_planner.py").write_text(PLANNER)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "own"
    over = ["--over", "karma_mean=2:18", "--method", "own_planner:upwards", "--quiet", "--no-figures"]
    assert main(["design", "matching", *over, "--folder", str(folder), "--budget", "3"]) == 0
    points = [trial.point["karma_mean"] for trial in Plan.open(folder).design.trials]
    assert points == pytest.approx([3.6, 6.8, 10.0])
    assert list(json.loads((folder / "provenance.json").read_text())["provenance"]) == [
        "method own_planner:upwards"
    ]
    again = ["design", "--resume", str(folder), "--budget", "4", "--quiet", "--no-figures"]
    assert main(again) == 1
    assert "names code to be run: 'own_planner:upwards'" in capsys.readouterr().err
    assert main([*again, "--trust"]) == 0
    assert len(Plan.open(folder).design.trials) == 4
    with pytest.raises(ConfigError, match="method = 'own_planner:PLANNER' is not allowed"):
        DesignConfig(over={"karma_mean": [4, 6]}, method="own_planner:PLANNER")


def test_a_bayesian_design_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By equilibria; gone on with after its spread points, as if it had not stopped."""
    pytest.importorskip("optuna")
    pytest.importorskip("torch")
    game = ["matching", "--karma-max", "4", "--karma-mean", "2", "--discount", "0.9", "--n-agents", "10"]
    how = ["--over", "tax.rate=0:0.5", "--method", "bayesian", "--quiet", "--no-figures", "--budget"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["design", *game, *how, "5", "--folder", str(whole)]) == 0
    assert main(["design", *game, *how, "3", "--folder", str(parts)]) == 0
    assert main(["design", "--resume", str(parts), "--budget", "5", "--quiet", "--no-figures"]) == 0
    assert "the best of 5 trials" in capsys.readouterr().out
    assert Plan.open(parts) == Plan(parts, *_parts(Plan.open(whole)))
    assert len(Plan.open(whole).design.complete) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matching"], "over = {} is not allowed; allowed: one parameter or more"),
        (["matching", "--over", "karma_men=2:18"], "over karma_men"),
        (["matching", "--over", "karma_mean=2:18", "--objective", "effciency"], "did you mean efficiency?"),
        (["matching", "--over", "karma_mean=2:18", "--limit", "buget<=0"], "did you mean budget?"),
        (["matching", "--over", "karma_mean=2:18", "--limit", "budget<0"], "limit = 'budget<0'"),
        (["--resume", ".", "matching"], "leave out matching"),
        (["--resume", "."], "holds no design"),
        (["nameless.yaml"], "nameless.yaml: the field game is missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_before_the_search(
    arguments: list[str],
    message: str,
    hill: Hill,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nameless.yaml").write_text("seed: 3")
    how = [] if "--resume" in arguments else [*HOW, "--folder", "mine"]
    assert main(["design", *arguments, *how]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert len(hill.evaluated) <= 1
    assert not (tmp_path / "mine").exists()


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["design", "--help"], ["design", "matching", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert "--over payment=pbp,pbs --over tax.rate=0:0.5" in capsys.readouterr().out


def test_options_are_those_of_what_plays() -> None:
    over = {"karma_mean": [4, 6]}
    with pytest.raises(ConfigError, match="options = 'epochs' is not allowed; allowed: learner, n_epochs"):
        DesignConfig(over=over, inner="train", options={"epochs": 3}).inner_problem()
    with pytest.raises(ConfigError, match="method = 'gradient' is not allowed; allowed: another where inner"):
        DesignConfig(over=over, inner="train", method="gradient").inner_problem()
    options = {"n_epochs": 3, "learner": {"initial_q": -50}}
    plain = DesignConfig(over=over, inner="train", options=options).inner_problem().to_plain()
    assert plain["n_epochs"] == 3
    assert plain["learner"]["initial_q"] == -50
    plain = DesignConfig(over=over, options={"rationality": 50}, method="gradient").inner_problem().to_plain()
    assert plain["rationality"] == 50
    assert plain["derivatives"]
    assert set(config_module.INNERS) == {"solve", "train"}


def test_agents_of_continuous_actions_learn_by_actor_critic_play() -> None:
    """As the game's source trains them, unless options say otherwise."""
    pytest.importorskip("torch")
    where = {"game": "spatial_congestion", "over": {"crowd_aversion": "1:3"}, "inner": "train"}
    plain = DesignConfig(**where).inner_problem().to_plain()
    assert (plain["n_epochs"], plain["epoch_length"]) == (2000, 1)
    assert plain["learner"]["kind"] == "actor_critic"
    assert plain["learner"]["action_variance_final"] == 0.005
    named = {"kind": "actor_critic", "hidden_units": 8}
    options = {"n_epochs": 3, "n_steps": 40, "burn_in": 0, "learner": named}
    config = DesignConfig(**where, game_config={"n_agents": 20}, options=options)
    assert config.inner_problem().to_plain()["learner"]["hidden_units"] == 8
    assert (
        config.inner_problem().evaluate({"crowd_aversion": 1.5}, seed=0, warm=None).values["efficiency"] > 0
    )


# --- figures ----------------------------------------------------------------------------------------


SPACE = Space([Continuous("karma_mean", 2, 18), Choice("payment", ("pbp", "pbs"))])


def planned(folder: Path, objectives: list[Any], **how: Any) -> Plan:
    """A design of Python's, which has no configuration."""
    problem = Hill(noise=how.pop("noise", 0.0))
    design(SPACE, problem, objectives, budget=8, method="random", storage=folder, **how)
    return Plan.open(folder)


def test_the_line_of_the_best_is_the_best_until_then(tmp_path: Path) -> None:
    plan = planned(tmp_path, ["efficiency", Measure("fairness", maximise=False)])
    efficiency, unfairness = convergence(plan).axes
    for panel, best in ((efficiency, np.maximum), (unfairness, np.minimum)):
        step = next(line for line in panel.lines if line.get_label() == "best so far")
        name = "efficiency" if panel is efficiency else "fairness"
        values = [trial.values[name] for trial in plan.design.complete]
        numbers, bests = (np.asarray(data) for data in step.get_data())
        assert bests[:-1] == pytest.approx(best.accumulate(values))
        assert numbers[-1] == len(plan.design.trials)
    assert unfairness.get_ylabel() == "fairness (less is better)"


def test_the_front_is_a_staircase_of_what_is_reached(tmp_path: Path) -> None:
    """Both more is better: to the left of a trial of the front its second value is reached."""
    plan = planned(tmp_path, ["efficiency", "fairness"])
    (panel,) = front(plan).axes
    step = next(line for line in panel.lines if line.get_drawstyle() == "steps-pre")
    reached = sorted((t.values["efficiency"], t.values["fairness"]) for t in plan.design.front)
    assert np.column_stack(step.get_data()).tolist() == [list(pair) for pair in reached]


def test_three_objectives_have_a_panel_for_each_pair_and_limits_are_marked(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, ["efficiency", "fairness", "-budget"], limits=[Limit("efficiency", least=-0.3)], noise=0.01
    )
    assert len(front(plan).axes) == 3
    assert len(effects(plan).axes) == 6
    labels = [text.get_text() for text in effects(plan).legends[0].get_texts()]
    assert "beyond a limit" in labels
    assert mechanisms(plan).axes[0].get_xticks().size == 5


def test_a_design_of_python_is_drawn(tmp_path: Path) -> None:
    """It has no mechanism as it is, and nothing is known of its own values."""
    plan = planned(tmp_path, ["efficiency"])
    assert plan.as_it_is is None
    assert list(figures_of(plan)) == ["convergence", "effects"]
    assert [path.name for path in drawn(tmp_path, ("svg",))] == ["convergence.svg", "effects.svg"]
    report(plan)
    assert (
        state_of(plan.design).split(" · ")[-1] == f"best efficiency {plan.design.value(plan.design.best):.4f}"
    )
