"""Every check of games is shown to catch games that were broken on purpose."""

import numpy as np
import pytest
from gymnasium.spaces import Box

from karma_envs.baselines import PlayedPolicy
from karma_envs.checks import GAME_CHECKS, CheckError, check_game
from karma_envs.game import IllegalActionError
from karma_envs.games.matching import MatchingGame
from karma_envs.outcome import EFFICIENCY
from tests.checks.broken import Faults, expect_caught

FAULTS = Faults()
caught_by = FAULTS.caught_by


@caught_by("check_tables", "action 0 must be legal")
class NothingLegal(MatchingGame):
    def __init__(self, config=None, **fields):
        super().__init__(config, **fields)
        self.legal_actions = self.legal_actions.copy()
        self.legal_actions[3, 0] = False


@caught_by("check_declarations", r"type_of_agent must be uint8\[6\]; found int64\[6\]")
class WideTypes(MatchingGame):
    def __init__(self, config=None, **fields):
        super().__init__(config, **fields)
        self.type_of_agent = self.type_of_agent.astype(np.int64)


@caught_by("check_declarations", "the smallest reward must be at most the largest")
class SwappedBounds(MatchingGame):
    def __init__(self, config=None, **fields):
        super().__init__(config, **fields)
        self.reward_bounds = self.reward_bounds[::-1]


@caught_by("check_declarations", "observation_space must be bounded where observations are numbered")
class Unbounded(MatchingGame):
    def __init__(self, config=None, **fields):
        super().__init__(config, **fields)
        self.observation_space = Box(0, np.inf, (2,), np.float32)


@caught_by("check_baselines", r"baselines\['boast'\]: policy row 0 takes action 20 in observation 0")
class Boaster(MatchingGame):
    baselines = {
        **MatchingGame.baselines,
        "boast": lambda game: game.policy_of(np.eye(game.n_actions)[[[-1] * game.n_observations]]),
    }


@caught_by("check_baselines", "baselines must have random")
class NothingRandom(MatchingGame):
    baselines = {}


@caught_by(
    "check_baselines", r"metrics must have names of their own; they are \['efficiency', 'efficiency'\]"
)
class MeasuresTwice(MatchingGame):
    metrics = (EFFICIENCY, EFFICIENCY)


@caught_by("check_baselines", r"references\(\)\['smaller'\]: .* rows for 6 agents; the game has 5")
class ComparesWithOthers(MatchingGame):
    def references(self):
        return {"smaller": (MatchingGame(n_agents=5), self.uniform_policy())}


@caught_by("check_arrays", r"observations must be float32\[6, 2\]; found float64")
class WideObservations(MatchingGame):
    def observations(self):
        return super().observations().astype(np.float64)


@caught_by("check_arrays", "observations leave observation_space")
class LargeObservations(MatchingGame):
    def observations(self):
        return super().observations() * np.float32(2)


@caught_by("check_arrays", "observation_index leaves")
class LargeIndex(MatchingGame):
    def observation_index(self):
        return super().observation_index() + 21 * (self.arrays.steps[0] > 50)

    def action_mask(self):
        return self.legal_actions.view(np.int8)[super().observation_index()]


@caught_by("check_reward_bounds", "rewards leave")
class Harsh(MatchingGame):
    def step(self, actions):
        return super().step(actions) * np.float32(1.01)


@caught_by("check_reward_bounds", "rewards leave")
class NotANumber(MatchingGame):
    def step(self, actions):
        return super().step(actions) + np.float32(np.nan)


@caught_by("check_observations", "action_mask is not legal_actions")
class OpenMask(MatchingGame):
    def action_mask(self):
        return np.ones_like(super().action_mask())


@caught_by("check_legality", "is illegal by the mask, but accepted")
class Clipping(MatchingGame):
    def step(self, actions):
        return super().step(np.clip(actions, 0, self.arrays.karma))


@caught_by("check_legality", "legal.*refused")
class Miser(MatchingGame):
    def step(self, actions):
        if np.max(actions) > 5:
            raise IllegalActionError("too much")
        return super().step(actions)


@caught_by("check_legality", "a refused action changed the state")
class Hasty(MatchingGame):
    def step(self, actions):
        self.arrays.steps[0] += 1
        rewards = super().step(actions)
        self.arrays.steps[0] -= 1
        return rewards


@caught_by("check_legality", "wrong shape or dtype must be refused")
class Lenient(MatchingGame):
    def step(self, actions):
        return super().step(np.asarray(actions).astype(int))


@caught_by("check_determinism", "two games with the same seed")
class Unseeded(MatchingGame):
    def reset(self, rng):
        super().reset(np.random.default_rng())


@caught_by("check_determinism", "a game that was reset with the same seed")
class Forgetless(MatchingGame):
    """Reset leaves the streams of the episode before."""

    def reset(self, rng):
        streams = self._state and self.arrays.streams.copy()
        super().reset(rng)
        if streams is not None:
            self.arrays.streams[:] = streams


@caught_by("check_determinism", "the seed changes nothing")
class Monotonous(MatchingGame):
    def reset(self, rng):
        super().reset(np.random.default_rng(0))


