"""Buffers of transitions: what kernels would write beyond, or wrap in, is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import karma_envs
from agents.learners import TabularLearner
from karma_envs.baselines import PlayedPolicy, baseline_policy
from karma_envs.game import PolicyError
from karma_envs.transitions import Transitions, chunks, even_parts, play_on
from tests.own_games import OWN_GAMES, OwnGame

N = 6

MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "narrow observations": ({"observations": np.zeros((6, N), np.uint8)}, r"uint16\[6, 6\]; these are uint8"),
    "wide actions": ({"actions": np.zeros((5, N), np.int64)}, r"uint16\[5, 6\]; these are int64\[5, 6\]"),
    "wide rewards": ({"rewards": np.zeros((5, N))}, r"float32\[5, 6\]; these are float64\[5, 6\]"),
    "no observations after": (
        {"observations": np.zeros((5, N), np.uint16)},
        r"uint16\[6, 6\]; these are .*5, 6\]",
    ),
    "fewer rewards": (
        {"rewards": np.zeros((4, N), np.float32)},
        r"float32\[5, 6\]; these are float32\[4, 6\]",
    ),
    "fewer agents": ({"observations": np.zeros((6, N - 1), np.uint16)}, r"these are uint16\[6, 5\]"),
    "flat": ({"rewards": np.zeros(5, np.float32)}, r"these are float32\[5\]"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_buffers_that_kernels_must_not_see_are_refused(misfit: str) -> None:
    """By rollouts, which write into them, and by learners, which read them."""
    arrays, says = MISFITS[misfit]
    game = karma_envs.make("matching", n_agents=N)
    game.reset(np.random.default_rng(0))
    buffer = replace(Transitions.empty(5, N), **arrays)
    before = game.state_dict()
    with pytest.raises(ValueError, match=rf"^transitions of 5 steps of 6 agents have .*{says}"):
        game.rollout(baseline_policy("random", game), 2, out=buffer)
    for name, array in game.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    learner = TabularLearner(game)
    with pytest.raises(ValueError, match=says):
        learner.update(buffer)


def test_rows_of_agents_are_whole_numbers() -> None:
    game = karma_envs.make("matching", n_agents=N)
    game.reset(np.random.default_rng(0))
    thresholds, rows = baseline_policy("random", game)
    with pytest.raises(PolicyError, match="row_of_agent must be whole numbers; it is float64"):
        game.rollout(PlayedPolicy(thresholds, rows.astype(float)), 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("game", OWN_GAMES)
def test_chunks_are_one_rollout_in_pieces(game: type[OwnGame]) -> None:
    """Of at most so many bytes, and of one game where it ends; then it begins anew from its own streams."""
    own, other = game(), game()
    for each in (own, other):
        each.reset(np.random.default_rng(0))
    policy, most = own.uniform_policy(), 3 * own.transitions(0).bytes_per_step
    steps, rewards = [], np.zeros(own.n_agents)
    for done, chunk in chunks(own, policy, 10, most_bytes=most):
        assert done == sum(steps)
        steps.append(len(chunk))
        assert chunk.ended is own.is_over
        rewards += chunk.rewards.sum(axis=0)
    longest = min(3, game.length or 3)
    expected = {None: [3, 3, 3, 1], 1: [1] * 10, 3: [3, 3, 3, 1], 4: [3, 1, 3, 1, 2]}[game.length]
    assert steps == expected
    assert max(steps) == longest
    np.testing.assert_allclose(own.outcome().rewards, rewards, rtol=1e-6)
    play_on(other, policy, 10)
    assert other.outcome().steps == 10
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, own.state_dict()[name])
    assert list(chunks(own, policy, 0)) == []


def test_chunks_write_into_what_they_are_given() -> None:
    game = OWN_GAMES[0]()
    game.reset(np.random.default_rng(0))
    room = game.transitions(2)
    pieces = [(done, len(chunk)) for done, chunk in chunks(game, game.uniform_policy(), 5, out=room)]
    assert pieces == [(0, 2), (2, 1), (3, 2)]
    (chunk,) = (chunk for _, chunk in chunks(game, game.uniform_policy(), 1, out=room))
    assert np.shares_memory(chunk.rewards, room.rewards)


def test_a_piece_of_transitions_has_ended_if_it_is_all_of_them() -> None:
    whole = replace(Transitions.empty(3, 2), ended=True)
    assert whole[:3].ended
    assert not whole[:2].ended
    assert not whole.first(3).ended
    assert whole.of_agents(np.array([1])).ended
    assert whole.of_agents(np.array([1])).rewards.shape == (3, 1)
    boxes = Transitions.empty(3, 2, (np.float32, (4,)), (np.float32, (1,)))
    assert (boxes.observations.shape, boxes.actions.shape) == ((4, 2, 4), (3, 2, 1))
    assert (whole.bytes_per_step, boxes.bytes_per_step) == (2 * 8, 2 * 24)
    with pytest.raises(ValueError, match=r"actions uint16\[3, 2\]; these are float32\[3, 2, 1\]"):
        boxes.check(2, (np.float32, (4,)))


@given(st.integers(1, 10**6), st.integers(1, 50))
def test_even_parts_differ_by_one_at_most(n_steps: int, parts: int) -> None:
    lengths = even_parts(n_steps, parts)
    assert len(lengths) == parts
    assert sum(lengths) == n_steps
    assert max(lengths) - min(lengths) <= 1
