"""The theory command: what it keeps, says and draws, against direct calls and closed forms."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
import karma_envs
from agents.evaluators import (
    MirrorAscent,
    contractivity_violations,
    monotonicity_violations,
    sublinearity_of,
)
from karma_envs.config import ConfigError
from training.cli import main
from training.common.config import load_layer
from training.common.errors import ResultsError
from training.theory.tools import TOOLS, Theory, TheoryConfig, theory_to_folder

SMALL = {"karma_max": 4, "karma_mean": 2}
FLAGS = ["--karma-max", "4", "--karma-mean", "2", "--policies", "20"]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")


def found(tmp_path: Path, tool: str, rationality: float = 5.0, **game: Any) -> dict[str, Any]:
    """What one tool finds."""
    fields = {"game_config": {**SMALL, **game}, "tools": tool, "policies": 20, "rationality": rationality}
    return theory_to_folder(TheoryConfig(**fields), tmp_path / "theory").numbers[tool]


def test_the_command_reports_keeps_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "theory"
    flags = [*FLAGS, "--urgencies", "0,1", "--discount", "0.9", "--folder", str(folder), "--quiet"]
    assert main(["theory", "matching", *flags]) == 0
    said = capsys.readouterr().out
    theory = Theory.open(folder)
    assert list(theory.numbers) == list(TOOLS)
    assert theory.numbers == json.loads((folder / "theory.json").read_text())
    assert theory.config == TheoryConfig.from_dict(load_layer(folder / "config.yaml"))
    assert theory.config.game_config.urgencies == (0, 1)

    lipschitz = theory.numbers["lipschitz"]
    assert lipschitz["constants"]["update"] == pytest.approx(126.0, abs=1e-9)
    assert (lipschitz["strength"], lipschitz["exceeds"]) == (0.2, False)
    assert "L_Gamma = 126.000: policy mirror ascent is proven to contract only if" in said
    assert "1/beta = 0.2 does not" in said

    pair = theory.numbers["lasry-lions"]["counterexample"]
    assert pair["total"] == pytest.approx(1 / 8)  # P_1 P_2 (u_2 - u_1) / 2
    assert "S = 0.125 for the counterexample, not monotone: " in said

    contractivity = theory.numbers["contractivity"]
    assert f"violations: {contractivity['violations']} of {contractivity['tested']} (" in said
    assert f"results are in {folder}" in said

    names = ("lasry_lions", "sublinearity", "contractivity")
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert drawn == {f"{name}.{ending}" for name in names for ending in ("png", "pdf")}
    assert main(["plot", str(folder), "--formats", "svg"]) == 0
    for name in names:
        assert (folder / "figures" / f"{name}.svg").stat().st_size > 1000
    assert main(["theory", "matching", *flags]) == 1
    assert "holds results already" in capsys.readouterr().err


def test_one_urgency_is_neutral(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--urgencies", "[3]", "--tools", "lasry-lions", "--folder", str(tmp_path / "one")]
    assert main(["theory", "matching", *FLAGS, *flags]) == 0
    numbers = Theory.open(tmp_path / "one").numbers["lasry-lions"]
    assert numbers["greatest_size"] < 1e-12
    assert (numbers["pairs"], numbers["positive_pairs"], numbers["counterexample"]) == (20, 0, None)
    assert "with one urgency S is 0 for all pairs" in capsys.readouterr().out
    assert not (tmp_path / "one" / "figures").exists()


def test_stationary_populations_violate_monotonicity_too(tmp_path: Path) -> None:
    numbers = found(tmp_path / "two", "lasry-lions")
    assert 0 < numbers["positive_pairs"] < numbers["pairs"] == 20
    assert numbers["greatest_size"] > 1e-6
    nobody_bids = found(tmp_path / "none", "lasry-lions", karma_mean=0)
    assert (nobody_bids["greatest_size"], nobody_bids["counterexample"]) == (0, None)


def test_violations_are_those_of_the_evaluators(tmp_path: Path) -> None:
    model = karma_envs.make("matching", **SMALL).mean_field()
    assert model is not None
    contractivity = found(tmp_path / "c", "contractivity", 20.0)
    direct = contractivity_violations(model, 20.0, n_policies=20)
    assert contractivity["fraction"] == direct.fraction > 0
    assert contractivity["violations"] == direct.fraction * direct.n_tested
    assert (contractivity["tested"], contractivity["drawn"]) == (direct.n_tested, 20)
    assert contractivity["worst"] == pytest.approx(direct.worst, rel=1e-6)

    ways = contractivity["distances"]
    assert len(ways) == direct.n_tested
    assert all(len(way) == 21 or way[-1] < 1e-7 for way in ways)
    away = [any(after > before for before, after in itertools.pairwise(way)) for way in ways]
    assert sum(away) == contractivity["violations"]
    rng, ascent = np.random.default_rng(0), MirrorAscent(model, 20.0)
    firsts = [ascent.random_policy(rng) for _ in range(20)]
    gaps = [np.abs(first - direct.equilibrium.policy).sum(axis=2).max() for first in firsts]
    assert {round(way[0], 6) for way in ways} <= {round(gap, 6) for gap in gaps}

    monotonicity = found(tmp_path / "m", "monotonicity", 20.0)
    direct = monotonicity_violations(model, 20.0, n_policies=20)
    assert (monotonicity["fraction"], monotonicity["tested"]) == (direct.fraction, direct.n_tested)
    assert monotonicity["worst"] == pytest.approx(direct.worst, rel=1e-5)


def test_sublinearity_is_that_of_the_equilibrium(tmp_path: Path) -> None:
    numbers = found(tmp_path, "sublinearity")
    model = karma_envs.make("matching", **SMALL).mean_field()
    assert model is not None
    equilibrium = agents.solve(model)
    bids = equilibrium.policy.mean_actions()
    np.testing.assert_allclose(np.ravel(numbers["mean_bids"]), bids.ravel(), atol=1e-6)
    for key, rounding in (("exact", 0.0), ("but_for_rounding", 0.5)):
        direct = sublinearity_of(bids, 4, equilibrium.mean_field, rounding=rounding)
        assert numbers[key]["violation"] == pytest.approx(direct.violation, abs=1e-5)
        assert numbers[key]["first_karma"] == direct.first_karma


@pytest.mark.parametrize(
    ("tool", "game", "says"),
    [
        ("lipschitz", {"payment": "second_price"}, "pay_bid_to_peer or pay_bid_to_society"),
        ("lipschitz", {"redistribution": "none"}, "uniform redistribution"),
        ("lipschitz", {"types": [{"discount": 0.7}, {"discount": 0.9}]}, "one type of agents"),
        ("lasry-lions", {"types": [{"discount": 0.7}, {"discount": 0.9}]}, "one type of agents"),
        ("sublinearity", {"karma_max": 1, "karma_mean": 0.5}, "karma_max = 1"),
    ],
)
def test_a_tool_that_does_not_apply_says_why(
    tool: str, game: dict[str, Any], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = []
    for name, value in ({"karma_max": 4, "karma_mean": 2} | game).items():
        flags += [f"--{name.replace('_', '-')}", json.dumps(value) if name == "types" else str(value)]
    folder = str(tmp_path / "not")
    assert main(["theory", "matching", *flags, "--tools", tool, "--folder", folder]) == 0
    assert says in Theory.open(folder).numbers[tool]["because"]
    said = capsys.readouterr().out
    assert "does not apply: " in said
    assert says in said


def test_constants_follow_payment_and_rationality(tmp_path: Path) -> None:
    society = found(tmp_path / "1", "lipschitz", payment="pbs", urgencies=(1, 1), discount=0.9)
    assert society["constants"]["transition_population"] == 9  # 2 k_max + 1, equation 5.4
    assert society["constants"]["update"] == pytest.approx(126)
    assert not found(tmp_path / "2", "lipschitz", 1 / 125, urgencies=(1, 1), discount=0.9)["exceeds"]
    assert found(tmp_path / "3", "lipschitz", 1 / 127, urgencies=(1, 1), discount=0.9)["exceeds"]


def test_no_policy_of_enough_entropy_is_said(tmp_path: Path) -> None:
    assert "none of the 20 random policies" in found(tmp_path, "contractivity", 1e-4)["because"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tools": "lipshitz"}, "tools = 'lipshitz' .*did you mean lipschitz"),
        ({"tools": ()}, r"tools = \(\)"),
        ({"tools": 3}, "tools = 3"),
        ({"rationality": 0}, "rationality = 0"),
        ({"policies": 0}, "policies = 0"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        TheoryConfig(**fields)


def test_tools_come_in_one_order() -> None:
    assert TheoryConfig(tools=("monotonicity", "lipschitz", "lipschitz")).tools == (
        "lipschitz",
        "monotonicity",
    )
    assert TheoryConfig().tools == tuple(TOOLS)


def test_games_without_a_model_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "theory"
    assert main(["theory", "matching", "--allocation", "dict", "--folder", str(folder)]) == 1
    assert "mean-field model" in capsys.readouterr().err
    assert not folder.exists()


def test_an_interrupted_command_leaves_nothing(tmp_path: Path) -> None:
    def stop(tool: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        theory_to_folder(TheoryConfig(game_config=SMALL), tmp_path / "theory", stop)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ResultsError, match=r"no theory\.json"):
        Theory.open(tmp_path)
