"""The machinery of reproductions, and that every experiment is complete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from karma_envs.config import ConfigError
from training.cli import main
from training.common.figures import new_figure
from training.reproduction import command as command
from training.reproduction import reproduce as machinery
from training.reproduction.experiment import Experiment, Published, experiments
from training.reproduction.numbers import mean_over_seeds, with_error
from training.reproduction.reproduce import reproduce

RESULTS = Path(__file__).parents[3] / "docs" / "results"


def toy(calls: list[tuple[str, int]]) -> Experiment:
    def run(scale: str, seed: int) -> list[dict[str, Any]]:
        calls.append((scale, seed))
        return [{"case": "a", "x": 1.0 + seed}, {"case": "b", "x": 5.0}]

    return Experiment(
        name="toy",
        title="A toy",
        source="nowhere",
        run=run,
        figures={"plain": lambda rows: new_figure(2, 2)[0]},
        published=(Published("a", "x", 2.1, 0.2, "made up"), Published("b", "x", 4.0, 0.2, "made up")),
        notes="Nothing to note.",
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    made: list[tuple[str, int]] = []
    for module in (machinery, command):
        monkeypatch.setattr(module, "experiments", lambda: {"toy": toy(made)})
    return made


def test_verdicts_page_and_rows(calls: list[tuple[str, int]], tmp_path: Path) -> None:
    found = reproduce("toy", seeds=3, folder=tmp_path)
    assert calls == [("quick", 0), ("quick", 1), ("quick", 2)]
    assert [item.agrees for item in found] == [True, False]
    assert found[0].ours == pytest.approx(2.0)
    assert found[0].standard_error == pytest.approx(1 / np.sqrt(3))
    page = (tmp_path / "toy-quick" / "README.md").read_text()
    assert "| a: x | 2.1 | 2.00 ± 0.58 | 0.2 (made up) | agrees |" in page
    assert "**disagrees**" in page
    assert "Nothing to note." in page
    assert (tmp_path / "toy-quick" / "figures" / "plain.png").stat().st_size > 500
    index = (tmp_path / "README.md").read_text()
    assert "| [toy](toy-quick/README.md) | A toy | quick | 3 | 1 of 2 agree | 0 min |" in index


def test_a_repeated_call_runs_only_what_is_missing(calls: list[tuple[str, int]], tmp_path: Path) -> None:
    reproduce("toy", seeds=1, folder=tmp_path)
    found = reproduce("toy", seeds=2, folder=tmp_path)
    assert calls == [("quick", 0), ("quick", 1)]
    assert found[0].ours == pytest.approx(1.5)


def test_points_of_curves_are_kept_and_not_listed(
    calls: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = machinery.experiments()["toy"]
    rows = [{"case": "a", "point": -1, "x": 2.0}, {"case": "curve", "point": 0, "x": 7.5}]
    curved = replace(plain, run=lambda scale, seed: rows, published=())
    monkeypatch.setattr(machinery, "experiments", lambda: {"toy": curved})
    reproduce("toy", seeds=1, folder=tmp_path)
    page = (tmp_path / "toy-quick" / "README.md").read_text()
    assert "| a | " in page
    assert "curve" not in page
    assert "curve" in (tmp_path / "toy-quick" / "results.csv").read_text()
    assert "no numbers printed" in (tmp_path / "README.md").read_text()


def test_several_experiments_in_one_call(calls: list[tuple[str, int]], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="experiment = 'toys'"):
        reproduce("toys", folder=tmp_path)
    assert main(["reproduce", "toy", "toys", "--folder", str(tmp_path)]) == 1
    assert calls == []
    assert list(tmp_path.iterdir()) == []
    assert main(["reproduce", "all", "--seeds", "1", "--folder", str(tmp_path)]) == 0
    assert calls == [("quick", 0)]


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="experiment = 'table-9-9'"):
        reproduce("table-9-9", folder=tmp_path)
    with pytest.raises(ConfigError, match="scale = 'huge'"):
        reproduce("table-6-1", scale="huge", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_numbers_with_errors() -> None:
    assert with_error(-1.08104, 0.00031) == "-1.08104 ± 0.00031"
    assert with_error(1.5, float("nan")) == "1.5"
    assert with_error(-1.04787, 0.0) == "-1.04787"
    assert with_error(float("nan"), float("nan")) == "–"
    assert with_error(12.3, 4.0) == "12.3 ± 4.0"
    rows = [{"case": "a", "x": 1.0}, {"case": "b", "x": 9.0}, {"case": "a", "x": 3.0}]
    assert mean_over_seeds(rows, "a", "x") == (2.0, 1.0)


@pytest.mark.parametrize("name", experiments())
def test_every_experiment_says_where_it_comes_from(name: str) -> None:
    found = experiments()[name]
    assert found.name == name
    assert found.title
    assert found.source
    assert found.figures
    for item in found.published:
        assert item.tolerance > 0
        assert item.reason


@pytest.mark.parametrize("name", experiments())
def test_what_is_called_an_exploitability_says_which_one_it_is(name: str) -> None:
    table = RESULTS / f"{name}-full" / "results.csv"
    columns = table.read_text().partition("\n")[0].split(",") if table.is_file() else []
    named = {column for column in columns if "exploitab" in column}
    assert named <= set(experiments()[name].meanings)
    page = table.parent / "README.md"  # of what has been run at full scale
    for quantity, meaning in experiments()[name].meanings.items() if page.is_file() else ():
        assert f"- {quantity.replace('_', ' ')}: {meaning}" in page.read_text()


def test_the_list_names_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "list"]) == 0
    said = capsys.readouterr().out
    assert [name for name in experiments() if name not in said] == []
