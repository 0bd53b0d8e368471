"""Figures are drawn whatever Matplotlib has been told, show themselves in notebooks, or say why not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from karma_envs import make
from karma_envs.baselines import baseline_policy
from karma_envs.rendering import animate
from training import ResultsError
from training.common.figures import legend_of_lines, new_figure, paper_style, save_figures
from training.common.lane_figures import path_panels


@paper_style()
def figure(label: str = "step") -> Any:
    made, (panel,) = new_figure(2, 2)
    panel.plot([0, 1])
    panel.set_xlabel(label)
    return made


@pytest.fixture
def asks_for_latex() -> Iterator[None]:
    with matplotlib.rc_context({"text.usetex": True}):
        yield


def test_a_backend_that_does_not_exist_keeps_nothing_from_being_drawn(tmp_path: Path) -> None:
    program = """
import os, sys
from karma_envs.rendering.drawing import load_matplotlib
matplotlib = load_matplotlib()
assert os.environ["MPLBACKEND"] == "nonsense", "left as it was for others"
assert load_matplotlib() is matplotlib
from matplotlib.figure import Figure
Figure().savefig("figure.png")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "MPLBACKEND": "nonsense", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_without_latex_text_is_drawn_without_it(
    asks_for_latex: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    made = figure()
    assert not made.axes[0].xaxis.label.get_usetex()
    (path,) = save_figures(tmp_path, {"one": figure}, ("png",))
    assert path.stat().st_size > 1000
    game = make("matching", n_agents=4)
    assert animate(game, baseline_policy("random", game), tmp_path / "film.gif", n_steps=1).is_file()
    assert matplotlib.rcParams["text.usetex"]


def test_a_latex_that_fails_is_one_line_and_leaves_nothing(
    asks_for_latex: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "latex").write_text("#!/bin/sh\nexit 1\n")
    (programs / "latex").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert shutil.which("latex") == str(programs / "latex")
    with pytest.raises(ResultsError, match=r"one\.png cannot be drawn: latex ") as caught:
        save_figures(tmp_path, {"one": lambda: figure("a text that is in no cache")}, ("png",))
    assert "\n" not in str(caught.value)
    assert [*(tmp_path / "figures").iterdir()] == []


def test_a_style_that_is_no_text_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Matplotlib reads it when it is imported, which happens once, so another fails in its place."""
    (tmp_path / "matplotlib.py").write_text("bytes([255]).decode()")
    monkeypatch.delitem(sys.modules, "matplotlib")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ResultsError, match="Matplotlib does not start: 'utf-8' codec can't decode") as caught:
        save_figures(tmp_path, {}, ("png",))
    assert "\n" not in str(caught.value)


def test_figures_show_in_a_notebook_without_a_magic_line() -> None:
    """A notebook asks the value of a cell for its picture by this method; pyplot is not needed."""
    network = make("grid_city").network
    paths = path_panels(network, {"one": [[0]]})
    for made in (figure(), paths):
        assert made._repr_png_().startswith(b"\x89PNG\r\n\x1a\n")
    assert "matplotlib.pyplot" not in type(made.canvas).__module__


def test_figures_have_one_look_wherever_they_are_made() -> None:
    before = matplotlib.rcParams["font.size"]
    made = figure()
    assert made.dpi == 150
    assert made.axes[0].xaxis.label.get_fontsize() == 9
    assert not made.axes[0].spines["top"].get_visible()
    assert matplotlib.rcParams["font.size"] == before
    np.testing.assert_allclose(made.get_size_inches(), 2)


@pytest.mark.parametrize(
    ("lines", "named", "title"),
    [
        (0, None, ""),
        (6, [0, 1, 2, 3, 4, 5], ""),
        (49, [0, 10, 19, 29, 38, 48], "some of the lines"),  # 48 k / 5 for k = 0 … 5, rounded
    ],
)
def test_a_legend_names_so_many_lines_as_it_has_room_for(
    lines: int, named: list[int] | None, title: str
) -> None:
    _, (panel,) = new_figure(3, 3)
    for line in range(lines):
        panel.plot([0, line], label=f"line {line}")
    legend_of_lines(panel)
    legend = panel.get_legend()
    if named is None:
        assert legend is None
        return
    assert [text.get_text() for text in legend.get_texts()] == [f"line {line}" for line in named]
    assert legend.get_title().get_text() == title


@paper_style()
def test_long_numbers_of_steps_do_not_overlap() -> None:
    made, (panel,) = new_figure(4.4, 3.0)
    panel.plot([0, 200_000], [0, 1])
    made.draw_without_rendering()
    assert max(len(tick.get_text()) for tick in panel.get_xticklabels()) <= 5
