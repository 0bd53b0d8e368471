"""Derivatives on the command line: files, figure, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import agents
import karma_envs
from karma_envs.config import ConfigError
from training.cli import main
from training.common.tables import read_json, read_table
from training.solving.sensitivity_figure import tornado_of
from training.solving.solution import SolveConfig

FLAGS = ["--karma-max", "4", "--karma-mean", "2", "--discount", "0.9", "--redistribution", "tax(rate=0)"]


def test_solve_tells_derivatives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = "karma_mean,redistribution.rate,urgencies[1]"
    folder = tmp_path / "eq"
    flags = [*FLAGS, "--quiet", "--no-figures", "--sensitivity", chosen, "--folder", str(folder)]
    assert main(["solve", "matching", *flags]) == 0
    said = capsys.readouterr().out
    assert "derivatives of this equilibrium of the mean field" in said
    rows = read_table(folder / "sensitivity.csv")
    game = karma_envs.make(
        "matching", karma_max=4, karma_mean=2.0, discount=0.9, redistribution="tax(rate=0)"
    )
    result = agents.sensitivity(agents.solve(game), game, chosen.split(","))
    assert len(rows) == result.derivatives.size
    np.testing.assert_allclose([row["derivative"] for row in rows], result.derivatives.ravel(), rtol=1e-9)
    summary = read_json(folder / "sensitivity.json")
    assert summary["parameters"] == {"karma_mean": 2.0, "redistribution.rate": 0.0, "urgencies[1]": 5.0}
    # The figure is of these rows: bars to both sides, and to one where the parameter may not move back.
    figure = tornado_of(rows)
    panel = figure.axes[0]
    assert panel.get_title() == "efficiency"
    widths = np.array([bar.get_width() for bar in panel.patches])
    slopes = {row["parameter"]: row["derivative"] for row in rows if row["output"] == "efficiency"}
    assert len(widths) == 5
    assert np.abs(widths).max() == pytest.approx(
        max(
            abs(slopes["karma_mean"]) * 0.02,
            abs(slopes["urgencies[1]"]) * 0.05,
            abs(slopes["redistribution.rate"]) * 0.01,
        )
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sensitivity": "discont"}, "sensitivity = 'discont' .*did you mean discount"),
        ({"sensitivity": "rationality"}, "sensitivity = 'rationality' is not allowed"),
        ({"sensitivity": "all", "exploration": 0.1}, "none with exploration but without a rationality"),
        ({"sensitivity": "all", "finite": True}, "none for few agents"),
        ({"sensitivity": "all", "game": "meeting_time"}, "finite states and actions"),
    ],
)
def test_what_has_no_derivative_is_refused_before_solving(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SolveConfig(**{"game_config": {}, **fields})
