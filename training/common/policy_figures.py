"""What policies do, beside one another: those that were learned, and an equilibrium's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.config import choice
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.timed import seen_by
from training.common.figures import (
    COLOURS,
    new_panels,
    paper_style,
    positions_on_line,
    title_of_type,
)
from training.common.lines import Lines, action_features, lines_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE_STYLES = ("-", "--", "-.", ":")


@paper_style()
def policies_beside(
    game: PopulationGame, policies: Mapping[str, TabularPolicy], feature: str | None = None
) -> Figure:
    """Mean action along a quantity, a panel per type and all other quantities, a line per policy.

    In karma games: the mean bid by karma, a panel per type and urgency. A line is the mean over the agents
    of a type and over all that they may observe with this karma and urgency.

    Args:
        game: a game with tables.
        policies: by the name that the legend shows, each of the game's agents, or with a row for each
            type or for all.
        feature: which of the game's action features; None for the first, or the action's number.

    Raises:
        ConfigError: for a game without tables, or a feature that its actions do not have.
        PolicyError: for a policy that does not fit the game.
    """
    game = as_finite(game)
    sizes = [policy.n_observations for policy in policies.values()]
    game = seen_by(game, max(sizes, default=game.n_observations))
    features = action_features(game)
    feature = next(iter(features)) if feature is None else feature
    choice("feature", feature, features)
    types = lines_of(game)
    panels = [(kind, line) for kind, lines in enumerate(types) for line in range(len(lines.others))]
    means = {name: _means(game, policy, features[feature], types) for name, policy in policies.items()}
    figure, axes = new_panels(len(panels), 2.9, 3.0, margin=0.4)
    for panel, (kind, line) in zip(axes, panels):
        lines = types[kind]
        positions = positions_on_line(panel, lines.values)
        for place, (name, by_type) in enumerate(means.items()):
            panel.plot(
                positions,
                by_type[kind][line],
                color=COLOURS[place % len(COLOURS)],
                linestyle=_LINE_STYLES[place % len(_LINE_STYLES)],
                label=name,
            )
        draw_limit(panel, game, features[feature], lines)
        frame_means(panel, lines, feature, features[feature])
        title_panel(panel, game, kind, lines.labels[line])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), handlelength=2.4)
    return figure


bids_beside = policies_beside
"""Its name from when all games were of karma."""


def draw_limit(panel: Axes, game: FiniteGame, worth: NDArray[Any], lines: Lines) -> None:
    """Where agents can do what the quantity along x says and no more, as bid all their karma: that line."""
    highest = np.where(game.legal_actions, worth, -np.inf).max(axis=1)
    limits = lines.means(highest)
    if lines.values.dtype.kind in "iuf" and (limits == lines.values).all():
        label = f"all {lines.along}"
        panel.plot(lines.values, lines.values, color="0.6", linewidth=0.8, linestyle=":", label=label)


def frame_means(panel: Axes, lines: Lines, feature: str, worth: NDArray[Any]) -> None:
    """Labels and limits of a panel in which means of a feature go along lines."""
    panel.set(xlabel=lines.along, ylabel=f"mean {feature}")
    panel.locator_params(axis="y", integer=worth.dtype.kind in "iu")
    panel.set_ylim(bottom=0 if (worth >= 0).all() else None)
    if len(lines.values) > 1:
        panel.margins(x=0)


def title_panel(panel: Axes, game: FiniteGame, kind: int, label: str = "") -> None:
    """Title of a panel: the type's name where there are several, and what else there is to say."""
    if len(game.discounts) > 1:
        title_of_type(panel, game.type_names[kind], label)
    else:
        panel.set_title(label, fontsize="medium")


def _means(
    game: FiniteGame, policy: TabularPolicy, worth: NDArray[Any], types: list[Lines]
) -> list[NDArray[np.float64]]:
    """For each type mean actions ``float[lines, V]`` of its agents, NaN where none can be."""
    policy = policy.fitted_to(game)
    reachable = game.reachable()
    actions = policy.mean_actions(worth)[policy.row_of_agent]
    means = []
    for kind, lines in enumerate(types):
        members = game.type_of_agent == kind
        agents = reachable[members].sum(axis=0)
        total = np.where(reachable[members], actions[members], 0).sum(axis=0)
        means.append(lines.means(total / np.maximum(agents, 1), agents))
    return means
