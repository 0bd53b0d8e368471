"""Faults that a game of one's own may have, planted one at a time in a small one, are all caught."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from karma_envs.baselines import PlayedPolicy
from karma_envs.checks import GAME_CHECKS, check_game
from karma_envs.karma.outcome import KarmaOutcome
from karma_envs.numerics.random import next_below
from karma_envs.numerics.sampling import sample_actions
from karma_envs.states import check_arrays
from karma_envs.transitions import Transitions
from tests.checks.broken import Faults, expect_caught
from tests.checks.pot_game import CAP, PotConfig, PotGame

FAULTS = Faults()
must_be_caught = FAULTS.caught_by


# --- karma that is lost or made -----------------------------------------------------------------------


@must_be_caught("check_conservation", "karma is not conserved: 10 after reset")
class Burns(PotGame):
    """What nobody has room for is lost."""

    def deal(self) -> None:
        super().deal()
        self.s["pot"][0] = 0

    def pay(self, bids: Any) -> None:
        super().pay(bids)
        self.s["pot"][0] -= bids.all()


@must_be_caught("check_conservation", "karma is not conserved: 10 after reset, 11 after step 0")
class Mints(PotGame):
    def deal(self) -> None:
        self.s["pot"] += 1
        super().deal()


@must_be_caught("check_conservation", "karma is not conserved")
class RarelyLeaks(PotGame):
    """Only when all bid, which random actions seldom do: found by playing the highest action."""

    def pay(self, bids: Any) -> None:
        self.s["karma"] -= bids.astype(np.int16)
        self.s["pot"] += min(bids.sum(), self.n_agents - 1)


@must_be_caught("check_conservation", r"agents hold karma: conserved\(\) must say")
class DeclaresNothing(PotGame):
    def conserved(self) -> Any:
        return {}


@must_be_caught("check_conservation", "conserved")
class DeclaresNaN(PotGame):
    def conserved(self) -> Any:
        return {"karma": float("nan")}


@must_be_caught("check_arrays", "observation_index leaves")
class Wraps(PotGame):
    """Karma in 8 bits without a sign, paid by who has none."""

    def reset(self, rng: np.random.Generator) -> None:
        super().reset(rng)
        self.s["karma"] = self.s["karma"].astype(np.uint8)

    def pay(self, bids: Any) -> None:
        self.s["karma"] -= np.uint8(1)
        self.s["pot"] += self.n_agents


# --- numbers of agents that matter ---------------------------------------------------------------------


@must_be_caught("check_exchangeability", "do not fare alike where all play")
class TiesToTheFirst(PotGame):
    def winner(self, contestants: Any) -> int:
        return int(contestants[0])


@must_be_caught("check_exchangeability", "do not fare alike where all play")
class TiesToTheLast(PotGame):
    def winner(self, contestants: Any) -> int:
        return int(contestants[-1])


@must_be_caught("check_exchangeability", "do not fare alike where all play")
class LoadedCoin(PotGame):
    """The first of the tied wins with twice the probability of any other."""

    def winner(self, contestants: Any) -> int:
        return int(contestants[max(next_below(self.s["streams"], 0, len(contestants) + 1) - 1, 0)])


@must_be_caught("check_exchangeability", "do not fare alike where all play")
class NeverTheLast(PotGame):
    def winner(self, contestants: Any) -> int:
        return super().winner(contestants[:-1] if len(contestants) > 1 else contestants)


@must_be_caught("check_exchangeability", "agent .* has (karma|rewards|accesses)")
class DealsInOrder(PotGame):
    """What is left over goes to the agents with the lowest numbers."""

    def receiver(self, with_room: Any) -> int:
        return int(with_room[0])


@must_be_caught("check_exchangeability", "do not fare alike where all play")
class OneAfterTheOther(PotGame):
    """What an agent pays reaches those after it in the same step: who comes late can bid more often."""

    def pay(self, bids: Any) -> None:
        for agent in np.flatnonzero(bids):
            self.s["karma"][agent] -= 1
            later = np.flatnonzero(self.s["karma"][agent + 1 :] < CAP)
            if len(later):
                self.s["karma"][agent + 1 + later[0]] += 1
            else:
                self.s["pot"] += 1


# --- totals that do not add up ------------------------------------------------------------------------


@must_be_caught("check_outcome", r"outcome\(\).accesses must be 0 after reset")
class ResetKeepsAccesses(PotGame):
    def reset(self, rng: np.random.Generator) -> None:
        kept = self.s.get("accesses")
        super().reset(rng)
        if kept is not None:
            self.s["accesses"] = kept


@must_be_caught("check_determinism", "reset after . steps leaves something")
class ResetKeepsThePot(PotGame):
    def reset(self, rng: np.random.Generator) -> None:
        kept = self.s.get("pot")
        super().reset(rng)
        if kept is not None:
            self.s["pot"] = kept

    def deal(self) -> None:
        if self.s["pot"][0] > 2:
            super().deal()


@must_be_caught("check_outcome", r"went down|more accesses than contests")
class CountsInEightBits(PotGame):
    def reset(self, rng: np.random.Generator) -> None:
        super().reset(rng)
        self.s["contests"] = self.s["contests"].astype(np.uint8)


@must_be_caught("check_outcome", r"outcome\(\).rewards are not the sums of rewards")
class CountsHalfTheRewards(PotGame):
    def outcome(self) -> KarmaOutcome:
        self_outcome = super().outcome()
        self_outcome.rewards[:] = np.ceil(self_outcome.rewards / 2)
        return self_outcome


@must_be_caught("check_outcome", r"outcome\(\).steps is")
class CountsStepsTwice(PotGame):
    def outcome(self) -> KarmaOutcome:
        outcome = super().outcome()
        return replace(outcome, steps=outcome.steps * 2)


@must_be_caught("check_outcome", r"outcome\(\).accesses must be int64\[5\]; found float64")
class FloatsForCounts(PotGame):
    def outcome(self) -> KarmaOutcome:
        outcome = super().outcome()
        return replace(outcome, accesses=outcome.accesses * 1.0)


# --- rollouts that are not what they should be ---------------------------------------------------------


@must_be_caught("check_draws", "does not play the row that row_of_agent names")
class EverybodyPlaysTheFirstRow(PotGame):
    def draw(self, policy: Any, observed: Any, actions: Any) -> None:
        super().draw(PlayedPolicy(policy.thresholds, policy.row_of_agent * 0), observed, actions)


@must_be_caught("check_draws", "not drawn independently")
class OneDrawForAll(PotGame):
    def draw(self, policy: Any, observed: Any, actions: Any) -> None:
        streams = self.s["streams"]
        before = streams[2]
        for agent in range(self.n_agents):
            streams[2] = before
            sample_actions(
                policy.thresholds, policy.row_of_agent[agent : agent + 1], observed[agent : agent + 1],
                streams, 2, actions[agent : agent + 1],
            )  # fmt: skip


@must_be_caught("check_draws", "not drawn with the policy's probabilities")
class TheSameDrawInEveryStep(PotGame):
    def draw(self, policy: Any, observed: Any, actions: Any) -> None:
        before = self.s["streams"][2]
        super().draw(policy, observed, actions)
        self.s["streams"][2] = before


@must_be_caught("check_draws", "not drawn with the policy's probabilities")
class Hesitates(PotGame):
    """Bids half as often as the policy says, but always where it says always."""

    def draw(self, policy: Any, observed: Any, actions: Any) -> None:
        super().draw(policy, observed, actions)
        second = actions.copy()
        super().draw(policy, observed, second)
        np.minimum(actions, second, out=actions)


@must_be_caught("check_rollout", "rollout: rewards differ")
class RolloutOfAnotherRule(PotGame):
    """The compiled twin of step breaks ties otherwise."""

    rolling = False

    def winner(self, contestants: Any) -> int:
        fair = super().winner(contestants)
        return int(contestants[0]) if self.rolling else fair

    def rollout(self, policy: Any, n_steps: int, out: Transitions | None = None) -> Transitions:
        self.rolling = True
        played = super().rollout(policy, n_steps, out)
        self.rolling = False
        return played


@must_be_caught("check_policies", "the policy was changed")
class WritesIntoThePolicy(PotGame):
    def draw(self, policy: Any, observed: Any, actions: Any) -> None:
        super().draw(policy, observed, actions)
        policy.thresholds[-1, 0, 1] -= np.uint16(1)


@must_be_caught("check_rollout", r"wrote into steps of out beyond n_steps")
class WritesBeyond(PotGame):
    def rollout(self, policy: Any, n_steps: int, out: Transitions | None = None) -> Transitions:
        played = super().rollout(policy, n_steps, out)
        if out is not None:
            out.rewards[n_steps:] = 0
        return played


# --- arrays, observations, states ----------------------------------------------------------------------


@must_be_caught("check_arrays", "step changed the actions that it was given")
class EatsActions(PotGame):
    def step(self, actions: Any) -> Any:
        rewards = super().step(actions)
        actions[...] = 0
        return rewards


@must_be_caught("check_observations", "observations differ where observation_index is the same")
class SeesMoreThanItsIndex(PotGame):
    def observations(self) -> Any:
        return super().observations() * np.float32(1 - self.s["pot"][0] / 100 - self.s["steps"][0] % 2 / 2)


@must_be_caught("check_observations", "not reachable")
class ReachesMore(PotGame):
    def reachable(self) -> Any:
        return super().reachable() & (np.arange(CAP + 1) < CAP)


@must_be_caught("check_state", r"'karma' are all -32768 must be refused")
class LoadsDebts(PotGame):
    def load_state_dict(self, state: Any) -> None:
        if not self.s:
            self.reset(np.random.default_rng(0))
        check_arrays("pot", state, self.s)
        self.s = {name: array.copy() for name, array in state.items()}


@must_be_caught("check_state", r"'rewards' are all nan must be refused")
class LoadsNaN(PotGame):
    def load_state_dict(self, state: Any) -> None:
        rewards = state.get("rewards", np.zeros(0))
        super().load_state_dict({**state, "rewards": np.nan_to_num(rewards)} if "rewards" in state else state)
        self.s["rewards"] = rewards.copy()


@must_be_caught("check_tables", "n_observations must be 1 to 65535; it is 70000")
class TooManyObservations(PotGame):
    def __init__(self, config: PotConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.n_observations = 70_000
        self.legal_actions = np.ones((70_000, 2), bool)


def test_the_game_without_a_fault_passes() -> None:
    check_game(PotGame())


@pytest.mark.parametrize(("check", "broken", "message"), FAULTS)
def test_a_fault_in_a_game_of_ones_own_is_caught(check: str, broken: type[PotGame], message: str) -> None:
    expect_caught(GAME_CHECKS, check, broken(), message)
