"""The matching game against a slow reference of its docstring, written independently, and its invariants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2

from agents.policies.tabular import TabularPolicy
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError, PolicyError, Transitions
from karma_envs.games.matching import MatchingGame
from karma_envs.games.matching.config import PRESETS
from karma_envs.karma.urgency import AgentType
from karma_envs.mechanisms import Rule
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.sampling import thresholds_of

NEVER_BY_CHANCE = 1e-5
"""Upper tail of the chi-square tests: beyond 4 sigma; the seeds are fixed, so they do not flake."""

ALLOCATIONS = ("highest_bid", "benevolent_dictator", "coin_toss", "turn_taking")
PAYMENTS = ("pay_bid_to_peer", "pay_capped_bid_to_peer", "pay_bid_to_society", "second_price")
REDISTRIBUTIONS = ("uniform", "uniform_to_active", "none", "tax(rate=0.3)")
EVERY_PAIR_OF_RULES = [
    (allocation, payment, REDISTRIBUTIONS[(i + j) % 4])
    for i, allocation in enumerate(ALLOCATIONS)
    for j, payment in enumerate(PAYMENTS)
]
"""A Latin square: any two rules of different families meet in one of these 16 games."""


def new_game(seed: int = 0, **fields: Any) -> MatchingGame:
    game = MatchingGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


class Situation(NamedTuple):
    """What the rules speak of, read from the game."""

    karma: NDArray[np.int64]
    urgency_index: NDArray[np.int64]
    accesses: NDArray[np.int64]
    contests: NDArray[np.int64]
    rewards: NDArray[np.float64]
    surplus: int
    steps: int


def situation(game: MatchingGame) -> Situation:
    outcome = game.outcome()
    return Situation(
        karma=game.observation_index() % (game.config.karma_max + 1),
        urgency_index=game.observation_index() // (game.config.karma_max + 1),
        accesses=outcome.accesses,
        contests=outcome.contests,
        rewards=outcome.rewards,
        surplus=int(game.state_dict()["surplus"][0]),
        steps=outcome.steps,
    )


def with_state(game: MatchingGame, **changes: Any) -> MatchingGame:
    """The game with some arrays of its state replaced."""
    state = game.state_dict()
    for name, values in changes.items():
        state[name][...] = values
    game.load_state_dict(state)
    return game


def random_bids(game: MatchingGame, rng: np.random.Generator) -> NDArray[np.int64]:
    """Uniform over what is legal: the highest legal action is all karma, or 0 without bids."""
    return rng.integers(0, game.action_mask().sum(axis=1))


def random_policy(game: MatchingGame, seed: int, rows: int = 1) -> TabularPolicy:
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=(rows, *game.legal_actions.shape)) * game.legal_actions
    return TabularPolicy(weights / weights.sum(axis=-1, keepdims=True), rng.integers(0, rows, game.n_agents))


# --- a slow reference of one step ------------------------------------------------------------------


def reference_payment(name: str, bid: int, other: int, loser_karma: int, cap: int) -> tuple[int, int]:
    """To the loser, to society; PAPERS: PBP, its capped variant, PBS, Vickrey."""
    room = cap - loser_karma
    if name == "pay_bid_to_peer":
        return (bid, 0) if bid <= room else (room, bid - room)
    if name == "pay_capped_bid_to_peer":
        return (bid, 0) if bid <= room else (room, 0)
    if name == "pay_bid_to_society":
        return 0, bid
    return 0, other


def check_step(game: MatchingGame, bids: NDArray[np.int64]) -> None:
    """Play one step and hold it against the order of a step in the game's docstring."""
    config, before = game.config, situation(game)
    rewards = game.step(bids)
    after, scene, n = situation(game), game.scene(), game.n_agents
    values = [game.config.agent_types[index].urgencies for index in game.type_of_agent]
    urgency = np.array([values[i][before.urgency_index[i]] for i in range(n)])
    cap = config.karma_max

    # 1. A perfect matching; with odd N one sits out.
    matched = scene["pairs"].ravel().tolist()
    assert scene["pairs"].shape == (n // 2, 2)
    assert len(set(matched)) == len(matched)
    idle = set(range(n)) - set(matched)
    assert len(idle) == n % 2
    active = np.array([i not in idle for i in range(n)])
    np.testing.assert_array_equal(after.contests - before.contests, active)
    np.testing.assert_array_equal(game.state_dict()["active"] != 0, active)
    np.testing.assert_array_equal(game.state_dict()["sat_out"], after.steps - after.contests)

    # 3. to 5. The higher priority wins, the loser suffers, the winner pays.
    won = after.accesses - before.accesses
    priority = {
        "highest_bid": bids,
        "benevolent_dictator": urgency,
        "coin_toss": np.zeros(n),
        "turn_taking": -before.accesses,
    }[str(config.allocation)]
    karma, surplus = before.karma.copy(), before.surplus
    expected_rewards = np.zeros(n)
    for a, b in scene["pairs"]:
        assert (won[a], won[b]) in ((1, 0), (0, 1))
        winner, loser = (a, b) if won[a] else (b, a)
        assert priority[winner] >= priority[loser]
        expected_rewards[loser] = -urgency[loser]
        to_loser, to_society = reference_payment(
            str(config.payment), bids[winner], bids[loser], karma[loser], cap
        )
        karma[winner] -= to_loser + to_society
        karma[loser] += to_loser
        surplus += to_society
    assert won.sum() == n // 2
    assert all(won[i] == 0 for i in idle)
    np.testing.assert_array_equal(rewards, expected_rewards.astype(np.float32))
    np.testing.assert_allclose(after.rewards - before.rewards, expected_rewards, rtol=1e-6, atol=1e-9)

    # 6. The surplus, with taxes, is shared until it is gone or nobody who shares can hold more.
    assert after.karma.sum() + after.surplus == config.total_karma
    assert after.karma.min() >= 0
    assert after.karma.max() <= cap
    assert after.surplus >= 0
    rule = str(config.redistribution)
    shares = {"none": np.zeros(n, bool), "uniform_to_active": active}.get(rule, np.ones(n, bool))
    shares = active if rule.startswith("congestion") else shares  # all pairs are congested, two for one
    assert after.surplus == 0 or (after.karma[shares] == cap).all()
    if "tax" not in rule:
        gained = after.karma - karma
        assert (gained >= 0).all()
        assert (gained[~shares] == 0).all()
        assert (gained >= np.minimum(surplus // max(shares.sum(), 1), cap - karma))[shares].all()

    # 7. Urgencies move as their chains allow.
    for i in range(n):
        phi = config.agent_types[game.type_of_agent[i]].transition_matrix
        assert phi[before.urgency_index[i], after.urgency_index[i]] > 0
    assert after.steps == before.steps + 1
    np.testing.assert_array_equal(scene["bids"], bids)
    np.testing.assert_array_equal(scene["rewards"], rewards)
    np.testing.assert_allclose(scene["urgency"], urgency, rtol=1e-6)


TYPES = [
    AgentType(1, 0.9, (1, 5)),
    AgentType(1, 0.5, (0, 2, 3), ((0, 1, 0), (0.5, 0, 0.5), (0, 0.3, 0.7))),
    AgentType(1, 0.0, (4,)),
]


@st.composite
def societies(draw: st.DrawFn) -> dict[str, Any]:
    n_agents, karma_max = draw(st.integers(2, 9)), draw(st.integers(1, 6))
    room = n_agents * karma_max
    total = draw(st.one_of(st.integers(0, room), st.sampled_from([0, 1, room - 1, room])))
    n_types = draw(st.integers(1, min(3, n_agents)))
    return {
        "n_agents": n_agents,
        "karma_max": karma_max,
        "karma_mean": total / n_agents,
        "initial_karma": draw(st.sampled_from(["equal", "uniform"])),
        "types": draw(st.permutations(TYPES))[:n_types],
    }


CONGESTION = ("highest_bid", "pay_bid_to_society", "congestion_tax(rate=0.3)")


@pytest.mark.parametrize(("allocation", "payment", "redistribution"), [*EVERY_PAIR_OF_RULES, CONGESTION])
@given(fields=societies(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_every_step_obeys_the_rules(
    allocation: str, payment: str, redistribution: str, fields: dict[str, Any], seed: int
) -> None:
    rules = {"allocation": allocation, "payment": payment, "redistribution": redistribution}
    game = new_game(seed, **fields, **rules)
    assert situation(game).karma.sum() == game.config.total_karma
    rng = np.random.default_rng(seed)
    for _ in range(8):
        check_step(game, random_bids(game, rng))


def test_long_play_keeps_every_unit() -> None:
    for redistribution in REDISTRIBUTIONS[:2]:
        rules = {"payment": "pbs", "redistribution": redistribution}
        game = new_game(3, n_agents=7, karma_max=5, karma_mean=3, **rules)
        policy = random_policy(game, 4)
        for _ in range(20):
            transitions = game.rollout(policy, 500)
            now = situation(game)
            assert now.karma.sum() + now.surplus == 21
            if redistribution == "uniform":
                assert now.surplus == 0
                assert ((transitions.observations % 6).sum(axis=1) == 21).all()


# --- single steps by hand --------------------------------------------------------------------------


def two_agents(karma: tuple[int, int], seed: int = 0, urgency: Any = (0, 0), **fields: Any) -> MatchingGame:
    """Two agents with cap 10, urgencies 1 and 5, which alternate for certain."""
    alternate = ((0, 1), (1, 0))
    game = new_game(
        seed, n_agents=2, karma_max=10, karma_mean=sum(karma) / 2, urgency_transition=alternate, **fields
    )
    return with_state(game, karma=karma, urgency=urgency)


@pytest.mark.parametrize(
    ("payment", "karma", "bids", "karma_after"),
    [
        ("pbp", (6, 3), (4, 2), (2, 7)),
        ("pbp", (6, 3), (0, 2), (8, 1)),
        ("pbp", (9, 9), (5, 2), (6, 10)),  # 1 fits, 4 to society: 2 each, and the 2 that do not fit
        ("pbp", (5, 9), (5, 2), (4, 10)),  # 1 fits; of the other 4 the peer can hold none
        ("pbp_capped", (5, 9), (5, 2), (4, 10)),
        ("pbp_capped", (6, 3), (4, 2), (2, 7)),
        ("pbs", (6, 3), (4, 2), (4, 5)),
        ("pbs", (6, 10), (6, 2), (6, 10)),  # 3 each; what the full one leaves goes back
        ("second_price", (6, 3), (4, 2), (5, 4)),
    ],
)
def test_karma_flows_by_hand(payment: str, karma: Any, bids: Any, karma_after: Any) -> None:
    game = two_agents(karma, payment=payment)
    game.step(np.array(bids))
    if payment == "pbp" and karma == (9, 9):
        karma_after = (8, 10)  # 9 - 5 + 4
    assert situation(game).karma.tolist() == list(karma_after)


def test_rewards_are_of_the_urgency_before_the_step() -> None:
    game = two_agents((6, 3), urgency=(0, 1))
    assert game.step(np.array([4, 2])).tolist() == [0, -5]
    assert situation(game).urgency_index.tolist() == [1, 0]
    assert game.step(np.array([0, 2])).tolist() == [-5, 0]
    assert game.step(np.array([2, 1])).tolist() == [0, -5]


def test_taxes_are_on_karma_after_payment() -> None:
    # Rate 1: tax k^2/10. The winner pays its 10 to the peer, who holds 10 then and is taxed of all.
    game = two_agents((10, 0), redistribution="tax(rate=1)")
    game.step(np.array([10, 0]))
    assert situation(game).karma.tolist() == [5, 5]


def test_a_surplus_is_kept_and_offered_again() -> None:
    game = two_agents((6, 4), redistribution="none", payment="pbs")
    game.step(np.array([3, 1]))
    game.step(np.array([0, 2]))
    assert situation(game).karma.tolist() == [3, 2]
    assert situation(game).surplus == 5


def test_who_sits_out_bids_nothing_and_still_receives() -> None:
    game = new_game(1, n_agents=3, karma_max=9, karma_mean=3, payment="pbs")
    seen = set()
    for _ in range(30):
        game = with_state(game, karma=(3, 3, 3))
        rewards = game.step(np.array([3, 3, 3]))
        (idle,) = {0, 1, 2} - set(game.scene()["pairs"].ravel().tolist())
        seen.add(idle)
        karma = situation(game).karma
        assert karma[idle] == 4  # one of the three units of the winner, who keeps one
        assert rewards[idle] == 0
        assert sorted(karma.tolist()) == [1, 4, 4]
    assert seen == {0, 1, 2}


def test_under_uniform_to_active_who_sits_out_gets_nothing() -> None:
    rules = {"payment": "pbs", "redistribution": "uniform_to_active"}
    game = new_game(1, n_agents=3, karma_max=9, karma_mean=3, **rules)
    for _ in range(10):
        game = with_state(game, karma=(3, 3, 3))
        game.step(np.array([2, 2, 2]))
        (idle,) = {0, 1, 2} - set(game.scene()["pairs"].ravel().tolist())
        karma = situation(game).karma
        assert karma[idle] == 3
        assert sorted(karma.tolist()) == [2, 3, 4]


def test_turns_are_taken() -> None:
    game = new_game(1, n_agents=2, allocation="turn")
    game.step(np.zeros(2, int))
    for _ in range(10):
        last = int(np.argmin(game.scene()["rewards"]))
        game.step(np.zeros(2, int))
        assert game.scene()["rewards"][last] == 0
    assert abs(np.diff(game.outcome().accesses)[0]) == 1


# --- chance ----------------------------------------------------------------------------------------


def matchings(game: MatchingGame, n_steps: int) -> Iterator[frozenset[frozenset[int]]]:
    bids = np.zeros(game.n_agents, np.int64)
    for _ in range(n_steps):
        game.step(bids)
        yield frozenset(frozenset(pair) for pair in game.scene()["pairs"].tolist())


def assert_uniform(counts: Counter[Any], n_cells: int) -> None:
    assert len(counts) == n_cells
    expected = counts.total() / n_cells
    statistic = sum((count - expected) ** 2 for count in counts.values()) / expected
    assert statistic < chi2.isf(NEVER_BY_CHANCE, n_cells - 1)


@pytest.mark.parametrize(("n_agents", "n_matchings"), [(3, 3), (4, 3), (5, 15), (6, 15)])
def test_matchings_are_uniform(n_agents: int, n_matchings: int) -> None:
    game = new_game(8, n_agents=n_agents)
    assert_uniform(Counter(matchings(game, 8000)), n_matchings)


@pytest.mark.parametrize("n_agents", [3, 4])
def test_consecutive_matchings_are_independent(n_agents: int) -> None:
    found = list(matchings(new_game(9, n_agents=n_agents), 8000))
    assert_uniform(Counter(zip(found[::2], found[1::2])), 9)


def test_ties_are_fair_and_independent() -> None:
    # N = 4, nobody bids: for both pairs, whether the agent of lower number wins, and whether the one
    # that is named first does; 4 equal cells each.
    game = new_game(10, n_agents=4)
    cells: Counter[tuple[bool, ...]] = Counter()
    named_first: Counter[tuple[bool, ...]] = Counter()
    wins = np.zeros(4)
    bids = np.zeros(4, np.int64)
    n_steps = 8000
    for _ in range(n_steps):
        before = game.outcome().accesses
        game.step(bids)
        won = game.outcome().accesses - before
        wins += won
        pairs = game.scene()["pairs"].tolist()
        named_first[tuple(bool(won[first]) for first, _ in pairs)] += 1
        cells[tuple(bool(won[low]) for low, _ in sorted(sorted(pair) for pair in pairs))] += 1
    assert_uniform(cells, 4)
    assert_uniform(named_first, 4)
    # each agent's wins are binomial(n, 1/2)
    assert np.abs(wins - n_steps / 2).max() < 4.5 * np.sqrt(n_steps / 4)


def test_many_ties_of_one_step_are_fair() -> None:
    # 300 pairs in one step use several words of coins; wins of each agent are binomial(n, 1/2).
    n_agents, n_steps = 600, 400
    game = new_game(11, n_agents=n_agents)
    policy = TabularPolicy(nothing(game), np.zeros(n_agents, int))
    game.rollout(policy, n_steps)
    z = (game.outcome().accesses - n_steps / 2) / np.sqrt(n_steps / 4)
    assert np.abs(z).max() < 5.5  # 600 agents: beyond 4 sigma for the maximum
    # chi-square of 600 dependent-by-pairs agents: the sum of z^2 has mean 600, sd < 2 sqrt(600)
    assert abs((z**2).sum() - n_agents) < 4.5 * 2 * np.sqrt(n_agents)


def nothing(game: MatchingGame) -> NDArray[np.float64]:
    probabilities = np.zeros(game.legal_actions.shape)
    probabilities[:, 0] = 1
    return probabilities


def test_urgencies_start_stationary_and_stay() -> None:
    types = [
        AgentType(1, 0.9, (1, 2), ((0.9, 0.1), (0.3, 0.7))),
        AgentType(1, 0.9, (3, 4, 5), (0.2, 0.5, 0.3)),
    ]
    game = new_game(12, n_agents=40_000, types=types)
    for _ in range(2):
        index = situation(game).urgency_index
        for number, agent_type in enumerate(types):
            counts = np.bincount(index[game.type_of_agent == number], minlength=len(agent_type.urgencies))
            expected = agent_type.stationary_urgency * 20_000
            statistic = ((counts - expected) ** 2 / expected).sum()
            assert statistic < chi2.isf(NEVER_BY_CHANCE, len(expected) - 1)
        game.step(np.zeros(40_000, np.int64))


def test_two_types_fare_the_same_whichever_comes_first() -> None:
    # Mean reward of either type, 40 runs of 2000 steps each way; standard errors of the means over runs,
    # differences within 4.5 of them. That of the bold is above the coin's -1.5 by more than 20 of them.
    bold, shy = AgentType(1, 0.9, (1, 5)), AgentType(1, 0.8, (2,), (1.0,))
    means: dict[int, Any] = {}
    for first, types in enumerate([(bold, shy), (shy, bold)]):
        game = MatchingGame(n_agents=10, types=types, payment="pbs")
        urgency_index, karma = np.divmod(np.arange(game.n_observations), 21)
        bids = [np.minimum(karma, 3 * urgency_index), np.minimum(karma, 1)]  # of the bold, of the shy
        rows = [np.eye(game.n_actions)[bid] for bid in bids]
        policy = TabularPolicy(np.stack(rows), game.type_of_agent ^ first)
        runs = []
        for seed in range(40):
            game.reset(np.random.default_rng(seed))
            game.rollout(policy, 2000)
            outcome = game.outcome()
            by_type = [outcome.of_agents(game.type_of_agent == k) for k in (first, 1 - first)]
            runs.append([part.rewards.sum() / part.contests.sum() for part in by_type])
        means[first] = np.array(runs)
    difference = means[0].mean(axis=0) - means[1].mean(axis=0)
    error = np.sqrt((means[0].var(axis=0, ddof=1) + means[1].var(axis=0, ddof=1)) / 40)
    assert (np.abs(difference) < 4.5 * error).all()
    assert means[0].mean(axis=0)[0] > -1.5 + 20 * error[0]


def test_agents_of_a_type_are_exchangeable() -> None:
    # 60 agents, one policy: accesses of the first and last half; difference within 4.5 standard errors.
    game = new_game(5, n_agents=60, karma_max=8, karma_mean=4)
    game.rollout(random_policy(game, 6), 4000)
    rate = game.outcome().accesses / 4000
    error = np.sqrt(rate[:30].var(ddof=1) / 30 + rate[30:].var(ddof=1) / 30)
    assert abs(rate[:30].mean() - rate[30:].mean()) < 4.5 * error


# --- rollouts --------------------------------------------------------------------------------------


def states_equal(first: MatchingGame, second: MatchingGame, but: tuple[str, ...] = ()) -> bool:
    one, other = first.state_dict(), second.state_dict()
    assert one.keys() == other.keys()
    return all((one[name] == other[name]).all() for name in one if name not in but)


def assert_same(first: Transitions, second: Transitions) -> None:
    np.testing.assert_array_equal(first.observations, second.observations)
    np.testing.assert_array_equal(first.actions, second.actions)
    np.testing.assert_array_equal(first.rewards, second.rewards)


FIELDS = {"n_agents": 7, "karma_max": 6, "karma_mean": 3}


def test_same_seed_same_bits() -> None:
    first, second, other = (new_game(seed, **FIELDS) for seed in (1, 1, 2))
    policy = random_policy(first, 3, rows=4)
    one = first.rollout(policy, 200)
    assert_same(one, second.rollout(policy, 200))
    assert states_equal(first, second)
    assert (other.rollout(policy, 200).actions != one.actions).any()
    first.reset(np.random.default_rng(1))
    assert_same(one, first.rollout(policy, 200))


def test_a_rollout_in_chunks_is_the_same() -> None:
    whole, chunked = (new_game(1, **FIELDS) for _ in range(2))
    policy = random_policy(whole, 3, rows=4)
    at_once = whole.rollout(policy, 150)
    start = 0
    for n_steps in (1, 1, 48, 100):
        part = chunked.rollout(policy, n_steps)
        np.testing.assert_array_equal(part.observations, at_once.observations[start : start + n_steps + 1])
        np.testing.assert_array_equal(part.actions, at_once.actions[start : start + n_steps])
        np.testing.assert_array_equal(part.rewards, at_once.rewards[start : start + n_steps])
        start += n_steps
    assert states_equal(whole, chunked)


def test_steps_with_the_recorded_actions_are_the_same() -> None:
    # What a rollout draws to sample bids comes from a stream of its own.
    rolled, stepped = (new_game(1, **FIELDS) for _ in range(2))
    transitions = rolled.rollout(random_policy(rolled, 3), 100)
    for step in range(100):
        np.testing.assert_array_equal(stepped.observation_index(), transitions.observations[step])
        np.testing.assert_array_equal(stepped.step(transitions.actions[step]), transitions.rewards[step])
    np.testing.assert_array_equal(stepped.observation_index(), transitions.observations[100])
    assert states_equal(rolled, stepped, but=("streams",))
    for name in ("pairs", "bids", "rewards", "urgency", "karma"):
        np.testing.assert_array_equal(rolled.scene()[name], stepped.scene()[name])


def test_what_a_rollout_records() -> None:
    game = new_game(1, **FIELDS)
    before = game.observation_index()
    policy = random_policy(game, 3)
    transitions = game.rollout(policy, 50)
    assert len(transitions) == 50
    assert transitions.observations.shape == (51, 7)
    assert transitions.observations.dtype == transitions.actions.dtype == np.uint16
    assert transitions.rewards.dtype == np.float32
    np.testing.assert_array_equal(transitions.observations[0], before)
    np.testing.assert_array_equal(transitions.observations[-1], game.observation_index())
    assert game.legal_actions[transitions.observations[:-1], transitions.actions].all()
    urgency = np.array([1, 5])[transitions.observations[:-1] // 7]
    assert ((transitions.rewards == 0) | (transitions.rewards == -urgency)).all()
    assert ((transitions.rewards < 0).sum(axis=1) == 3).all()
    np.testing.assert_allclose(game.outcome().rewards, transitions.rewards.sum(axis=0))


def test_a_rollout_writes_into_the_buffer_it_is_given() -> None:
    game, other = (new_game(1, **FIELDS) for _ in range(2))
    policy = random_policy(game, 3)
    out = Transitions.empty(30, 7)
    out.actions[20:] = 999
    written = game.rollout(policy, 20, out)
    assert len(written) == 20
    assert np.shares_memory(written.actions, out.actions)
    assert (out.actions[20:] == 999).all()
    assert_same(written, other.rollout(policy, 20))
    bids = game.scene()["bids"]
    out.actions[...] = 0
    np.testing.assert_array_equal(game.scene()["bids"], bids)


def test_transitions_are_cut_from_the_start() -> None:
    transitions = Transitions.empty(10, 3)
    assert len(transitions[:4]) == 4
    assert transitions[:4].observations.shape == (5, 3)
    assert len(transitions[:99]) == 10
    assert len(transitions[:-3]) == 7
    for steps in (slice(1, 4), slice(None, None, 2), slice(None, None, -1)):
        with pytest.raises(IndexError):
            transitions[steps]


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bids", "says"),
    [
        ([0, 4, 0, 0, 0, 0, 0], r"agent 1 bids 4; allowed: 0 … 3"),
        ([0, 0, -1, 0, 0, 0, 9], r"agent 2 bids -1; allowed: 0 … 3"),
        ([0, 0, 0], "actions must be 7 whole numbers"),
        ([[0] * 7], "actions must be 7 whole numbers"),
        ([0.0] * 7, "float64"),
        ([True] * 7, "bool"),
        (["0"] * 7, "whole numbers"),
    ],
)
def test_illegal_bids_change_nothing(bids: Any, says: str) -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    with pytest.raises(IllegalActionError, match=says):
        game.step(np.array(bids))
    assert states_equal(game, untouched)
    assert len(game.scene()["pairs"]) == 0
    game.step(np.full(7, 3, np.uint8))
    untouched.step(np.full(7, 3))
    assert states_equal(game, untouched)


@pytest.mark.parametrize("allocation", ["dict", "coin", "turn"])
def test_without_bids_only_zero_is_legal(allocation: str) -> None:
    game = new_game(1, allocation=allocation, **FIELDS)
    assert game.action_mask().sum() == 7
    with pytest.raises(IllegalActionError, match="agent 0 bids 1; allowed: 0 … 0"):
        game.step(np.array([1, 0, 0, 0, 0, 0, 0]))


def test_nothing_happens_before_reset() -> None:
    game = MatchingGame(**FIELDS)
    with pytest.raises(RuntimeError, match="reset"):
        game.step(np.zeros(7, int))
    with pytest.raises(RuntimeError, match="reset"):
        game.observations()


class Tables(NamedTuple):
    """A policy as rollouts see it."""

    thresholds: Any
    row_of_agent: Any


def broke_bids_one(game: MatchingGame) -> NDArray[np.float64]:
    probabilities = nothing(game)
    probabilities[7, :2] = 0.5, 0.5  # urgency 1, karma 0
    return probabilities


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (lambda g: Tables(thresholds_of(nothing(g)[None, :-1]), np.zeros(7, int)), "14 observations and 7"),
        (lambda g: Tables(thresholds_of(np.full((1, 14, 33), 1 / 33)), np.zeros(7, int)), "14, 64"),
        (lambda g: Tables(thresholds_of(nothing(g)), np.zeros(7, int)), "thresholds are"),
        (lambda g: Tables(thresholds_of(nothing(g)[None]).astype(int), np.zeros(7, int)), "int64"),
        (lambda g: Tables(thresholds_of(nothing(g)[None]), np.zeros(6, int)), "6 agents; the game has 7"),
        (lambda g: Tables(thresholds_of(nothing(g)[None]), np.arange(7)), "values 0 … 6; allowed: 0 … 0"),
        (lambda g: Tables(thresholds_of(nothing(g)[None]), np.full(7, -1)), "values -1 … -1"),
        (lambda g: Tables(thresholds_of(np.full((1, 14, 7), 1 / 7)), np.zeros(7, int)), "1 in observation 0"),
        (lambda g: Tables(thresholds_of(broke_bids_one(g)[None]), np.zeros(7, int)), "1 in observation 7"),
        (lambda g: Tables(np.zeros((1, 14, 32), np.uint16), np.zeros(7, int)), "must rise to 65535"),
        (lambda g: Tables(falling(g), np.zeros(7, int)), "row 1: thresholds must rise"),
        (lambda g: Tables(too_wide(g), np.zeros(7, int)), "row 0: thresholds must rise"),
        (lambda g: Tables(np.asfortranarray(two_rows(g)), np.zeros(7, int)), "contiguous"),
        (lambda g: Tables(two_rows(g)[::-1], np.zeros(7, int)), "contiguous"),
    ],
)
def test_policies_that_do_not_fit_are_refused(policy: Callable[[MatchingGame], Tables], says: str) -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    with pytest.raises(PolicyError, match=says):
        game.rollout(policy(game), 3)
    assert states_equal(game, untouched)


def two_rows(game: MatchingGame) -> NDArray[np.uint16]:
    return thresholds_of(np.stack([nothing(game)] * 2))


def falling(game: MatchingGame) -> NDArray[np.uint16]:
    table = two_rows(game)
    table[1, 3, :3] = 9, 8, 9
    return table


def too_wide(game: MatchingGame) -> NDArray[np.uint16]:
    """A row whose last possible action is beyond the game's seven."""
    probabilities = np.pad(nothing(game), ((0, 0), (0, 3)))
    probabilities[13] = 0.1
    return thresholds_of(probabilities[None])


def test_a_policy_that_fits_one_game_is_checked_by_another() -> None:
    policy = random_policy(new_game(1, **FIELDS), 1)
    with pytest.raises(PolicyError, match="observation"):
        new_game(1, **FIELDS, allocation="dict").rollout(policy, 3)


def test_buffers_that_do_not_fit_are_refused() -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    policy = random_policy(game, 3)
    for out in (Transitions.empty(5, 8), Transitions.empty(5, 6), Transitions.empty(4, 7)):
        with pytest.raises(ValueError, match=r"do not fit in out|of 7 agents have observations"):
            game.rollout(policy, 5, out)
    with pytest.raises(ValueError, match="n_steps"):
        game.rollout(policy, 0)
    assert states_equal(game, untouched)


# --- rules of the user -----------------------------------------------------------------------------


@kernel
def half_to_each(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    to_loser = min(winner_bid // 2, karma_max - loser_karma)
    return to_loser, winner_bid - to_loser


def a_fee(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0, min(winner_bid, 1)


@pytest.mark.parametrize(
    ("payment", "karma_after"),
    [
        (half_to_each, {(5, 7)}),  # 2 to the peer; 2 to society, of which 1 goes back to each
        (a_fee, {(8, 4), (7, 5)}),  # 1 to society, which goes to one of them
    ],
)
def test_payments_of_the_user_are_played(payment: Any, karma_after: Any) -> None:
    game = two_agents((8, 4), payment=payment)
    game.step(np.array([4, 2]))
    assert tuple(situation(game).karma.tolist()) in karma_after


def creates(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return min(1, karma_max - loser_karma), winner_bid


def overdraws(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0, winner_bid + (winner_bid == 2)


def exceeds(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return winner_bid, 0


def takes(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return -(loser_karma == 3), 0


def splits_units(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0.0, 0.5 * winner_bid


@pytest.mark.parametrize(
    ("payment", "arguments", "gives"),
    [
        (creates, "winner_bid 0, loser_bid 0, loser_karma 0", "(1, 0)"),
        (overdraws, "winner_bid 2, loser_bid 0, loser_karma 0", "(0, 3)"),
        (exceeds, "winner_bid 1, loser_bid 0, loser_karma 3", "(1, 0)"),
        (takes, "winner_bid 0, loser_bid 0, loser_karma 3", "(-1, 0)"),
    ],
)
def test_broken_payments_are_refused_with_their_arguments(payment: Any, arguments: str, gives: str) -> None:
    with pytest.raises(ConfigError) as refused:
        MatchingGame(n_agents=4, karma_max=3, karma_mean=1, payment=payment)
    assert "payment = " in str(refused.value)
    assert f"; with {arguments}, karma_max 3 it gives {gives}" in str(refused.value)
    assert f"it gives {gives}" in str(refused.value)


def test_payments_of_parts_of_units_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"payment = .*two whole numbers, not \(0.0, 0.0\)"):
        MatchingGame(n_agents=4, karma_max=3, karma_mean=1, payment=splits_units)


def lowest_bid(bid, urgency, accesses, parameters):  # type: ignore[no-untyped-def]
    return -bid


def pays_the_other_bid(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0, loser_bid


def test_payments_are_tried_on_what_the_allocation_allows() -> None:
    # With the lowest bid winning, the loser's bid can be more than the winner has.
    with pytest.raises(ConfigError, match="payment"):
        MatchingGame(n_agents=4, karma_max=3, karma_mean=1, payment=pays_the_other_bid, allocation=lowest_bid)


def taxes_the_idle(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return 0.0 if crowding > 0 else karma + 1.0, True


def subsidises(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return -1.0, True


def not_a_number(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return karma / 0.0 - karma / 0.0, True


@pytest.mark.parametrize("redistribution", [taxes_the_idle, subsidises, not_a_number])
def test_broken_redistributions_are_refused(redistribution: Any) -> None:
    with pytest.raises(ConfigError, match=r"redistribution = .*0 <= tax <= karma; with karma 0"):
        MatchingGame(n_agents=4, karma_max=3, karma_mean=1, redistribution=redistribution)


def test_redistribution_by_resource_is_refused() -> None:
    for rule in ("by_resource", "by_lane", Rule("own", kernel(subsidises), by_resource=True)):
        with pytest.raises(ConfigError, match=r"redistribution = .* that is not by resource"):
            MatchingGame(redistribution=rule)


def test_an_allocation_of_the_users_own() -> None:
    rule = Rule("lowest_bid", kernel(lowest_bid))
    game = two_agents((8, 4), allocation=rule)
    assert game.step(np.array([4, 2])).tolist() == [-1, 0]
    assert situation(game).karma.tolist() == [10, 2]


# --- state, observations, start --------------------------------------------------------------------


def test_a_saved_state_continues_with_the_same_bits() -> None:
    game = new_game(1, **FIELDS)
    policy = random_policy(game, 3)
    game.rollout(policy, 20)
    saved = game.state_dict()
    kept = {name: array.copy() for name, array in saved.items()}
    expected = game.rollout(policy, 30)
    for name, array in saved.items():
        np.testing.assert_array_equal(array, kept[name])  # a copy: play goes on without it
    fresh = MatchingGame(**FIELDS)
    fresh.load_state_dict(saved)
    assert_same(expected, fresh.rollout(policy, 30))
    assert states_equal(game, fresh)
    np.testing.assert_array_equal(saved["karma"], kept["karma"])


@pytest.mark.parametrize("damage", ["missing", "shape", "dtype"])
def test_a_state_that_does_not_fit_is_refused(damage: str) -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    state = new_game(2, **FIELDS).state_dict()
    if damage == "missing":
        del state["urgency"]
    elif damage == "shape":
        state["urgency"] = state["urgency"][:-1]
    else:
        state["urgency"] = state["urgency"].astype(np.float64)
    with pytest.raises(ValueError, match="'urgency'"):
        game.load_state_dict(state)
    assert states_equal(game, untouched)


def test_observations_say_what_the_index_says() -> None:
    types = [AgentType(1, 0.9, (1, 2)), AgentType(1, 0.9, (0, 3, 4))]
    game = new_game(1, n_agents=9, types=types, karma_max=4, karma_mean=2, initial_karma="uniform")
    now, observations = situation(game), game.observations()
    low, high = game.observation_bounds
    assert observations.dtype == np.float32
    assert observations.shape == (9, len(low)) == (9, 4)
    assert (low <= observations).all()
    assert (observations <= high).all()
    urgency = [types[k].urgencies[u] for k, u in zip(game.type_of_agent, now.urgency_index)]
    np.testing.assert_allclose(observations[:, 0], np.array(urgency) / 4, rtol=1e-6)
    np.testing.assert_allclose(observations[:, 1], now.karma / 4, rtol=1e-6)
    np.testing.assert_array_equal(observations[:, 2:], np.eye(2)[game.type_of_agent])
    np.testing.assert_array_equal(game.action_mask(), np.arange(5) <= now.karma[:, None])
    assert game.action_mask().dtype == np.int8
    assert game.type_of_agent.tolist() == [0] * 5 + [1] * 4
    assert (game.best_reward, game.worst_reward) == (0, -4)
    one_type = new_game(1, **FIELDS).observations()
    assert one_type.shape == (7, 2)


def test_what_the_game_returns_can_be_written_without_harm() -> None:
    game, untouched = (new_game(1, **FIELDS) for _ in range(2))
    for each in (game, untouched):
        each.step(np.full(7, 2))
    outcome = game.outcome()
    arrays = [game.observations(), game.observation_index(), game.action_mask(), outcome.rewards]
    arrays += [outcome.accesses, outcome.contests, outcome.karma, outcome.losses_if_never]
    arrays += [array for array in game.scene().values() if isinstance(array, np.ndarray)]
    arrays += list(game.state_dict().values())
    for array in arrays:
        array[...] = 1
    assert states_equal(game, untouched)
    np.testing.assert_array_equal(game.scene()["bids"], untouched.scene()["bids"])


@pytest.mark.parametrize("mean", [0, 0.5, 3.3, 10, 19.9, 20])
@pytest.mark.parametrize("initial_karma", ["equal", "uniform"])
def test_karma_starts_with_the_exact_total(initial_karma: str, mean: float) -> None:
    for seed in range(5):
        game = new_game(seed, n_agents=50, karma_mean=mean, initial_karma=initial_karma)
        karma = situation(game).karma
        assert karma.sum() == round(50 * mean)
        assert karma.min() >= 0
        assert karma.max() <= 20
        if initial_karma == "equal":
            assert karma.max() - karma.min() <= 1


def test_units_that_do_not_divide_go_to_random_agents() -> None:
    # Mean 2.5: half the agents start with 3; over 400 starts each is binomial(400, 1/2).
    game = MatchingGame(n_agents=10, karma_mean=2.5)
    rng = np.random.default_rng(6)
    more = np.zeros(10)
    for _ in range(400):
        game.reset(rng)
        more += situation(game).karma == 3
    assert more.sum() == 2000
    assert np.abs(more - 200).max() < 4.5 * np.sqrt(100)


def test_karma_starts_as_distributed() -> None:
    n_agents = 20_000
    given = (0.4, 0.0, 0.1, 0.3, 0.2)
    game = new_game(7, n_agents=n_agents, karma_max=4, karma_mean=1.9, initial_karma=given)
    karma = situation(game).karma
    assert karma.sum() == 1.9 * n_agents
    counts = np.bincount(karma, minlength=5)
    # The total was corrected by |Z| units, Z with sd sqrt(N var) = 228: at most that many moved.
    spread = np.sqrt(n_agents * (given @ np.arange(5) ** 2 - 1.9**2))
    error = 4 * np.sqrt(n_agents * np.array(given) * (1 - np.array(given))) + 4 * spread
    assert (np.abs(counts - n_agents * np.array(given)) <= error).all()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_play(name: str) -> None:
    game = new_game(1, **PRESETS[name])
    rng = np.random.default_rng(2)
    for _ in range(3):
        check_step(game, random_bids(game, rng))


def test_an_outcome_since_an_earlier_one() -> None:
    game = new_game(1, **FIELDS)
    policy = random_policy(game, 3)
    game.rollout(policy, 10)
    earlier = game.outcome()
    rewards = game.rollout(policy, 15).rewards
    stretch = game.outcome().since(earlier)
    assert stretch.steps == 15
    np.testing.assert_allclose(stretch.rewards, rewards.sum(axis=0))
    assert stretch.accesses.sum() == 15 * 3
    assert stretch.contests.sum() == 15 * 6
    np.testing.assert_allclose(stretch.losses_if_never, -3 * stretch.contests)


def test_every_pair_of_rules_meets() -> None:
    for (i, family), (j, other) in product(enumerate([ALLOCATIONS, PAYMENTS, REDISTRIBUTIONS]), repeat=2):
        if i < j:
            met = {(rules[i], rules[j]) for rules in EVERY_PAIR_OF_RULES}
            assert met == set(product(family, other))
