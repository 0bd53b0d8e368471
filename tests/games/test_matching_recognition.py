"""Members who recognise each other in the matching game: the model, its limits, and explicit pairs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.coalitions.model import CoalitionModel
from karma_envs.games.matching import MatchingConfig
from karma_envs.games.matching.agreements import agreement_on, best_bids, first_pays
from karma_envs.games.matching.contests import Contests
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.games.matching.recognition import RecognisingMeanField
from karma_envs.mean_field.model import FiniteMeanFieldModel
from karma_envs.mean_field.moves import DifferencedMoves
from karma_envs.numerics.sampling import softmax

RULES: list[dict[str, Any]] = [
    {},
    {"payment": "pbs", "redistribution": "tax"},
    {"payment": "pbp_capped"},
]


def small(**fields: Any) -> MatchingMeanField:
    return MatchingMeanField(MatchingConfig(**{"karma_max": 4, "karma_mean": 2, **fields}))


def random_policies(model: FiniteMeanFieldModel, seed: int) -> NDArray[np.float64]:
    shape = 2 * model.n_types, model.n_states, model.n_actions
    scores = np.random.default_rng(seed).normal(size=shape)
    return softmax(np.where(model.legal_actions, scores, -np.inf))


@pytest.mark.parametrize("rules", RULES)
def test_members_who_bid_as_against_strangers_are_as_if_they_knew_nobody(rules: dict[str, Any]) -> None:
    model = small(**rules)
    policy = random_policies(model, 0)
    strangers, friends = CoalitionModel(model, 0.3), RecognisingMeanField(model, 0.3)
    friends = friends.agreeing(friends.as_strangers(policy[1:]))
    ours, theirs = friends.population_at_rest(policy), strangers.population_at_rest(policy)
    np.testing.assert_allclose(ours.mean_field, theirs.mean_field, atol=1e-12)
    assert ours.statistic[-1] == pytest.approx(theirs.statistic[-1], abs=1e-12)
    np.testing.assert_allclose(friends.efficiency(policy), strangers.efficiency(policy), atol=1e-12)


@pytest.mark.parametrize("rules", RULES)
def test_derivatives_are_differences(rules: dict[str, Any]) -> None:
    model = RecognisingMeanField(small(**rules), 0.3)
    policy = random_policies(model.model, 1)
    field = model.population_at_rest(policy)
    assert field.residual < 1e-12
    exact, differences = model.problem_moves(field.statistic), DifferencedMoves.of(model, field.statistic)
    flow = field.mean_field[..., None] * policy
    value = np.random.default_rng(2).normal(size=field.mean_field.shape)
    legal = model.legal_actions
    np.testing.assert_allclose(exact.reward * legal, differences.reward * legal, atol=1e-7)
    np.testing.assert_allclose(exact.pushed(flow), differences.pushed(flow), atol=1e-7)
    np.testing.assert_allclose(
        exact.following(value) * legal, differences.following(value) * legal, atol=1e-7
    )


def test_two_types_that_are_alike_are_one() -> None:
    kinds = [{"share": 0.7, "urgencies": (1, 5)}, {"share": 0.3, "urgencies": (1, 5)}]
    one, two = (RecognisingMeanField(small(types=kinds[:number]), 0.4) for number in (1, 2))
    policy = random_policies(one.model, 3)
    ours, theirs = one.population_at_rest(policy), two.population_at_rest(np.repeat(policy, 2, axis=0))
    np.testing.assert_allclose(np.repeat(ours.mean_field, 2, axis=0), theirs.mean_field, atol=1e-11)


def test_the_first_of_two_pays_what_it_has_of_the_price() -> None:
    # States are (urgency 1 or 5, karma 0 … 2).
    bids = first_pays(np.repeat([1.0, 5.0], 3), 2, 2)
    assert tuple(bids[5, 2]) == (2, 0)  # the more urgent one has karma 2
    assert tuple(bids[2, 5]) == (0, 2)
    assert tuple(bids[4, 2]) == (1, 0)
    assert tuple(bids[3, 2]) == (0, 0)  # and none
    assert tuple(bids[5, 4]) == (0, 0)  # alike


def contests(**fields: Any) -> Contests:
    config = MatchingConfig(karma_max=2, karma_mean=1, **fields)
    return Contests.of(2, config.rule("allocation"), config.rule("payment"))


def outcome(tables: Contests, karma: tuple[int, int], bids: tuple[int, int]) -> list[Any]:
    """Probability, winner (0 or 1) and both karmas after payment, of what a meeting may come to."""
    results = []
    for winner, loser in ((0, 1), (1, 0)):
        probability = tables.chance[bids[winner], bids[loser]]
        if probability > 0:
            after = list(karma)
            after[winner] -= tables.cost[bids[winner], bids[loser], karma[loser]]
            after[loser] += tables.gain[bids[winner], bids[loser], karma[loser]]
            results.append((probability, winner, after))
    return results


@pytest.mark.parametrize("payment", ["pbp", "pbs", "pbp_capped"])
def test_the_best_bids_of_two_are_the_best_of_all(payment: str) -> None:
    tables, rng = contests(payment=payment), np.random.default_rng(4)
    urgency, worth = np.repeat([1.0, 5.0], 3), rng.normal(size=(6, 3))
    bids = best_bids(tables, urgency, worth)

    def together(pair: tuple[int, int], two: tuple[int, int]) -> Any:
        return sum(
            probability * (urgency[pair[winner]] + worth[pair[0], after[0]] + worth[pair[1], after[1]])
            for probability, winner, after in outcome(tables, (pair[0] % 3, pair[1] % 3), two)
        )

    for pair in itertools.product(range(6), range(6)):
        every = itertools.product(range(pair[0] % 3 + 1), range(pair[1] % 3 + 1))
        chosen = bids[pair][0], bids[pair][1]
        assert together(pair, chosen) == pytest.approx(max(together(pair, two) for two in every))
    agreement = agreement_on(tables, bids)
    np.testing.assert_allclose(agreement.won + agreement.won.T, 1.0)
    np.testing.assert_allclose(agreement.after.sum(axis=2), 1.0)


@pytest.mark.parametrize("payment", ["pbs", pytest.param("pbp", marks=pytest.mark.nightly)])
def test_many_agents_who_meet_in_pairs_get_what_the_model_says(payment: str) -> None:
    model = small(payment=payment)
    coalition, policy = RecognisingMeanField(model, 0.4), random_policies(model, 6)
    price = 2
    coalition = coalition.agreeing(coalition.urgent_first(price))
    n_agents, n_steps, rng = 1000, 1500, np.random.default_rng(7)
    member = np.arange(n_agents) < 400
    karma, urgency = np.full(n_agents, 2), rng.integers(2, size=n_agents)
    cumulative = policy.cumsum(axis=2)
    means = np.zeros((2, n_steps))
    for step in range(n_steps):
        state = urgency * 5 + karma
        drawn = rng.random(n_agents)[:, None] > cumulative[member.astype(int), state]
        bids = np.minimum(drawn.sum(axis=1), karma)
        one, other = rng.permutation(n_agents).reshape(2, -1)
        known = member[one] & member[other]
        for mine, yours in ((one, other), (other, one)):
            goes_first = urgency[mine] > urgency[yours]
            agreed = np.where(goes_first, np.minimum(price, karma[mine]), 0)
            bids[mine] = np.where(known, agreed, bids[mine])
        tossed = rng.random(len(one)) < 0.5
        first = np.where(bids[one] == bids[other], tossed, bids[one] > bids[other])
        winner, loser = np.where(first, one, other), np.where(first, other, one)
        rewards = np.zeros(n_agents)
        rewards[loser] = -np.array([1.0, 5.0])[urgency[loser]]
        means[:, step] = rewards[~member].mean(), rewards[member].mean()
        paid = bids[winner]
        karma[winner] -= paid
        got = np.minimum(paid, 4 - karma[loser]) * (payment == "pbp")
        karma[loser] += got
        surplus = int((paid - got).sum())
        while surplus > 0:  # one unit to each that has room, or to some of them
            room = np.flatnonzero(karma < 4)
            takers = room if surplus >= len(room) else rng.choice(room, surplus, replace=False)
            karma[takers] += 1
            surplus -= len(takers)
        urgency = rng.integers(2, size=n_agents)
    batches = means[:, 250:].reshape(2, 25, -1).mean(axis=2)
    error = batches.std(axis=1, ddof=1) / 5
    assert (error < 5e-3).all()
    # A game of 1000 differs by O(1/1000).
    difference = np.abs(batches.mean(axis=1) - coalition.efficiency(policy))
    assert (difference < 4 * error + 2e-3).all(), (difference, error)
