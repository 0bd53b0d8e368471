"""Matching and the grid city play, look and learn to the bit as they did when ``bits.json`` was recorded.

``bits.json`` holds, by case, digests of arrays (their dtype and shape included) and a few numbers to read
when a digest differs. It was recorded before the contract of games was opened to games of other kinds, which
was to change nothing of these. When a case fails, look for what changed: a draw more or less from a random
stream, a dtype, another order of floating-point operations. Old seeds then play differently for users, so
only a change that is *meant* to do that, and says so in the changelog, is a reason to record anew:

    python -m tests.recorded.test_recorded_bits

What is played is whole numbers from random streams of our own, the same on every machine. What is learned is
in single precision, where a processor that multiplies and adds in one rounding (``fma``) ends otherwise than
one that does not, and a threshold moved by 1/65535 may change all that follows. So training is compared to
the bit only where it rounds as where it was recorded: compiled, on x86-64 with ``fma``. Elsewhere (generic
code and ``NUMBA_DISABLE_JIT=1`` were tried) its first epoch is, which is played before anything was learned;
and what was learned from it, to 1e-6.

NumPy draws the starts of games and may change how (NEP 19). When cases fail already at ``start`` with another
version of NumPy, and pass with the old one, record anew.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import gymnasium
import llvmlite.binding
import numpy as np
import pytest
from numpy.typing import NDArray

import karma_envs
from agents import TabularPolicy
from karma_envs import grid_city_v0, matching_v0
from training import TrainConfig, train

FILE = Path(__file__).with_name("bits.json")
Record = dict[str, Any]

TWO_TYPES = (
    {"share": 1, "discount": 0.9},
    {"share": 2, "discount": 0.98, "urgencies": (1, 3, 9), "urgency_transition": (0.5, 0.25, 0.25)},
)
MATCHING: dict[str, dict[str, Any]] = {
    "pay_bid_to_peer": {},
    "pay_bid_to_society": {"payment": "pay_bid_to_society"},
    "odd": {"n_agents": 31, "initial_karma": "uniform"},
    "two_types": {"n_agents": 30, "types": TWO_TYPES},
    "tax": {"payment": "second_price", "redistribution": "tax(rate=0.1)"},
    "memory": {"urgency_transition": ((0.9, 0.1), (0.5, 0.5)), "payment": "pay_bid_to_society"},
    "turn": {"allocation": "turn_taking"},
}
CITY: dict[str, dict[str, Any]] = {
    "thesis": {},
    "by_resource": {
        "n_agents": 101,
        "karma_mean": 8,
        "rows": 2,
        "columns": 2,
        "redistribution": "by_resource",
    },
    "turn": {"n_agents": 100, "rows": 2, "columns": 2, "allocation": "turn_taking"},
    "town": {"n_agents": 100, "network": "town", "paths_per_agent": 1},
}
ROUTES: dict[str, dict[str, Any]] = {
    "default": {},
    "trip": {"n_agents": 100, "rows": 2, "columns": 2, "route_choice": "trip"},
}


METRICS = ("replica", "step", "window", "efficiency", "access_fairness", "reward_fairness")


def digest(*arrays: Any) -> str:
    """The first half of the SHA-256 of arrays: of their dtypes, shapes and values."""
    total = sha256()
    for array in map(np.ascontiguousarray, arrays):
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()[:32]


def chosen(legal_actions: NDArray[np.bool_], step: int) -> NDArray[np.int64]:
    """``int64[N]``: legal actions ``bool[N, A]`` taken in turn, other ones by each agent and in each step."""
    number = (7 * np.arange(len(legal_actions)) + 3 * step) % legal_actions.sum(axis=1)
    return np.asarray((legal_actions.cumsum(axis=1) > number[:, None]).argmax(axis=1), np.int64)


def policy(game: Any, n_rows: int = 3) -> TabularPolicy:
    """One that is nowhere uniform, the same on every machine: weights are small whole numbers."""
    row, observation, action = np.indices((n_rows, game.n_observations, game.n_actions))
    weights = ((5 * row + 3 * observation + 7 * action) % 11 + 1) * game.legal_actions
    return TabularPolicy(weights / weights.sum(axis=2, keepdims=True), np.arange(game.n_agents) % n_rows)


def play(name: str, fields: Mapping[str, Any], n_steps: int) -> Record:
    """Record two rollouts, the second into the first one's room, then single steps."""
    game: Any = karma_envs.make(name, **fields)
    game.reset(np.random.default_rng(7))
    record: Record = {"start": digest(game.observation_index(), game.observations())}
    played = game.rollout(policy(game), n_steps)
    record["rollout"] = digest(played.observations, played.actions, played.rewards)
    record["rollout_reward"] = float(played.rewards.sum(dtype=np.float64))
    record["rollout_actions"] = int(played.actions.sum(dtype=np.int64))
    played = game.rollout(policy(game, 2), n_steps // 2, out=played)
    record["second_rollout"] = digest(played.observations, played.actions, played.rewards)
    steps = []
    for step in range(n_steps // 2):
        rewards = game.step(chosen(game.legal_actions[game.observation_index()], step))
        steps += [rewards, game.observation_index(), game.observations(), game.action_mask()]
    record["steps"] = digest(*steps)
    record["last_rewards"] = rewards[:6].tolist()
    outcome = game.outcome()
    record["totals"] = digest(outcome.rewards, outcome.accesses, outcome.contests, outcome.counted)
    record["karma"] = digest(outcome.karma)
    record["accesses"] = int(outcome.accesses.sum())
    record["efficiency"] = float(outcome.rewards.sum() / outcome.counted.sum())
    return record


def actions_to_try(mask: NDArray[np.int8], step: int) -> NDArray[np.int64]:
    """Legal ones, and in every third step some that no game has or that are illegal."""
    actions = chosen(mask.astype(bool), step)
    if step % 3 == 2:
        actions[::4] = mask.shape[1] - 1
        actions[1::8] = -1
    return actions


def vector_view(env_id: str, n_agents: int, observation: str, **fields: Any) -> Record:
    """Record two and a half episodes of ``make_vec``; what infos say by the names that trainers read."""
    envs: Any = gymnasium.make_vec(
        env_id, n_agents, "vector_entry_point", max_episode_steps=12, observation=observation, **fields
    )
    observations, infos = envs.reset(seed=11)
    arrays: list[Any] = []
    earned, n_illegal = 0.0, 0
    for step in range(31):
        nested = observations if observation == "dict" else {"observation": observations, **infos}
        mask = nested["action_mask"]
        arrays += [nested["observation"], mask]
        observations, rewards, terminated, truncated, infos = envs.step(actions_to_try(mask, step))
        illegal = infos.get("illegal_action", np.zeros(n_agents, bool))
        arrays += [rewards, terminated, truncated, illegal, "TimeLimit.truncated" in infos]
        earned, n_illegal = earned + float(rewards.sum()), n_illegal + int(illegal.sum())
    envs.close()
    return {"episodes": digest(*arrays), "reward": earned, "illegal": n_illegal, "last": rewards[:6].tolist()}


def parallel_view(make_env: Callable[..., Any], observation: str, **fields: Any) -> Record:
    """Record an episode with a seed and one that goes on from it, by agent; infos as above."""
    env = make_env(max_cycles=12, observation=observation, **fields)
    flags = ("illegal_action", "TimeLimit.truncated")
    arrays: list[Any] = []
    earned, n_illegal = 0.0, 0
    for seed in (11, None):
        observations, infos = env.reset(seed=seed)
        step = 0
        while env.agents:
            masks = [
                (observations if observation == "dict" else infos)[name]["action_mask"] for name in env.agents
            ]
            taken = actions_to_try(np.array(masks), step)
            *result, infos = env.step(dict(zip(env.agents, taken.tolist())))
            observations, rewards, terminated, truncated = result
            for name, mask in zip(env.possible_agents, masks):
                shown = observations[name]["observation"] if observation == "dict" else observations[name]
                said = [infos[name].get(flag, False) for flag in flags]
                arrays += [mask, shown, rewards[name], terminated[name], truncated[name], said]
                n_illegal += said[0]
            arrays.append(env.state())
            earned += sum(rewards.values())
            step += 1
    return {"episodes": digest(*arrays), "reward": earned, "illegal": n_illegal, "steps": step}


def training(game: str, **fields: Any) -> Record:
    """Record a run of two replicas, under ``first_epoch`` what does not depend on the machine's rounding."""
    config = TrainConfig.from_flat(
        game, None, {"replicas": 2, "threads": 1, "records": 4, "seed": 5, "initial_q": -20.0, **fields}
    )
    tables: list[NDArray[np.float32]] = []
    first: Record = {}

    def look(replica: Any, rate: float) -> None:
        q, legal = replica.learner.q, replica.game.legal_actions
        learned = q[..., : legal.shape[1]][:, legal]
        if not first:
            now = replica.game.observation_index(), replica.game.outcome().rewards
            first.update(played=digest(*now), q_mean=float(learned.mean(dtype=np.float64)))
            first.update(q_lowest=float(learned.min()), q_highest=float(learned.max()))
        if replica.finished:
            tables.append(learned.copy())

    with tempfile.TemporaryDirectory() as folder:
        run = train(config, Path(folder) / "run", observer=look)
        policies, rows = run.policies, run.metrics
    return {
        "first_epoch": first,
        "q": digest(*tables),
        "thresholds": digest(
            *(each.thresholds for each in policies), *(each.row_of_agent for each in policies)
        ),
        "metrics": [[row[name] for name in METRICS] for row in rows],
    }


MATCHING_RUN = {"n_steps": 4000, "epoch_length": 200}
CITY_RUN = {"n_agents": 50, "rows": 2, "columns": 2, "n_steps": 2000, "epoch_length": 100}
TRAINED: dict[str, Callable[[], Record]] = {
    "train/matching/independent": partial(training, "matching", n_agents=20, **MATCHING_RUN),
    "train/matching/pooled": partial(
        training,
        "matching",
        **MATCHING_RUN,
        n_agents=30,
        types=TWO_TYPES,
        grouping="pooled",
        algorithm="q_learning",
        learning_rate_schedule="linear",
        learning_rate_final=0.001,
        update_probability=0.5,
    ),
    "train/matching/per_type": partial(
        training,
        "matching",
        **MATCHING_RUN,
        n_agents=21,
        payment="pay_bid_to_society",
        grouping="per_type",
        algorithm="expected_sarsa",
        rationality=10.0,
    ),
    "train/grid_city": partial(training, "grid_city", **CITY_RUN),
    "train/grid_city_routes": partial(training, "grid_city_routes", **CITY_RUN, grouping="pooled"),
}
PLAYED: dict[str, Callable[[], Record]] = {
    **{f"play/matching/{name}": partial(play, "matching", MATCHING[name], 200) for name in MATCHING},
    **{f"play/grid_city/{name}": partial(play, "grid_city", CITY[name], 60) for name in CITY},
    **{
        f"play/grid_city_routes/{name}": partial(play, "grid_city_routes", ROUTES[name], 60)
        for name in ROUTES
    },
    "vector/matching": partial(vector_view, "karma_envs/Matching-v0", 10, "flat"),
    "vector/matching/dict": partial(
        vector_view, "karma_envs/Matching-v0", 10, "dict", payment="pay_bid_to_society"
    ),
    "vector/grid_city": partial(vector_view, "karma_envs/GridCity-v0", 40, "flat", rows=2, columns=2),
    "parallel/matching": partial(parallel_view, matching_v0.parallel_env, "flat", n_agents=10),
    "parallel/matching/dict": partial(parallel_view, matching_v0.parallel_env, "dict", n_agents=9),
    "parallel/grid_city": partial(
        parallel_view, grid_city_v0.parallel_env, "flat", n_agents=40, rows=2, columns=2
    ),
}


def rounds_as_recorded() -> bool:
    """Whether compiled code rounds here as where ``bits.json`` was recorded."""
    compiled = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
    fused = dict(llvmlite.binding.get_host_cpu_features()).get("fma", False)
    return compiled and fused and platform.machine().lower() in ("x86_64", "amd64")


def recorded() -> dict[str, Record]:
    records: dict[str, Record] = json.loads(FILE.read_text())
    return records


def test_every_case_is_recorded_and_no_other() -> None:
    assert list(recorded()) == [*PLAYED, *TRAINED]


@pytest.mark.parametrize("case", PLAYED)
def test_the_same_is_played(case: str) -> None:
    assert PLAYED[case]() == recorded()[case]


@pytest.mark.parametrize("case", TRAINED)
def test_the_same_is_learned(case: str) -> None:
    record, expected = TRAINED[case](), recorded()[case]
    first, expected_first = record.pop("first_epoch"), expected.pop("first_epoch")
    assert first.pop("played") == expected_first.pop("played")
    assert first == pytest.approx(expected_first, rel=1e-6)
    if rounds_as_recorded():
        np.testing.assert_allclose(record.pop("metrics"), expected.pop("metrics"), rtol=1e-9)
        assert record == expected


if __name__ == "__main__":
    if not rounds_as_recorded():
        raise SystemExit("record compiled, on x86-64 with fma")
    records = {case: record() for case, record in {**PLAYED, **TRAINED}.items()}
    lines = ",\n".join(f"{json.dumps(case)}: {json.dumps(record)}" for case, record in records.items())
    FILE.write_text(f"{{\n{lines}\n}}\n")
