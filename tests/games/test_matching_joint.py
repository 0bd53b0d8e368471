"""The matching game of N agents exactly: by hand, and against all agents told apart in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingGame
from karma_envs.games.matching.joint import MatchingDeviator
from karma_envs.games.matching.joint.size import size_of
from karma_envs.joint.solution import at_rest, best_response, policy_value
from karma_envs.karma.urgency import AgentType
from tests.games.ordered_agents import OrderedAgents, State

DRIFTING = AgentType(2, 0.9, (1.0, 3.0), ((0.5, 0.5), (0.2, 0.8)))
CHOOSY = AgentType(1, 0.5, (1.0, 2.0, 4.0))


def to_the_poor(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return 0.3 * (karma == karma_max), karma < 2


GAMES: dict[str, dict[str, Any]] = {
    "two": {"n_agents": 2, "karma_max": 3, "karma_mean": 1.5},
    "three, pay society": {"n_agents": 3, "karma_max": 3, "karma_mean": 1.0, "payment": "pbs"},
    "four": {"n_agents": 4, "karma_max": 2, "karma_mean": 1.0},
    "taxed": {"n_agents": 3, "karma_max": 2, "karma_mean": 4 / 3, "redistribution": "tax(rate=0.4)"},
    "nothing shared": {
        "n_agents": 3,
        "karma_max": 2,
        "karma_mean": 1.0,
        "payment": "second_price",
        "redistribution": "none",
    },
    "idle get nothing": {
        "n_agents": 3,
        "karma_max": 2,
        "karma_mean": 4 / 3,
        "payment": "pbs",
        "redistribution": "uniform_to_active",
    },
    "idle pay": {
        "n_agents": 3,
        "karma_max": 3,
        "karma_mean": 1.0,
        "payment": "pbp_capped",
        "redistribution": "congestion_tax(rate=0.4)",
    },
    "two types": {"n_agents": 3, "karma_max": 2, "karma_mean": 1.0, "types": (DRIFTING, CHOOSY)},
    "rule of one's own": {
        "n_agents": 3,
        "karma_max": 3,
        "karma_mean": 4 / 3,
        "payment": "pbs",
        "redistribution": to_the_poor,
    },
    "by urgency": {
        "n_agents": 4,
        "karma_max": 1,
        "karma_mean": 0.5,
        "types": (DRIFTING, AgentType(2, 0.5, (2.0,))),
        "allocation": "dict",
    },
}


def random_policy(game: MatchingGame, seed: int) -> NDArray[np.float64]:
    """Uneven, and with bids that are never made."""
    rng = np.random.default_rng(seed)
    shape = len(game.discounts), game.n_observations, game.n_actions
    weights = rng.random(shape) * (rng.random(shape) < 0.6) * game.legal_actions
    weights[:, :, 0] += 1e-3
    return np.asarray(weights / weights.sum(axis=2, keepdims=True))


def deviator_of(game: MatchingGame, policy: NDArray[np.float64], kind: int = 0) -> MatchingDeviator:
    return game.joint_model().deviator(kind, policy)


def number_of(problem: MatchingDeviator, told_apart: OrderedAgents, state: State) -> int:
    """The number of a state of agents that are told apart."""
    there, rules = problem._arrangement, problem._rules
    n = rules.karma_max + 1
    labels = [
        (there.alphabet.first_row[kind] + rules.row_of_urgency[kind][urgency]) * n + karma
        for kind, (urgency, karma) in zip(told_apart.kinds[1:], state[1:])
    ]
    others = int(there.waiting[-1].find(np.sort([labels]))[0])
    (urgency, karma), states = state[0], there.states
    width = states.high[others] - states.low[others]
    return int(states.start[others] + urgency * width + karma - states.low[others])


@pytest.mark.parametrize("name", GAMES)
def test_a_step_is_that_of_agents_told_apart(name: str) -> None:
    game = MatchingGame(**GAMES[name])
    policy, rng = random_policy(game, 3), np.random.default_rng(4)
    for kind in range(len(game.discounts)):
        problem = deviator_of(game, policy, kind)
        agent = int(np.argmax(game.type_of_agent == kind))
        order = [agent, *(other for other in range(game.n_agents) if other != agent)]
        told_apart = OrderedAgents(game, policy, order)
        states = told_apart.states(surplus=problem._rules.keeps_surplus)
        numbers = [number_of(problem, told_apart, state) for state in states]
        assert sorted(set(numbers)) == list(range(problem.n_states))
        value = rng.random(problem.n_states)
        following, reward = problem.following(value), problem.reward
        for index in rng.permutation(len(states))[:4]:
            number, karma = numbers[index], states[index][0][1]
            assert problem.own_observation[number] == states[index][0][0] * game.n_actions + karma
            bid = int(rng.integers(karma + 1)) * int(game.legal_actions[:, 1:].any())
            after, expected = told_apart.after(states[index], bid)
            assert reward[number, bid] == pytest.approx(expected, abs=1e-12)
            mean = sum(p * value[number_of(problem, told_apart, state)] for state, p in after.items())
            assert following[number, bid] == pytest.approx(mean, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(GAMES)), st.integers(0, 2**32 - 1))
def test_steps_forwards_and_backwards_are_transposes_and_lose_nothing(name: str, seed: int) -> None:
    game = MatchingGame(**GAMES[name])
    problem = deviator_of(game, random_policy(game, seed))
    rng = np.random.default_rng(seed)
    value, flow = rng.random(problem.n_states), rng.random(problem.legal.shape) * problem.legal
    pushed = problem.pushed(flow)
    assert pushed @ value == pytest.approx((flow * problem.following(value)).sum(), rel=1e-12)
    assert pushed.sum() == pytest.approx(flow.sum(), rel=1e-12)
    np.testing.assert_allclose(problem.following(np.ones(problem.n_states)), problem.legal, atol=1e-13)
    assert problem.start.sum() == pytest.approx(1.0)
    model = game.joint_model()
    assert size_of(model.rules, 0).n_states == problem.n_states


def test_the_best_response_is_that_of_agents_told_apart() -> None:
    """Three agents, by value iteration over all of them; 0.8^200 is 4e-20."""
    game = MatchingGame(n_agents=3, karma_max=2, karma_mean=1.0, discount=0.8, payment="pbs")
    policy = random_policy(game, 5)
    problem, told_apart = deviator_of(game, policy), OrderedAgents(game, policy, [0, 1, 2])
    # Urgencies are drawn anew, so that those of the others before tell nothing: keep one.
    states = [state for state in told_apart.states() if state[1][0] == state[2][0] == 0]
    place = {state: index for index, state in enumerate(states)}
    reward, kernel = np.full((len(states), 3), -np.inf), np.zeros((len(states), 3, len(states)))
    for index, state in enumerate(states):
        for bid in range(state[0][1] + 1):
            following, reward[index, bid] = told_apart.after(state, bid)
            for after, chance in following.items():
                kernel[index, bid, place[after[0], (0, after[1][1]), (0, after[2][1])]] += chance
    weights = np.array([policy[0, u * 3 + karma] for (u, karma), *_ in states])
    chain = np.einsum("sa,sat->st", weights, kernel)
    value = np.linalg.solve(
        np.eye(len(states)) - 0.8 * chain, (weights * np.maximum(reward, -99)).sum(axis=1)
    )
    best = value
    for _ in range(200):
        best = (reward + 0.8 * kernel @ best).max(axis=1)
    rest = np.linalg.matrix_power(chain, 4096)[0]

    own = problem.played(policy[0])
    measure = at_rest(problem, own)
    exact = policy_value(problem, own)
    *_, bounds = best_response(problem, own)
    assert measure @ exact.value == pytest.approx(rest @ value, abs=1e-9)
    assert measure @ bounds.value == pytest.approx(rest @ best, abs=1e-9)
    assert measure @ bounds.upper == pytest.approx(rest @ best, abs=1e-9)
    for state, index in place.items():
        assert bounds.upper[number_of(problem, told_apart, state)] >= best[index] - 1e-9


def test_it_starts_as_the_game_does() -> None:
    """Five units for three: two have two, and one has one."""
    game = MatchingGame(n_agents=3, karma_max=3, karma_mean=5 / 3)
    problem = deviator_of(game, random_policy(game, 0))
    held = np.bincount(problem.own_observation, problem.start, game.n_observations)
    np.testing.assert_allclose(held.reshape(2, 4), [[0, 1 / 6, 1 / 3, 0]] * 2)
    # Drawn 0 or 1 each: of 00 and 11, a quarter each, one is made the other; so one has a unit, always.
    game = MatchingGame(n_agents=2, karma_max=1, karma_mean=0.5, initial_karma=(0.5, 0.5))
    np.testing.assert_allclose(deviator_of(game, random_policy(game, 0)).start, [0.25] * 4)


def test_a_random_start_is_the_one_that_games_draw() -> None:
    """Seeds 0 … 1999; the greatest of 27 deviations is below 4 standard errors."""
    game = MatchingGame(**GAMES["two types"], initial_karma=(0.3, 0.4, 0.3))
    policy = random_policy(game, 0)
    problem, told_apart = deviator_of(game, policy), OrderedAgents(game, policy, [0, 1, 2])
    counts = np.zeros(problem.n_states)
    for seed in range(2000):
        game.reset(np.random.default_rng(seed))
        state = tuple(zip(game.arrays.urgency.tolist(), game.arrays.karma.tolist()))
        counts[number_of(problem, told_apart, state)] += 1
    errors = np.sqrt(problem.start * (1 - problem.start) / 2000)
    assert (np.abs(counts / 2000 - problem.start) <= 4 * errors).all()


def test_who_never_bids_keeps_what_the_start_gave_also_where_urgencies_alternate() -> None:
    game = MatchingGame(
        n_agents=3, karma_max=3, karma_mean=5 / 3, urgency_transition=((0.0, 1.0), (1.0, 0.0))
    )
    problem = deviator_of(game, np.eye(4)[np.zeros((1, 8), int)])
    own = problem.played(np.eye(4)[np.zeros(8, int)])
    start = problem.start * (problem.own_observation < 4)  # begin with the low urgency
    measure = at_rest(problem, own, start / start.sum())
    held = np.bincount(problem.own_observation, measure, 8).reshape(2, 4)
    np.testing.assert_allclose(held, [[0, 1 / 6, 1 / 3, 0]] * 2, atol=1e-12)


def test_who_rests_stays_also_where_only_rounding_moves() -> None:
    game = MatchingGame(n_agents=3, karma_max=4, karma_mean=2.0)
    policy = random_policy(game, 2)
    problem = deviator_of(game, policy)
    weights = problem.played(policy[0])
    measure = at_rest(problem, weights)
    np.testing.assert_allclose(at_rest(problem, weights, measure), measure, atol=1e-15)
    # Asked for more than rounding allows, GMRES is given equations of rounding errors.
    again = at_rest(problem, weights, measure, tolerance=1e-300)
    np.testing.assert_allclose(again, measure, atol=1e-10)
    never = np.zeros_like(policy)
    never[..., 0] = 1.0
    still = deviator_of(game, never)
    begin = np.eye(still.n_states)[still.n_states // 2]
    rested = at_rest(still, still.played(never[0]), begin)
    weights = still.played(never[0])
    np.testing.assert_allclose(still.pushed(rested[:, None] * weights), rested, atol=1e-10)
    assert rested.sum() == pytest.approx(1.0)


def test_a_distribution_at_rest_stays_one_where_its_change_is_rounding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    game = MatchingGame(n_agents=3, karma_max=3, karma_mean=5 / 3)
    policy = random_policy(game, 1)
    problem = deviator_of(game, policy)
    own = problem.played(policy[0])
    expected = at_rest(problem, own)
    monkeypatch.setattr("karma_envs.joint.solution._AT_REST", 0.0)  # never near enough
    np.testing.assert_allclose(at_rest(problem, own), expected, atol=1e-10)


def test_kinds_that_play_alike_may_be_told_apart() -> None:
    game = MatchingGame(n_agents=4, karma_max=3, karma_mean=1.0, redistribution="tax(rate=0.3)")
    policy = random_policy(game, 6)
    payoffs, bests = [], []
    for kinds in ([0, 0, 0, 0], [0, 1, 2, 1]):
        problem = game.joint_model(kinds).deviator(0, np.repeat(policy, max(kinds) + 1, axis=0))
        own = problem.played(policy[0])
        measure = at_rest(problem, own)
        *_, bounds = best_response(problem, own)
        payoffs.append(measure @ policy_value(problem, own).value)
        bests.append(measure @ bounds.upper)
    assert payoffs[0] == pytest.approx(payoffs[1], rel=1e-10)
    assert bests[0] == pytest.approx(bests[1], rel=1e-9)  # who is who tells nothing among equals


@pytest.mark.parametrize(("allocation", "efficiency"), [("dict", -1.0), ("coin", -1.5)])
def test_allocations_without_bids_have_their_closed_forms(allocation: str, efficiency: float) -> None:
    """Urgencies 1 and 5: the lower of two loses, 1 but where both have 5; or a random one."""
    game = MatchingGame(n_agents=4, karma_max=2, karma_mean=1.0, allocation=allocation)
    problem = deviator_of(game, np.eye(3)[np.zeros((1, 6), int)])
    own = problem.played(np.eye(3)[np.zeros(6, int)])
    assert at_rest(problem, own) @ (own * problem.reward).sum(axis=1) == pytest.approx(efficiency)


def test_what_is_too_large_is_refused_before_any_work() -> None:
    with pytest.raises(ConfigError, match=r"n_agents = 8 .*karma_max = 20 .*joint states.* GB"):
        MatchingGame(n_agents=8).joint_model().check_size()
    with pytest.raises(ConfigError, match=r"n_agents = 1000 .*at most 16 .*simulated_bound"):
        MatchingGame(n_agents=1000).joint_model().check_size()
    with pytest.raises(ConfigError, match=r"karma_max = 1000 .*at most 300"):
        MatchingGame(n_agents=2, karma_max=1000).joint_model().check_size()
    with pytest.raises(ConfigError, match=r"turn_taking.*past accesses"):
        MatchingGame(n_agents=4, allocation="turn").joint_model().check_size()
