"""Every check of parallel environments is shown to catch environments that were broken on purpose."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from karma_envs.checks import PARALLEL_ENV_CHECKS, CheckError, check_parallel_env
from karma_envs.game import IllegalActionError
from karma_envs.games.matching import MatchingGame
from karma_envs.views.parallel import PopulationParallelEnv
from tests.checks.broken import Faults, expect_caught
from tests.own_games import DriftGame

FAULTS = Faults()
caught_by = FAULTS.caught_by


class Env(PopulationParallelEnv):
    """The real environment, of the matching game, with the arguments that the tests use."""

    def __init__(self, game=MatchingGame, **kwargs):
        super().__init__(game, **{"n_agents": 6, "max_cycles": 10, **kwargs})


@caught_by("check_names", "alphabetical order")
class Unpadded(Env):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "n_agents": 12})
        self._index = {f"player_{agent}": agent for agent in range(12)}
        self._names = tuple(self._index)
        self.possible_agents = list(self._names)


@caught_by("check_names", "a list of its own")
class SameList(Env):
    def reset(self, seed=None, options=None):
        result = super().reset(seed, options)
        self.agents = self.possible_agents
        return result


@caught_by("check_spaces", "the same object each time")
class NewSpaces(Env):
    def action_space(self, agent):
        return self._new_action_space()


@caught_by("check_spaces", "two environments must not share")
class SharedSpaces(Env):
    cached = {}

    def action_space(self, agent):
        return self.cached.setdefault(agent, Discrete(21))


@caught_by("check_spaces", "two agents must not share")
class OneSpace(Env):
    def action_space(self, agent):
        return super().action_space("player_000")


@caught_by("check_spaces", "outside its space")
class WideObservationsEnv(Env):
    def _observed(self):
        observations, infos = super()._observed()
        return {agent: row * 2 for agent, row in observations.items()}, infos


@caught_by("check_masks", r"action_mask must be int8\[21\]; found bool")
class BoolMasks(Env):
    def _observed(self):
        observations, infos = super()._observed()
        for info in infos.values():
            info["action_mask"] = info["action_mask"] == 1
        return observations, infos


@caught_by("check_masks", "a legal action was flagged")
class FlagsAll(Env):
    def _observed(self):
        observations, infos = super()._observed()
        return observations, {agent: {**info, "illegal_action": False} for agent, info in infos.items()}


class ChangedStep(Env):
    """Changes what ``step`` returns."""

    def step(self, actions):
        return self.changed(*super().step(actions))


@caught_by("check_values", "Python floats")
class NumpyRewards(ChangedStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        rewards = {agent: np.float32(reward) for agent, reward in rewards.items()}
        return observations, rewards, terminations, truncations, infos


@caught_by("check_values", "Python bools")
class NumpyFlags(ChangedStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        truncations = {agent: np.bool_(flag) for agent, flag in truncations.items()}
        return observations, rewards, terminations, truncations, infos


@caught_by("check_values", "in their order")
class Disorder(ChangedStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        return observations, dict(reversed(rewards.items())), terminations, truncations, infos


@caught_by("check_values", "no strings")
class Strings(ChangedStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        for info in infos.values():
            info["outcome"] = "lost"
        return observations, rewards, terminations, truncations, infos


@caught_by("check_values", "at most action_mask")
class Talkative(Env):
    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed, options)
        return observations, {agent: {**info, "step": 0} for agent, info in infos.items()}


@caught_by("check_end", "terminated at once when the game is over, and nobody else")
class Terminates(ChangedStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        return observations, rewards, truncations, terminations, infos


@caught_by("check_end", "TimeLimit.truncated must be True")
class SilentHorizon(ChangedStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        for info in infos.values():
            info.pop("TimeLimit.truncated", None)
        return observations, rewards, terminations, truncations, infos


@caught_by("check_end", "an episode of 1 steps has 2")
class OneMore(Env):
    @property
    def _at_horizon(self):
        return self._steps > self.max_cycles


@caught_by("check_fresh", "changed")
class SameFlags(ChangedStep):
    flags = {}

    def changed(self, observations, rewards, terminations, truncations, infos):
        for agent in terminations:
            self.flags.setdefault(agent, False)
        return observations, rewards, self.flags, truncations, infos


@caught_by("check_fresh", "changed")
class SameRows(Env):
    rows = None

    def _observed(self):
        observations, infos = super()._observed()
        if self.rows is None:
            self.rows = observations
        for agent, row in observations.items():
            self.rows[agent][:] = row
        return dict(self.rows), infos


@caught_by("check_seeds", "two environments without seeds")
class AlwaysSeeded(Env):
    def reset(self, seed=None, options=None):
        return super().reset(seed or 0, options)


@caught_by("check_seeds", "without a seed repeated")
class RepeatsTheSeed(Env):
    last = 0

    def reset(self, seed=None, options=None):
        self.last = self.last if seed is None else seed
        return super().reset(self.last, options)


@caught_by("check_seeds", "two environments without seeds")
class GeneratorFromTheStart(Env):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._np_random = np.random.default_rng(0)


@caught_by("check_seeds", "a later reset without a seed did")
class ForgetsTheSeed(Env):
    def reset(self, seed=None, options=None):
        if seed is None:
            self._np_random = None
        return super().reset(seed, options)


@caught_by("check_copies", "must keep max_cycles")
class CopiesArguments(Env):
    def __reduce__(self):
        return type(self), ()


@caught_by("check_copies", "must be where the original is")
class CopiesBetweenEpisodes(Env):
    def __getstate__(self):
        return {**super().__getstate__(), "agents": []}


@caught_by("check_copies", "must go on as the original would")
class SharesTheGame(Env):
    def __deepcopy__(self, memo):
        shared = object.__new__(type(self))
        shared.__dict__.update(self.__dict__)
        return shared


@caught_by("check_copies", "must go on as the original would")
class NewRandomNumbers(Env):
    def __setstate__(self, state):
        self.__dict__.update(state, _np_random=None)


@caught_by("check_illegal_actions", "a refused action must change nothing")
class StepsAndRefuses(Env):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs, strict=True)

    def step(self, actions):
        try:
            return super().step(actions)
        except IllegalActionError:
            super().step(dict.fromkeys(actions, 0))
            raise


@caught_by("check_illegal_actions", "not replaced by the nearest legal")
class BidsNothing(Env):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        legal = self.game.legal_actions
        self.game._highest_legal = np.where(legal, self.game._highest_legal, 0)


@caught_by("check_illegal_actions", "illegal_action must be True")
class NoFlag(ChangedStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        for info in infos.values():
            info.pop("illegal_action", None)
        return observations, rewards, terminations, truncations, infos


@caught_by("check_action_types", "must be refused")
class Rounds(Env):
    def _ordered(self, actions):
        return super()._ordered({agent: int(np.ravel(action)[0]) for agent, action in actions.items()})


@caught_by("check_action_types", "must be refused")
class FillsIn(Env):
    def _ordered(self, actions):
        return super()._ordered({**dict.fromkeys(self._names, 0), **actions})


@caught_by("check_state", "float32")
class WideState(Env):
    def state(self):
        return super().state().astype(np.float64)


@caught_by("check_state", "bounded")
class UnboundedState(Env):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.state_space = Box(-np.inf, np.inf, self.state_space.shape)


class MovingEnv(PopulationParallelEnv):
    """The real environment of a game with boxes that is over after three steps."""

    def __init__(self, game=DriftGame, **kwargs):
        super().__init__(game, **kwargs)


class ChangedMovingStep(MovingEnv):
    """Changes what ``step`` returns."""

    def step(self, actions):
        return self.changed(*super().step(actions))


@caught_by("check_end", "terminated at once when the game is over")
class TruncatesTheEnd(ChangedMovingStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        return observations, rewards, truncations, terminations, infos


@caught_by("check_end", "truncated at once at the horizon, and nobody else")
class EndsTwice(ChangedMovingStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        return observations, rewards, terminations, dict(terminations), infos


@caught_by("check_end", r"TimeLimit.truncated must be True at the horizon, and else absent")
class CallsTheEndALimit(ChangedMovingStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        for agent, info in infos.items():
            info["TimeLimit.truncated"] = terminations[agent]
        return observations, rewards, terminations, truncations, infos


@caught_by("check_end", "an episode of 3 steps has 6")
class PlaysOnAfterTheEnd(MovingEnv):
    """Begins the game anew in place of ending the episode."""

    def step(self, actions):
        if self.game.is_over:
            self.game.begin_anew()
        result = super().step(actions)
        if self._steps == 3:
            self.agents = list(self.possible_agents)
        return result


@caught_by("check_end", "max_cycles = 2 must be refused")
class AnyHorizon(MovingEnv):
    max_cycles = 3


@caught_by("check_end", "terminated at once when the game is over, and nobody else")
class LeavesOneAlive(ChangedMovingStep):
    def changed(self, observations, rewards, terminations, truncations, infos):
        return observations, rewards, {**terminations, "player_003": False}, truncations, infos


@caught_by("check_masks", "no action_mask where actions are not numbered")
class MasksABox(MovingEnv):
    def _observed(self):
        observations, infos = super()._observed()
        return observations, {agent: {"action_mask": np.ones(1, np.int8)} for agent in infos}


@caught_by("check_illegal_actions", "not replaced by the nearest legal one")
class BackToTheMiddle(MovingEnv):
    def _advance(self, actions):
        rewards, illegal = super()._advance(np.where(np.abs(actions) > 1, 0, actions).astype(np.float32))
        outside = np.abs(actions[:, 0]) > 1
        return rewards, outside if outside.any() else illegal


@caught_by("check_illegal_actions", "a refused action must change nothing")
class MovesAndRefuses(MovingEnv):
    def __init__(self, **kwargs):
        super().__init__(**kwargs, strict=True)

    def step(self, actions):
        try:
            return super().step(actions)
        except IllegalActionError:
            self.game.step(np.zeros((6, 1), np.float32))
            raise


@caught_by("check_action_types", "the type of an action, or their order")
class ReadsFloat32Only(MovingEnv):
    def _ordered(self, actions):
        chosen = {
            agent: action if getattr(action, "dtype", None) == np.float32 else np.ones(1, np.float32)
            for agent, action in actions.items()
        }
        return super()._ordered(chosen)


@caught_by("check_action_types", "infinite, misshapen .* must be refused")
class NaNIsZero(MovingEnv):
    def _ordered(self, actions):
        return super()._ordered({agent: np.nan_to_num(action) for agent, action in actions.items()})


@pytest.mark.parametrize(("check", "broken", "message"), FAULTS)
def test_broken_environment_is_caught(check, broken, message):
    expect_caught(PARALLEL_ENV_CHECKS, check, broken(), message)
    with pytest.raises(CheckError):
        check_parallel_env(broken())


def test_every_check_has_caught_something():
    assert FAULTS.checks == {check.__name__ for check in PARALLEL_ENV_CHECKS}


@pytest.mark.parametrize("env", [Env, MovingEnv])
def test_what_is_not_broken_passes(env):
    check_parallel_env(env())
