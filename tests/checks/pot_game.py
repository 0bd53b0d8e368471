"""A game of one's own with karma, in which every method is one place for a fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from karma_envs.config import Config, whole
from karma_envs.finite import FiniteGame
from karma_envs.game import IllegalActionError
from karma_envs.karma.outcome import KarmaOutcome
from karma_envs.numerics.random import new_streams, next_below
from karma_envs.numerics.sampling import sample_actions
from karma_envs.states import check_arrays, check_values
from karma_envs.transitions import Transitions

CAP, START = 4, 2


@dataclass(frozen=True)
class PotConfig(Config):
    n_agents: int = 5

    def __post_init__(self) -> None:
        self._set(n_agents=whole("n_agents", self.n_agents, 2))


class PotGame(FiniteGame):
    """Everybody may put a unit of karma into a pot; one of those who did is served, the pot goes round.

    Who is not served loses 1. The pot is dealt out one by one to agents with room, drawn at random; what
    nobody has room for stays. Every method is one place for a fault.
    """

    name, config_class, presets = "pot", PotConfig, {}
    exchangeable = True

    def __init__(self, config: PotConfig | None = None, **fields: Any) -> None:
        self.config = (config or PotConfig()).replace(**fields)
        self.n_agents, self.n_observations, self.n_actions = self.config.n_agents, CAP + 1, 2
        self.legal_actions = np.ones((CAP + 1, 2), bool)
        self.legal_actions[0, 1] = False
        self.type_of_agent, self.discounts = np.zeros(self.n_agents, np.uint8), np.array([0.9])
        self.observation_space, self.reward_bounds = Box(0, 1, (1,), np.float32), (-1.0, 0.0)
        self.s: dict[str, Any] = {}

    def reset(self, rng: np.random.Generator) -> None:
        n = self.n_agents
        self.s = {
            "karma": np.full(n, START, np.int16),
            "pot": np.zeros(1, np.int64),
            "accesses": np.zeros(n, np.int64),
            "contests": np.zeros(n, np.int64),
            "rewards": np.zeros(n),
            "steps": np.zeros(1, np.int64),
            "streams": new_streams(rng, 3),
        }

    def winner(self, contestants: Any) -> int:
        return int(contestants[next_below(self.s["streams"], 0, len(contestants))])

    def receiver(self, with_room: Any) -> int:
        return int(with_room[next_below(self.s["streams"], 1, len(with_room))])

    def pay(self, bids: Any) -> None:
        self.s["karma"] -= bids.astype(np.int16)
        self.s["pot"] += bids.sum()

    def deal(self) -> None:
        karma, pot = self.s["karma"], self.s["pot"]
        while pot[0] > 0 and (karma < CAP).any():
            karma[self.receiver(np.flatnonzero(karma < CAP))] += 1
            pot -= 1

    def check_actions(self, actions: Any) -> Any:
        bids = self.actions_of(actions)
        if ((bids < 0) | (bids > np.minimum(self.s["karma"], 1))).any():
            raise IllegalActionError("a bid is 0, or 1 of who has karma")
        return bids

    def step(self, actions: Any) -> Any:
        bids, s = self.check_actions(actions), self.s
        best = np.flatnonzero(bids == bids.max())
        served = self.winner(best)
        rewards = np.full(self.n_agents, -1, np.float32)
        rewards[served] = 0
        self.pay(bids)
        self.deal()
        s["accesses"][served] += 1
        s["contests"] += 1
        s["rewards"] += rewards
        s["steps"] += 1
        return rewards

    def draw(self, policy: Any, observed: Any, actions: Any) -> None:
        sample_actions(policy.thresholds, policy.row_of_agent, observed, self.s["streams"], 2, actions)

    def play(self, policy: Any, out: Transitions) -> None:
        for step in range(len(out)):
            out.observations[step] = self.observation_index()
            self.draw(policy, out.observations[step], out.actions[step])
            out.rewards[step] = self.step(out.actions[step])
        out.observations[len(out)] = self.observation_index()

    def observation_index(self) -> Any:
        return self.s["karma"].astype(np.int64)

    def observations(self) -> Any:
        return (self.s["karma"] / np.float32(CAP)).astype(np.float32)[:, None]

    def outcome(self) -> KarmaOutcome:
        s = self.s
        accesses, contests = s["accesses"].astype(np.int64), s["contests"].astype(np.int64)
        karma, steps = s["karma"].astype(np.int64), int(s["steps"][0])
        return KarmaOutcome(
            steps,
            s["rewards"].copy(),
            contests.copy(),
            accesses=accesses,
            contests=contests,
            karma=karma,
            losses_if_never=-1.0 * contests,
        )

    def conserved(self) -> Any:
        return {"karma": int(self.s["karma"].sum() + self.s["pot"][0])}

    def state_dict(self) -> Any:
        return {name: array.copy() for name, array in self.s.items()}

    def load_state_dict(self, state: Any) -> None:
        if not self.s:
            self.reset(np.random.default_rng(0))
        check_arrays("pot", state, self.s)
        allowed: Any = {
            "steps": (0, 2**53), "karma": (0, CAP), "pot": (0, CAP * self.n_agents),
            "contests": (0, state["steps"][0]), "accesses": (0, state["contests"]), "rewards": (-np.inf, 0),
        }  # fmt: skip
        check_values("pot", state, allowed)
        self.s = {name: array.copy() for name, array in state.items()}

    def scene(self) -> dict[str, Any]:
        return {}
