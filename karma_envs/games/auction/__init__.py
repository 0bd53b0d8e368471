"""A repeated second-price auction: who bids beyond its budget wins, and pays for it.

Model:
    N agents with budgets; in every round they meet in random groups of M bidders, and each group
    auctions one item, such as the place for an advertisement. The highest bid wins and pays the
    second-highest. What the item is worth (the visitor's click) is drawn for each auction and told
    to nobody before.

    ============  ==================================================================================
    agents        ``n_agents = 1000``, one type, exchangeable; in groups of ``n_bidders = 5``
    observation   one of budget_max + 1, the budget; in numbers ``Box(2)``: the budget and what it
                  lacks of ``budget_max = 9``, as shares of that
    action        one of bid_max + 1, the bid, all legal; ``bid_max = 9``
    reward        -18.8 to 4 with the defaults, which are ``values = (1.0, 2.0, 3.0, 4.0)`` and
                  ``overbid_penalty = 0.2``; ``discount = 0.8``
    length        none; ``refill_probability = 0.5`` of a unit of budget a step
    statistic     the distribution of bids
    ============  ==================================================================================

State:
    The budget s in 0 … budget_max. At the start all budgets are equally likely.

Action:
    A sealed whole bid a in 0 … bid_max, whatever the budget.

Reward:
    (v - p) - (1 + overbid_penalty) max(p - s, 0) for the winner, with v the value and p the price;
    0 for all others.

Order of a step:
    1. Sealed bids. 2. Random groups of n_bidders; the N mod n_bidders agents left over are in none,
    and their bids do not matter. 3. In each group the highest bid wins, the first of equals in a
    random order; the price is the second-highest bid, 0 for a bidder alone. 4. The values are drawn;
    rewards. 5. Winners pay: s becomes s - p, or 0 where p > s. 6. Every budget below budget_max gains
    a unit with refill_probability, also those of agents in no group.

End:
    The game never ends by itself; views truncate after max_cycles steps.

Mean-field limit:
    For N to infinity the n_bidders - 1 rivals of an agent are drawn independently from the
    population, so that it meets the others through the distribution of bids alone.

Known equilibrium:
    Smoothed, with the policy softmax(4 Q*) where Q* is of the best response (GMF-V, c = 4), bids
    0 … 9 have the probabilities .2090, .2266, .2785, .1897, .0564, .0194, .0093, .0054, .0034, .0023.
    N = 1000 agents that learn with that softmax (as trained) come within .01 of these in all. One exact
    equilibrium is known, and a search from many starts found no other: bids 2 and 3 with probabilities .7697
    and .2292, 0 and 1 with .0005 each, and efficiency .035329. Iterated best responses cycle for ever.

Reference:
    X. Guo, A. Hu, R. Xu and J. Zhang, Learning Mean-Field Games, NeurIPS 2019, sections 2 and 6; and
    R. Xu, Multi-agent RL from a mean-field perspective, lecture at RLChina 2020.

Differences from the source:
    The sizes, values and refills of the default are ours; the source prints none that can be used.
    Budgets begin uniformly distributed. The N agents of a simulation meet all in groups at once,
    where the source draws the rivals of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.array_game import REWARD_ROUNDING, ArrayGame, LastStep
from karma_envs.axes import Axis
from karma_envs.finite import SamplingPolicy
from karma_envs.game import Baseline
from karma_envs.games.auction.baselines import AUCTION_BASELINES
from karma_envs.games.auction.config import PRESETS, TRAINED_WITH, AuctionConfig
from karma_envs.games.auction.kernels import (
    DRAW_RANGE,
    N_STREAMS,
    AuctionState,
    AuctionTables,
    play,
    reward_of_winner,
    settle,
)
from karma_envs.games.auction.mean_field import AuctionMeanField
from karma_envs.games.auction.outcome import AUCTION_METRICS, AuctionOutcome
from karma_envs.numerics.random import new_streams
from karma_envs.outcome import Metric
from karma_envs.states import check_values
from karma_envs.transitions import Transitions

__all__ = ["GAME", "AuctionConfig", "AuctionGame"]


class AuctionGame(ArrayGame[AuctionState]):
    """The repeated auction on arrays. See the module's docstring for the model.

    Args:
        config: the configuration; the defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.
    """

    name = "auction"
    config_class = AuctionConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    trained_with: ClassVar[Mapping[str, Mapping[str, Any]]] = TRAINED_WITH
    picture = "karma_envs.games.auction.picture"
    metrics: ClassVar[tuple[Metric, ...]] = AUCTION_METRICS
    baselines: ClassVar[Mapping[str, Baseline]] = {**ArrayGame.baselines, **AUCTION_BASELINES}

    config: AuctionConfig

    def __init__(self, config: AuctionConfig | None = None, **fields: Any) -> None:
        self.config = config = (config or AuctionConfig()).replace(**fields)
        self.n_agents = config.n_agents
        self.n_observations, self.n_actions = config.budget_max + 1, config.bid_max + 1
        self.legal_actions = np.ones((self.n_observations, self.n_actions), np.bool_)
        self.type_of_agent = np.zeros(config.n_agents, np.uint8)
        self.discounts = np.array([config.discount])
        self.observation_space = Box(0.0, 1.0, (2,), np.float32)
        highest, penalty = config.highest_price, config.overbid_penalty
        best = float(reward_of_winner(max(config.values), 0, 0, penalty))
        self.reward_bounds = min(0.0, float(reward_of_winner(min(config.values), highest, 0, penalty))), best
        self._tables = AuctionTables(
            config.n_bidders,
            config.budget_max,
            config.overbid_penalty,
            round(config.refill_probability * DRAW_RANGE),
            np.array(config.values),
        )

    def _fresh_state(self, rng: np.random.Generator) -> AuctionState:
        n_agents = self.n_agents
        return AuctionState(
            budget=rng.integers(0, self.config.budget_max, n_agents, np.int16, endpoint=True),
            wins=np.zeros(n_agents, np.int64),
            prices=np.zeros(n_agents, np.int64),
            sat_out=np.zeros(n_agents, np.int64),
            reward_total=np.zeros(n_agents),
            steps=np.zeros(1, np.int64),
            order=np.arange(n_agents, dtype=np.int32),
            streams=new_streams(rng, N_STREAMS),
        )

    def _complaint(self, actions: NDArray[np.int64]) -> str | None:
        outside = (actions < 0) | (actions > self.config.bid_max)
        if not outside.any():
            return None
        agent = int(outside.argmax())
        return f"agent {agent} bids {actions[agent]}; allowed: 0 … {self.config.bid_max}"

    def _settle(self, actions: NDArray[np.int64], rewards: NDArray[np.float32]) -> None:
        settle(self.arrays, self._tables, actions, rewards)

    def play(self, policy: SamplingPolicy, out: Transitions) -> None:
        play(
            self.arrays,
            self._tables,
            policy.thresholds,
            policy.row_of_agent,
            out.observations,
            out.actions,
            out.rewards,
        )

    def _check_state(self, state: AuctionState) -> None:
        steps = state.steps[0]
        played = steps - state.sat_out
        lowest, highest = self.reward_bounds
        check_values(
            "game",
            state._asdict(),
            {
                "budget": (0, self.config.budget_max),
                "sat_out": (0, steps),
                "wins": (0, played),
                "prices": (0, self.config.highest_price * state.wins),
                "reward_total": (lowest * played * REWARD_ROUNDING, highest * played * REWARD_ROUNDING),
            },
        )
        if not self._is_everyone(state.order):
            raise ValueError("game state 'order': it must hold every agent once")

    def observation_index(self) -> NDArray[np.int64]:
        return self.arrays.budget.astype(np.int64)

    def observations(self) -> NDArray[np.float32]:
        share = self.arrays.budget / np.float32(self.config.budget_max)
        return np.stack([share, 1 - share], axis=1).astype(np.float32)

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.config.axes

    @property
    def action_features(self) -> dict[str, NDArray[np.int64]]:
        """The bid that an action makes, which is its number."""
        return {"bid": np.arange(self.n_actions)}

    def outcome(self) -> AuctionOutcome:
        state = self.arrays
        steps = int(state.steps[0])
        return AuctionOutcome(
            steps=steps,
            rewards=state.reward_total.copy(),
            counted=steps - state.sat_out,
            wins=state.wins.copy(),
            prices=state.prices.copy(),
        )

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Agents, with what they won and owed per step, and their budget now."""
        outcome = self.outcome()
        steps = max(outcome.steps, 1)
        own = {
            "wins": outcome.wins / steps,
            "prices": outcome.prices / steps,
            "budget": self.observation_index(),
        }
        return {"agents": super().tables()["agents"] | own}

    def distributions(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Which share of the agents has which budget."""
        values, counts = np.unique(self.observation_index(), return_counts=True)
        return {"budget": {"budget": values, "share": counts / self.n_agents}}

    def mean_field(self, *, by_agent: bool = False) -> AuctionMeanField:
        return AuctionMeanField(self.config, self.n_agents if by_agent else 1)

    def scene(self) -> dict[str, Any]:
        """What happened in the last step; nothing yet after reset and after loading a state.

        Returns:
            ``steps`` and ``outcome`` since reset, ``budget[N]`` now, ``budget_max``, ``bid_max``; and of
            the last step ``groups[G, M]`` (of equal bids the first wins), ``bids[N]``, ``rewards[N]`` and
            ``budget_before[N]``.
        """
        n_agents, n_bidders = self.n_agents, self.config.n_bidders
        last = self._last_step or LastStep(
            self.observation_index(), np.zeros(n_agents, np.int64), np.zeros(n_agents, np.float32)
        )
        n_grouped = n_agents - n_agents % n_bidders if self._last_step else 0
        return {
            "steps": int(self.arrays.steps[0]),
            "outcome": self.outcome(),
            "budget": self.observation_index(),
            "budget_max": self.config.budget_max,
            "bid_max": self.config.bid_max,
            "groups": self.arrays.order[:n_grouped].reshape(-1, n_bidders).astype(np.int64),
            "bids": last.actions.astype(np.int64),
            "rewards": last.rewards.copy(),
            "budget_before": last.observations.astype(np.int64),
        }


GAME = AuctionGame