@caught_by("check_independence", "reset from one generator play the same episode")
class Copycat(MatchingGame):
    """Its seed comes from a generator that it does not advance."""

    def reset(self, rng):
        super().reset(np.random.default_rng(rng.bit_generator.state["state"]["state"] % 2**32))


@caught_by("check_independence", "a game played in turn with another one")
class SharedStreams(MatchingGame):
    shared = np.zeros(5, np.uint64)

    def reset(self, rng):
        super().reset(rng)
        self.shared[:] = self.arrays.streams
        self._state = self.arrays._replace(streams=self.shared)


@caught_by("check_buffers", "arrays kept from earlier steps: observations")
class OneBuffer(MatchingGame):
    buffer = None

    def observations(self):
        if self.buffer is None:
            self.buffer = super().observations()
        self.buffer[:] = super().observations()
        return self.buffer


@caught_by("check_buffers", "whose arrays were written into")
class LiveState(MatchingGame):
    def state_dict(self):
        return self.arrays._asdict()


@caught_by("check_buffers", "must be writable")
class ReadOnly(MatchingGame):
    def action_mask(self):
        mask = super().action_mask()
        mask.flags.writeable = False
        return mask


@caught_by("check_buffers", "whose arrays were written into")
class KeepsActions(MatchingGame):
    """Rewards depend on the actions before, of which it made no copy."""

    kept = 0

    def step(self, actions):
        rewards = super().step(actions) - np.asarray(self.kept, np.float32)
        self.kept = actions
        return rewards


@caught_by("check_state", "continues from a state")
class LosesStreams(MatchingGame):
    def state_dict(self):
        return {**super().state_dict(), "streams": np.zeros(5, np.uint64)}


@caught_by("check_state", "load_state_dict did not take the state over")
class LoadsNothing(MatchingGame):
    def load_state_dict(self, state):
        if self._state is None:
            self.reset(np.random.default_rng(0))


@caught_by("check_state", "must be refused with ValueError")
class LoadsAnything(MatchingGame):
    def load_state_dict(self, state):
        current = {} if self._state is None else super().state_dict()
        known = {name: array for name, array in state.items() if array.dtype != np.complex64}
        super().load_state_dict({**current, **known})


@caught_by("check_rollout", "rollout: rewards differ")
class ShiftedRewards(MatchingGame):
    def rollout(self, policy, n_steps, out=None):
        transitions = super().rollout(policy, n_steps, out)
        transitions.rewards[:] = np.roll(transitions.rewards, 1, axis=0)
        return transitions


@caught_by("check_rollout", "rollout: ")
class OneStream(MatchingGame):
    """Actions are drawn from the stream that ties are drawn from."""

    def rollout(self, policy, n_steps, out=None):
        self.arrays.streams[1] += np.uint64(1)
        return super().rollout(policy, n_steps, out)


@caught_by("check_policies", "illegal ones with PolicyError")
class PlaysAnything(MatchingGame):
    def check_policy(self, policy):
        if policy.thresholds.shape[1:] != (self.n_observations, 32) or policy.row_of_agent.max() > 0:
            super().check_policy(policy)


@caught_by("check_rollout", "n_steps is not respected")
class FillsTheBuffer(MatchingGame):
    def rollout(self, policy, n_steps, out=None):
        return super().rollout(policy, n_steps if out is None else len(out), out)


@caught_by("check_rollout", "rollout: outcome")
class NoTotals(MatchingGame):
    def rollout(self, policy, n_steps, out=None):
        transitions = super().rollout(policy, n_steps, out)
        self.arrays.accesses[:] = 0
        return transitions


@caught_by("check_observations", "observations differ where observation_index is the same")
class Clock(MatchingGame):
    def observations(self):
        return super().observations() * np.float32(self.arrays.steps[0] % 2)


@caught_by("check_draws", "does not play the row that row_of_agent names")
class OneRow(MatchingGame):
    def rollout(self, policy, n_steps, out=None):
        return super().rollout(PlayedPolicy(policy.thresholds, policy.row_of_agent * 0), n_steps, out)


@caught_by("check_outcome", r"outcome\(\).accesses must be 0 after reset")
class HeadStart(MatchingGame):
    def _fresh_state(self, rng):
        state = super()._fresh_state(rng)
        state.accesses[0] = 1
        return state


@caught_by("check_conservation", "karma is not conserved: 60 after reset, 59 after")
class Leak(MatchingGame):
    """One unit is lost when somebody is at the cap."""

    def _settle(self, actions, rewards):
        super()._settle(actions, rewards)
        self.arrays.karma[self.arrays.karma.argmax()] -= self.arrays.karma.max() == 20


@caught_by("check_exchangeability", "where all play .*agent 0 has (karma|rewards)")
class FirstComeFirstServed(MatchingGame):
    """The first agent begins with the karma of the second besides its own."""

    def _fresh_state(self, rng):
        state = super()._fresh_state(rng)
        state.karma[:2] = state.karma[:2].sum(), 0
        return state


@pytest.mark.parametrize(("check", "broken", "message"), FAULTS)
def test_broken_game_is_caught(check, broken, message):
    expect_caught(GAME_CHECKS, check, broken(n_agents=6), message)
    with pytest.raises(CheckError):
        check_game(broken(n_agents=6))


def test_what_is_not_broken_passes():
    check_game(MatchingGame(n_agents=6))
