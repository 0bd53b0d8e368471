"""What policies bid, beside one another: those that were learned, and an equilibrium's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.config import refuse
from karma_envs.game import PopulationGame
from training.common.figures import COLOURS, new_figure, paper_style, title_of_type

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINE_STYLES = ("-", "--", "-.", ":")


@paper_style()
def bids_beside(game: PopulationGame, policies: Mapping[str, TabularPolicy]) -> Figure:
    """Mean bid by karma, a panel per type and urgency, a line per policy.

    A line is the mean over the agents of a type and over all that an agent with this karma and urgency may
    observe.

    Args:
        game: a game with karma and urgency.
        policies: by the name that the legend shows, each of the game's agents, or with a row for each
            type or for all.

    Raises:
        ConfigError: for a game without karma.
        PolicyError: for a policy that does not fit the game.
    """
    urgency = game.urgency_of_observation
    config: Any = game.config
    karma_max = getattr(config, "karma_max", None)
    if urgency is None or karma_max is None:
        raise refuse("game", game.name, "a game with karma and urgency")
    karma = np.arange(karma_max + 1)
    types = config.agent_types
    panels = [(kind, number) for kind, one in enumerate(types) for number in range(len(one.urgencies))]
    figure, axes = new_figure(2.9 * len(panels) + 0.4, 3.0, len(panels))
    lines = {name: _bids(game, policy) for name, policy in policies.items()}
    for panel, (kind, number) in zip(axes, panels):
        for place, (name, bids) in enumerate(lines.items()):
            chosen = bids[kind][:, urgency == number].reshape(-1, len(karma))
            panel.plot(
                karma,
                np.nanmean(chosen, axis=0),
                color=COLOURS[place % len(COLOURS)],
                linestyle=_LINE_STYLES[place % len(_LINE_STYLES)],
                label=name,
            )
        panel.plot(karma, karma, color="0.6", linewidth=0.8, linestyle=":", label="all karma")
        panel.set(xlabel="karma", ylabel="mean bid", xlim=(0, karma_max), ylim=(0, None))
        panel.locator_params(integer=True)
        label = f"urgency {types[kind].urgencies[number]:g}"
        if len(types) > 1:
            title_of_type(panel, game.type_names[kind], label)
        else:
            panel.set_title(label, fontsize="medium")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), handlelength=2.4)
    return figure


def _bids(game: PopulationGame, policy: TabularPolicy) -> list[NDArray[np.floating[Any]]]:
    """For each type mean bids ``float[agents, observations]``, nan where an agent is never."""
    policy = policy.fitted_to(game)
    bids = policy.mean_actions(game.bid_of_action)[policy.row_of_agent]
    bids = np.where(game.reachable(), bids, np.nan)
    return [bids[game.type_of_agent == kind] for kind in range(len(game.discounts))]
