"""A game of one's own with more to tell than others: totals, metrics, records, and what to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from karma_envs.game import Baseline, PopulationGame
from karma_envs.outcome import Metric, Outcome, jackknife, total
from karma_envs.states import LARGEST_COUNT, Allowed
from tests.own_games import RoadsGame


@dataclass(frozen=True)
class RoadsOutcome(Outcome):
    """How often drivers changed the road, ``int64[N]``, besides rewards."""

    changes: NDArray[np.int64] = total()


DELAY = Metric("delay", "mean delay", lambda outcome: -outcome.efficiency, more_is_better=False)
RESTLESS = Metric(
    "restless",
    "share who change",
    lambda outcome: (outcome.changes > 0).mean(),
    error=jackknife,
    headline=False,
)


def to_the_south(game: CountedRoads) -> Any:
    """Everyone takes the last road."""
    return game.policy_of(np.eye(3)[[2, 2, 2]][None])


class CountedRoads(RoadsGame):
    """Drivers whose changes of the road are counted."""

    name = "counted_roads"
    own_fields: ClassVar[Mapping[str, Allowed]] = {"road": (0, 2), "changes": (0, LARGEST_COUNT)}
    metrics: ClassVar[tuple[Metric, ...]] = (DELAY, RESTLESS)
    baselines: ClassVar[Mapping[str, Baseline]] = {**RoadsGame.baselines, "to_the_south": to_the_south}

    def start(self, draws: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        return {**super().start(draws), "changes": np.zeros(self.n_agents, np.int64)}

    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        self.state["changes"] = self.state["changes"] + (actions != self.state["road"])
        return super().move(actions)

    def outcome(self) -> RoadsOutcome:
        return RoadsOutcome(**vars(super().outcome()), changes=self.state["changes"].copy())

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        same = type(self)(self.config)
        return {"half": (same, same.policy_of(np.full((1, 3, 3), [0.5, 0.5, 0])))}

    def record(self) -> dict[str, float]:
        return {"north": float((self.state["road"] == 0).mean())}

    def distributions(self) -> dict[str, dict[str, NDArray[Any]]]:
        roads, counts = np.unique(self.state["road"], return_counts=True)
        return {"roads": {"road": roads, "share": counts / self.n_agents}}
