"""Coalitions whose members recognise each other, and others who respond to a coalition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import agents
from agents.coalitions.model import CoalitionModel
from agents.coalitions.optimum import members_weights
from agents.coalitions.recognised import look_ahead
from agents.coalitions.response import RespondedGain, ResponseRound
from agents.coalitions.told import ToldModel
from agents.mean_field.units import InUnits
from agents.solvers.equilibrium import Equilibrium, assess
from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingConfig, MatchingGame
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.games.matching.recognition import RecognisingMeanField
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.numerics.sampling import softmax


def small(**fields: Any) -> MatchingMeanField:
    return MatchingMeanField(MatchingConfig(**{"karma_max": 4, "karma_mean": 2, "discount": 0.9, **fields}))


@pytest.fixture(scope="module")
def model() -> MatchingMeanField:
    return small()


@pytest.fixture(scope="module")
def equilibrium(model: MatchingMeanField) -> Equilibrium:
    return agents.solve(model)


@pytest.mark.parametrize("payment", ["pbp", "pbs", "pbp_capped"])
def test_a_step_towards_a_better_agreement_gains_what_is_said(payment: str) -> None:
    coalition = RecognisingMeanField(small(payment=payment, redistribution="tax"), 0.4)
    scores = np.random.default_rng(5).normal(size=(2, *coalition.legal_actions.shape))
    policy = softmax(np.where(coalition.legal_actions, scores, -np.inf))
    coalition = coalition.agreeing(coalition.urgent_first(4))  # a bad one: the more urgent one bids all
    own = InUnits(coalition, 5.0)
    ahead = look_ahead(coalition, own, assess(own, policy), members_weights(coalition))
    share = 1e-5
    moved = coalition.agreeing(coalition.agreement.towards(ahead.agreement, share))
    rise = (moved.efficiency(policy)[1] - coalition.efficiency(policy)[1]) / 5.0 / share
    assert ahead.gap_of_agreement > 1e-3
    assert rise == pytest.approx(ahead.gap_of_agreement, rel=1e-3)


def test_who_recognises_hardly_anyone_gains_what_a_single_agent_gains(
    model: MatchingMeanField, equilibrium: Equilibrium
) -> None:
    gain = agents.coalition_gain(model, equilibrium.policy, 1e-6, recognise=True, starts=1)
    assert gain.stationary
    assert gain.gain.value == pytest.approx(gain.gain_alone, abs=5e-5)
    assert gain.cost_to_others.value == pytest.approx(0.0, abs=1e-6)


def test_all_who_recognise_each_other_come_near_to_the_dictator() -> None:
    # A dictator lets the more urgent one through, which costs (1 + 1 + 1 + 5) / 4 / 2 = 1 a step. Members can
    # say so by a bid wherever the more urgent one has any karma.
    model = small(karma_max=8, karma_mean=4)
    gain = agents.coalition_gain(model, uniform_policy(model), 1.0, recognise=True, starts=1)
    assert gain.stationary
    assert -1.01 < gain.efficiency.value < -1.0
    assert gain.agreement is not None
    assert np.isnan(gain.cost_to_others.value)


def test_the_agreement_is_better_than_any_price_for_the_more_urgent(
    model: MatchingMeanField, equilibrium: Equilibrium
) -> None:
    strangers = agents.coalition_gain(model, equilibrium.policy, 0.3, starts=1)
    friends = agents.coalition_gain(model, equilibrium.policy, 0.3, recognise=True, starts=1)
    assert friends.gain.value > strangers.gain.value
    assert "recognise each other" in str(friends.meaning)
    policy = np.concatenate([equilibrium.policy.probabilities, friends.policy.probabilities])
    coalition = RecognisingMeanField(model, 0.3)
    assert friends.agreement is not None
    agreements = [coalition.urgent_first(price) for price in range(5)]
    members = [
        coalition.agreeing(agreement).efficiency(policy)[1] for agreement in (friends.agreement, *agreements)
    ]
    assert members[0] - equilibrium.efficiency == pytest.approx(friends.gain.value, abs=1e-9)
    assert members[0] > max(members[1:]) + 1e-4


def test_an_equilibrium_is_one_of_outsiders_whose_members_play_it_too(
    model: MatchingMeanField, equilibrium: Equilibrium
) -> None:
    coalition = CoalitionModel(model, 0.3)
    policy = np.tile(equilibrium.policy.probabilities, (2, 1, 1))
    told = ToldModel(coalition, policy, coalition.members)
    # Whatever members are said to choose, they play their policy; and nobody gains by another one.
    chosen = np.concatenate([policy[:1], uniform_policy(model)])
    distance = agents.exploitability(told, chosen)
    assert distance.absolute < 1e-9
    assert told.efficiency(chosen)[0] == pytest.approx(equilibrium.efficiency, abs=1e-9)


def test_outsiders_of_a_coalition_that_is_told_are_as_exploitable_as_in_its_model(
    model: MatchingMeanField,
) -> None:
    # A second formulation: an outsider's best response in the model in which all choose.
    coalition = RecognisingMeanField(model, 0.4)
    policy = uniform_policy(coalition)
    told = ToldModel(coalition, policy, coalition.members)
    free, ours = (agents.exploitability(each, policy).by_type for each in (coalition, told))
    assert ours[0] == pytest.approx(free[0], abs=1e-12)
    assert free[1] > 1e-3
    assert ours[1] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("recognise", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_others_who_respond_leave_nobody_more_to_gain(
    model: MatchingMeanField, equilibrium: Equilibrium, recognise: bool
) -> None:
    seen: list[ResponseRound] = []
    gain = agents.coalition_gain(
        model, equilibrium.policy, 0.3, rest="responds", recognise=recognise, rounds=3, observer=seen.append
    )
    assert isinstance(gain, RespondedGain)
    assert gain.rounds == tuple(seen)
    best = min(gain.rounds, key=lambda turn: turn.left_to_members)
    assert gain.gain.value == best.gain
    assert best.exploitability < 1e-9
    assert gain.converged == (best.left_to_members <= 5e-4 * abs(gain.efficiency_without.value))
    assert "at an equilibrium given it" in str(gain.meaning)
    # Told by the model itself: members' reward, and outsiders who cannot do better.
    coalition = RecognisingMeanField(model, 0.3, gain.agreement) if recognise else CoalitionModel(model, 0.3)
    policy = np.concatenate([gain.outsiders.probabilities, gain.policy.probabilities])
    rewards = coalition.efficiency(policy)
    assert rewards[1] - equilibrium.efficiency == pytest.approx(gain.gain.value, abs=1e-9)
    assert equilibrium.efficiency - rewards[0] == pytest.approx(gain.cost_to_others.value, abs=1e-9)
    assert agents.exploitability(coalition, policy).by_type[0] < 1e-9


def test_what_cannot_be_is_refused(model: MatchingMeanField, equilibrium: Equilibrium) -> None:
    strangers = CoalitionModel(model, 0.5)
    policy = uniform_policy(strangers)
    with pytest.raises(ConfigError, match="recognise"):
        agents.coalition_gain(strangers, policy, 0.5, recognise=True)
    with pytest.raises(ConfigError, match="mass"):
        agents.coalition_gain(model, equilibrium.policy, 1.0, rest="responds")
    with pytest.raises(ConfigError, match="rest"):
        agents.coalition_gain(model, equilibrium.policy, 0.5, rest="resists")
    with pytest.raises(ConfigError, match="rest"):
        agents.coalition_gain(MatchingGame(n_agents=10), equilibrium.policy, 5, rest="responds")
