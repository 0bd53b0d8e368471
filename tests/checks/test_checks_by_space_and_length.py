"""Faults of games with boxes, and of games that end, planted one at a time in small ones, are all caught."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.actions import IllegalActionError, as_actions
from karma_envs.axes import Axis
from karma_envs.checks import GAME_CHECKS, check_game, checks_of
from karma_envs.game import PopulationGame
from karma_envs.numerics.random import fill_uniform
from karma_envs.outcome import Outcome
from karma_envs.transitions import Transitions
from tests.checks import test_checks_games, test_checks_own_game
from tests.checks.broken import Faults, expect_caught
from tests.own_games import (
    ACTIONS,
    OWN_GAMES,
    STARTS,
    DriftGame,
    OneShotGame,
    OwnConfig,
    RoadsGame,
    SprintGame,
)
from tests.test_game import WarmthGame

FAULTS = Faults()
caught_by = FAULTS.caught_by


# --- what is declared ----------------------------------------------------------------------------------


@caught_by("check_declarations", "action_space must be bounded")
class MovesAnywhere(DriftGame):
    def __init__(self, config: OwnConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.action_space = Box(-np.inf, np.inf, (1,), np.float32)


@caught_by("check_declarations", "length must be None or a whole number of at least 1; it is 0")
class OverBeforeItBegins(DriftGame):
    length = 0


@caught_by("check_tables", r"axes of lengths \[4, 4\] must make up all observations")
class ForgetsTheEnd(SprintGame):
    @property
    def axes(self) -> tuple[Axis, ...]:
        return Axis("energy", tuple(range(4))), Axis("steps left", tuple(range(4)))


@caught_by("check_tables", r"action_features\['pace'\] must have a number an action")
class NamesOnePace(SprintGame):
    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        return {"pace": np.zeros(1)}


@caught_by("check_arrays", "observations leave observation_space in step 2")
class LeavesItsSpaceAtTheEnd(DriftGame):
    def observations(self) -> NDArray[np.float32]:
        return super().observations() * np.float32(1 + 3 * self.is_over)


@caught_by("check_arrays", "action_mask must be None where actions are not numbered")
class MasksABox(DriftGame):
    def action_mask(self) -> NDArray[np.int8]:
        return np.ones((self.n_agents, 1), np.int8)


@caught_by("check_reward_bounds", "rewards leave reward_bounds in step 0")
class PaysTooMuch(OneShotGame):
    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        return super().move(actions) * np.float32(4)


@caught_by("check_outcome", r"outcome\(\).place must be declared as total\(\) or now\(\)")
class TellsAnything(DriftGame):
    def outcome(self) -> Outcome:
        return PlacedOutcome(**vars(super().outcome()), place=self.state["place"].astype(np.float64))


@dataclass(frozen=True)
class PlacedOutcome(Outcome):
    place: NDArray[np.float64] = field(kw_only=True)


# --- actions of a box, and of a list without tables -----------------------------------------------------


@caught_by("check_box", "the highest actions of the box are legal, but refused")
class OpenInterval(DriftGame):
    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        if (actions == 1).any():
            raise IllegalActionError("too far")
        return super().move(actions)


@caught_by("check_box", "an action beyond the lowest was accepted")
class Tolerant(DriftGame):
    """Rounding is forgiven, in the wrong place."""

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        taken = self.actions_of(actions)
        near = np.abs(taken) < 1.001
        return super().step(np.where(near, np.clip(taken, -1, 1), taken))


@caught_by("check_box", "an action beyond the lowest was accepted")
class ClipsInStep(OneShotGame):
    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        return super().step(self.admissible(self.actions_of(actions))[0])


@caught_by("check_box", "a refused action changed the state")
class StepsThenRefuses(DriftGame):
    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        self.state["steps"] = self.state["steps"] + 1
        rewards = super().step(actions)
        self.state["steps"] = self.state["steps"] - 1
        return rewards


@caught_by("check_box", "an action outside the box is not clipped to it")
class BackToTheMiddle(DriftGame):
    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        played, replaced = super().admissible(actions)
        if replaced is not None:
            played[replaced] = 0
        return played, replaced


@caught_by("check_box", "admissible must say whose action it replaced")
class ReplacesEverybody(DriftGame):
    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        played, replaced = super().admissible(actions)
        return played, None if replaced is None else np.ones_like(replaced)


@caught_by("check_box", "admissible changed legal actions")
class RoundsWhatIsLegal(DriftGame):
    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        played, replaced = super().admissible(actions)
        return np.round(played, 2), replaced


@caught_by("check_box", "admissible must give a new array")
class HandsActionsBack(DriftGame):
    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        played, replaced = super().admissible(actions)
        return (actions, None) if replaced is None else (played, replaced)


@caught_by("check_box", "actions_of must refuse actions that are not finite")
class NothingIsZero(DriftGame):
    def actions_of(self, values: Any) -> NDArray[Any]:
        return as_actions(np.nan_to_num(values), self.n_agents, self.action_space)


@caught_by("check_legality", "admissible: is action 2 illegal, or not")
class HasAThirdAction(WarmthGame):
    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        below_three = np.where(actions == 2, 1, actions)
        return super().admissible(below_three)


@caught_by("check_legality", "admissible must play 0 in place of -1")
class TakesTheNextAbove(SprintGame):
    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        played, replaced = super().admissible(actions)
        return (played, None) if replaced is None else (np.where(replaced, 1, played), replaced)


@caught_by("check_sample", "sample changed the state")
class SamplesFromItsOwnStreams(DriftGame):
    def sample(self, policy: Any, streams: NDArray[np.uint64]) -> NDArray[Any]:
        fill_uniform(self.state["streams"], ACTIONS, np.empty(1))
        return super().sample(policy, streams)


@caught_by("check_sample", "the same streams give other actions")
class SamplesAnything(OneShotGame):
    def sample(self, policy: Any, streams: NDArray[np.uint64]) -> NDArray[Any]:
        super().sample(policy, streams)
        return np.random.default_rng().random((self.n_agents, 2), np.float32)


@caught_by("check_sample", "sample gave an illegal action")
class SamplesBeyond(DriftGame):
    def sample(self, policy: Any, streams: NDArray[np.uint64]) -> NDArray[Any]:
        return super().sample(policy, streams) * np.float32(2)


@caught_by("check_sample", r"sample must give float32\[6, 1\]")
class SamplesTooFinely(DriftGame):
    def sample(self, policy: Any, streams: NDArray[np.uint64]) -> NDArray[Any]:
        return super().sample(policy, streams).astype(np.float64)


@caught_by("check_exchangeability", "do not fare alike where all play")
class TheFirstStaysAtHome(DriftGame):
    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        return super().move(np.where(np.arange(self.n_agents)[:, None] == 0, 0, actions))


# --- ends and beginnings --------------------------------------------------------------------------------


@caught_by("check_end", "it is over after 2 steps of 3")
class OverTooEarly(DriftGame):
    @property
    def is_over(self) -> bool:
        return self.elapsed >= 2


@caught_by("check_end", "it is not over after 3 steps")
class NeverOver(DriftGame):
    @property
    def is_over(self) -> bool:
        return False


@caught_by("check_end", "elapsed is 0 after 1 steps")
class LosesCount(DriftGame):
    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        rewards = super().step(actions)
        self.state["elapsed"] = self.state["elapsed"] % 1
        return rewards


@caught_by("check_end", "a step after the end must be refused with RuntimeError")
class GoesOn(OneShotGame):
    def check_not_over(self) -> None:
        pass


@caught_by("check_end", "a step after the end changed the state")
class CountsWhatItRefuses(OneShotGame):
    def check_not_over(self) -> None:
        self.state["steps"] = self.state["steps"] + self.is_over
        super().check_not_over()


@caught_by("check_end", r"outcome\(\).steps is 1 after 2 episodes")
class CountsOneEpisode(OneShotGame):
    def begin_anew(self) -> None:
        super().begin_anew()
        self.state["steps"] = np.zeros(1, np.int64)


@caught_by("check_end", "a rollout of 4 steps of a game of 3 gave 4")
class RollsPastTheEnd(DriftGame):
    def rollout(self, policy: Any, n_steps: int, out: Transitions | None = None) -> Transitions:
        first = super().rollout(policy, n_steps, out)
        if len(first) == n_steps:
            return first
        second = super().rollout(policy, n_steps - len(first))
        rows = [
            np.concatenate([getattr(first, name), getattr(second, name)]) for name in ("actions", "rewards")
        ]
        return Transitions(np.concatenate([first.observations, second.observations[1:]]), *rows, ended=True)


@caught_by("check_end", "a rollout of 1 steps of a game of 1 must have ended = True")
class DoesNotSayItEnded(OneShotGame):
    def rollout(self, policy: Any, n_steps: int, out: Transitions | None = None) -> Transitions:
        return replace(super().rollout(policy, n_steps, out), ended=False)


@caught_by("check_rollout", "rollout: ended is True where it goes on")
class AlwaysEnded(RoadsGame):
    def rollout(self, policy: Any, n_steps: int, out: Transitions | None = None) -> Transitions:
        return replace(super().rollout(policy, n_steps, out), ended=True)


@caught_by("check_rollout", "rollout: observations differ in step 3")
class RollsOnFromTheEnd(DriftGame):
    """A rollout after the end takes the clock back, and leaves the agents where they are."""

    def rollout(self, policy: Any, n_steps: int, out: Transitions | None = None) -> Transitions:
        self.state["elapsed"] = self.state["elapsed"] % self.length
        return super().rollout(policy, n_steps, out)


@caught_by("check_beginnings", "draws the same start: 10 episodes of the same actions are the same")
class BeginsAlike(DriftGame):
    """The stream of starts does not advance."""

    def begin_anew(self) -> None:
        first = self.state["streams"][STARTS]
        super().begin_anew()
        self.state["streams"][STARTS] = first


@caught_by("check_beginnings", "begin_anew does not draw from the state: episode 1 of the same seed differs")
class BeginsByItself(OneShotGame):
    def begin_anew(self) -> None:
        super().begin_anew()
        if self.state["steps"][0]:
            self.state.update(self.start(np.random.default_rng().random(self.n_agents)))


@caught_by("check_beginnings", r"outcome\(\).rewards must go on")
class ForgetsRewards(DriftGame):
    def begin_anew(self) -> None:
        super().begin_anew()
        self.state["rewards"] = np.zeros(self.n_agents)


@caught_by("check_outcome", "rewards are not the sums of rewards")
class KeepsTheLastEpisode(SprintGame):
    def begin_anew(self) -> None:
        super().begin_anew()
        self.state["rewards"] = np.zeros(self.n_agents)


@caught_by("check_state", "a state does not tell whether the game is over")
class ForgetsTheTime(OneShotGame):
    """The clock is beside the state."""

    clock = 0

    @property
    def elapsed(self) -> int:
        return self.clock

    def begin_anew(self) -> None:
        super().begin_anew()
        self.clock = 0

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        rewards = super().step(actions)
        self.clock += 1
        return rewards


@caught_by("check_state", "'elapsed' are all -9223372036854775808 must be refused")
class LoadsAnyTime(DriftGame):
    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        if "elapsed" in state and state["elapsed"].dtype == np.int64:
            state = {**state, "elapsed": np.clip(state["elapsed"], 0, 3)}
        super().load_state_dict(state)


# --- the checks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("check", "broken", "message"), FAULTS)
def test_a_fault_is_caught(check: str, broken: type[PopulationGame], message: str) -> None:
    assert check in {each.__name__ for each in checks_of(broken())}
    expect_caught(GAME_CHECKS, check, broken(), message)


@pytest.mark.parametrize("game", [*OWN_GAMES, WarmthGame])
def test_games_without_a_fault_pass(game: type[PopulationGame]) -> None:
    check_game(game())


def test_every_check_has_caught_something() -> None:
    caught = FAULTS.checks | test_checks_games.FAULTS.checks | test_checks_own_game.FAULTS.checks
    assert caught == {check.__name__ for check in GAME_CHECKS}


def test_which_checks_apply() -> None:
    """Every check applies to one of these, and each kind of game has some that others have not."""
    names = {
        game: {check.__name__ for check in checks_of(game())}
        for game in (DriftGame, RoadsGame, SprintGame, WarmthGame)
    }
    assert set.union(*names.values()) == {check.__name__ for check in GAME_CHECKS}
    assert names[DriftGame] - names[RoadsGame] == {"check_box", "check_end", "check_beginnings"}
    assert names[SprintGame] - names[RoadsGame] == {"check_end", "check_beginnings"}
    tables = {"check_tables", "check_observations", "check_policies", "check_draws"}
    assert names[RoadsGame] - names[WarmthGame] == tables
    assert names[WarmthGame] - names[DriftGame] == {"check_legality"}
