"""Figures of an equilibrium of the matching game: policy, mean bids, karma, the solver's history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from karma_envs.karma.config import type_names
from training.common.figures import (
    COLOURS,
    FolderFigures,
    legend_above,
    new_figure,
    paper_style,
    require_matplotlib,
    save_figures,
    title_of_type,
)
from training.solving.search import has_equilibria
from training.solving.search_figure import several_equilibria
from training.solving.solution import Solution

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@paper_style()
def policy_heat_maps(solution: Solution) -> Figure:
    """Probability of each bid by karma, a panel per type and urgency."""
    config = solution.config.game_config
    shape = (len(config.agent_types), config.n_urgencies, config.karma_max + 1, config.karma_max + 1)
    bids = np.broadcast_to(
        solution.policy.probabilities, (shape[0], *solution.policy.probabilities.shape[1:])
    )
    panels = [
        (kind, number) for kind, one in enumerate(config.agent_types) for number in range(len(one.urgencies))
    ]
    height = 2.9 if len(config.agent_types) == 1 else 3.3  # a title of more lines
    figure, axes = new_figure(2.9 * len(panels) + 0.6, height, len(panels))
    image = None
    for panel, (kind, number) in zip(axes, panels):
        image = panel.imshow(
            bids.reshape(shape)[kind, number].T, origin="lower", aspect="equal", cmap="Blues", vmin=0, vmax=1
        )
        label = f"urgency {config.agent_types[kind].urgencies[number]:g}"
        if len(config.agent_types) > 1:
            title_of_type(panel, type_names(config.agent_types)[kind], label)
        else:
            panel.set_title(label)
        panel.set(xlabel="karma", ylabel="bid")
        panel.grid(visible=False)
        panel.locator_params(integer=True)
    assert image is not None
    figure.colorbar(image, ax=axes, label="probability", shrink=0.8)
    return figure


@paper_style()
def mean_bid(solution: Solution) -> Figure:
    """Mean bid by karma and urgency, a panel per type."""
    config = solution.config.game_config
    karma = np.arange(config.karma_max + 1)
    means = solution.policy.mean_actions()
    figure, axes = new_figure(3.4 * len(config.agent_types) + 0.4, 3.0, len(config.agent_types))
    for kind, (panel, one) in enumerate(zip(axes, config.agent_types)):
        bids = means[min(kind, len(means) - 1)].reshape(-1, len(karma))
        for number, urgency in enumerate(one.urgencies):
            panel.plot(
                karma, bids[number], color=COLOURS[number % len(COLOURS)], label=f"urgency {urgency:g}"
            )
        panel.plot(karma, karma, color="0.6", linewidth=0.8, linestyle=":", label="all karma")
        panel.set(xlabel="karma", ylabel="mean bid", xlim=(0, karma[-1]), ylim=(0, None))
        panel.locator_params(integer=True)
        panel.legend(loc="upper left")
        if len(config.agent_types) > 1:
            title_of_type(panel, type_names(config.agent_types)[kind])
    return figure


@paper_style()
def karma_distribution(solution: Solution) -> Figure:
    """Stationary distribution of karma, by type where there are several."""
    config = solution.config.game_config
    karma = np.arange(config.karma_max + 1)
    by_type = solution.mean_field.reshape(len(config.agent_types), -1, len(karma)).sum(axis=1)
    figure, (panel,) = new_figure(4.4, 3.0)
    width = 0.8 / len(by_type)
    for kind, share in enumerate(by_type):
        label = type_names(config.agent_types)[kind] if len(by_type) > 1 else None
        offset = (kind - (len(by_type) - 1) / 2) * width
        panel.bar(karma + offset, share, width=width, color=COLOURS[kind % len(COLOURS)], label=label)
    panel.axvline(config.karma_mean, color="0.2", linewidth=0.8, linestyle="--", label="mean")
    panel.set(xlabel="karma", ylabel="share of agents")
    legend_above(panel, columns=1 if len(by_type) > 1 else 4)
    return figure


@paper_style()
def exploitability_history(solution: Solution) -> Figure:
    """Normalised exploitability at each of the solver's steps."""
    history = solution.numbers["history"]
    figure, (panel,) = new_figure(4.4, 3.0)
    values = [max(step["exploitability_normalised"], 1e-16) for step in history]
    panel.plot([step["iteration"] for step in history], values, color=COLOURS[0], marker=".")
    if solution.config.rationality is None:
        panel.axhline(
            solution.numbers["tolerance"], color="0.35", linewidth=1, linestyle="--", label="tolerance"
        )
        legend_above(panel)
    panel.set(
        xlabel=f"step of {solution.numbers['method']}", ylabel="normalised exploitability", yscale="log"
    )
    return figure


def plot_solution(solution: Solution, formats: tuple[str, ...] = ("png", "pdf")) -> list[Path]:
    """Draw all figures of a solution into its ``figures`` folder.

    Raises:
        ResultsError: when matplotlib is not installed.
        ConfigError: for a file ending that matplotlib does not know.
    """
    require_matplotlib()
    drawn = [policy_heat_maps, mean_bid, karma_distribution, exploitability_history]
    drawn += [several_equilibria] if has_equilibria(solution) else []
    figures: dict[str, Callable[[], Figure]] = {
        draw.__name__: lambda draw=draw: draw(solution)  # type: ignore[misc]
        for draw in drawn
    }
    return save_figures(solution.folder, figures, formats)


FOLDER = FolderFigures(
    "equilibrium.json", lambda folder, formats, trust: plot_solution(Solution.open(folder, trust), formats)
)
