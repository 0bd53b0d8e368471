"""Speed and memory of simulation, learning, training and views, as a Markdown table of medians.

    python benchmarks/speed.py [--quick] [--output benchmarks/speed.md]

Takes about ten minutes, a few with --quick. Rates are in millions of agent-steps per second; the
machine should be quiet.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import karma_envs
from agents.learners import TabularConfig, TabularLearner
from karma_envs import matching_v0
from karma_envs.game import PopulationGame
from karma_envs.transitions import Transitions
from karma_envs.views.vector import PopulationVectorEnv
from training.runs.config import TrainConfig
from training.runs.replica import Replica

SIZES = (100, 1000, 10_000, 100_000)
PAYMENTS = ("pay_bid_to_peer", "pay_bid_to_society")
Rows = list[tuple[str, ...]]


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of ``work``, which has run before."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def warmed_up(
    n_agents: int, payment: str, number: int = 0, epoch_length: int = 1000, **learner: object
) -> Replica:
    """A replica past its first epochs, in which policies are still uniform and change everywhere."""
    config = TrainConfig(
        game_config={"n_agents": n_agents, "payment": payment},
        learner=TabularConfig.from_dict({"initial_q": -50.0, **learner}),
        epoch_length=epoch_length,
        n_steps=epoch_length * 10**6,
        records=1,
    )
    replica = Replica(config, number)
    for _ in range(max(1, 2_000_000 // (epoch_length * n_agents))):
        replica.run_epoch()
    return replica


def million(agent_steps: float, taken: float) -> str:
    """A rate in millions per second."""
    return f"{agent_steps / taken / 1e6:.1f}"


def simulation_and_learning(repeats: int, sizes: tuple[int, ...]) -> Rows:
    """Rollout, learning from the buffer, and training, on one core and on two."""
    rows: Rows = [("N", "payment", "rollout", "learning", "training, 1 core", "training, 2 cores", "ratio")]
    for payment in PAYMENTS:
        for n_agents in sizes:
            replica = warmed_up(n_agents, payment)
            game, learner, buffer = replica.game, replica.learner, replica.room
            chunks = max(1, 5_000_000 // (len(buffer) * n_agents))

            def play(game: PopulationGame = game, buffer: Transitions = buffer, n: int = chunks,
                     learner: TabularLearner = learner) -> None:  # fmt: skip
                for _ in range(n):
                    game.rollout(learner.policy, len(buffer), out=buffer)

            def learn(
                buffer: Transitions = buffer, n: int = chunks, learner: TabularLearner = learner
            ) -> None:
                for _ in range(n):
                    learner.update(buffer, end_of_epoch=False)

            played, learned = seconds(play, repeats), seconds(learn, repeats)
            epochs = max(1, 20_000_000 // (1000 * n_agents))

            def train(replica: Replica, n: int = epochs) -> None:
                for _ in range(n):
                    replica.run_epoch()

            one = seconds(lambda replica=replica: train(replica), repeats)  # type: ignore[misc]
            pair = [replica, warmed_up(n_agents, payment, 1)]
            with ThreadPoolExecutor(2) as pool:
                two = seconds(lambda pair=pair: list(pool.map(train, pair)), repeats)  # type: ignore[misc]
            steps = chunks * len(buffer) * n_agents
            trained = epochs * 1000 * n_agents
            rows.append(
                (
                    f"{n_agents:,}",
                    "PBP" if payment == PAYMENTS[0] else "PBS",
                    million(steps, played),
                    million(steps, learned),
                    million(trained, one),
                    million(2 * trained, two),
                    f"{2 * one / two:.2f}",
                )
            )
            print(rows[-1], file=sys.stderr)
    return rows


def city(repeats: int, n_agents: int = 1000) -> Rows:
    """The congested grid city with a policy per agent: rollout, learning, policies, training."""
    rows: Rows = [
        ("epoch", "rollout", "learning", "policy update", "training, 1 core", "Q and policy, bytes per agent")
    ]
    for epoch_length in (100, 1000):
        config = TrainConfig(
            game="grid_city",
            game_config={"n_agents": n_agents},
            learner=TabularConfig(rationality=10.0),
            epoch_length=epoch_length,
            n_steps=epoch_length * 10**6,
            records=1,
        )
        replica = Replica(config, 0)
        learner, buffer, agent_steps = replica.learner, replica.room, epoch_length * n_agents
        for _ in range(2_000_000 // agent_steps):
            replica.run_epoch()
        chunks = epoch_length // len(buffer)
        times: list[list[float]] = [[], [], []]
        for _ in range(10 * repeats):
            parts = [0.0, 0.0, 0.0]
            for _ in range(chunks):
                start = time.perf_counter()
                replica.game.rollout(learner.policy, len(buffer), out=buffer)
                played = time.perf_counter()
                learner.update(buffer, end_of_epoch=False)
                learned = time.perf_counter()
                parts[0] += played - start
                parts[1] += learned - played
            start = time.perf_counter()
            learner.update_policy()
            parts[2] = time.perf_counter() - start
            for found, part in zip(times, parts):
                found.append(part)
        tables = (learner.q.nbytes + learner.policy.thresholds.nbytes) / n_agents
        taken = [statistics.median(found) for found in times] + [seconds(replica.run_epoch, 10 * repeats)]
        rates = [million(agent_steps, each) for each in taken]
        rows.append((f"{epoch_length:,}", *rates, f"{tables:,.0f}"))
        print(rows[-1], file=sys.stderr)
    return rows


def thresholds(repeats: int) -> Rows:
    """The malware game, in which all play the threshold of its equilibrium, in chunks that stay in cache."""
    rows: Rows = [("N", "agent-steps/s")]
    for n_agents in (1000, 10_000, 100_000):
        game = karma_envs.make("malware", n_agents=n_agents)
        game.reset(np.random.default_rng(0))
        _, policy = game.references()["smfe"]
        room = game.transitions(200_000 // n_agents)

        def play(n: int = 100, game: PopulationGame = game, policy: object = policy,
                 room: Transitions = room) -> None:  # fmt: skip
            for _ in range(n):
                game.rollout(policy, len(room), out=room)

        play(1)
        rows.append((f"{n_agents:,}", million(100 * len(room) * n_agents, seconds(play, repeats))))
        print(rows[-1], file=sys.stderr)
    return rows


def algorithms(repeats: int) -> Rows:
    """Training with each algorithm and grouping, and with epochs of one step, at N = 100."""
    rows: Rows = [("training at N = 100, PBP", "agent-steps/s")]
    for name, epoch_length, learner in (
        ("SARSA", 1000, {}),
        ("Q-learning", 1000, {"algorithm": "q_learning"}),
        ("expected SARSA", 1000, {"algorithm": "expected_sarsa"}),
        ("SARSA, centralised per type", 1000, {"grouping": "per_type"}),
        ("SARSA, pooled per type", 1000, {"grouping": "pooled"}),
        ("SARSA, epoch length 1", 1, {}),
        ("Q-learning, epoch length 1", 1, {"algorithm": "q_learning"}),
    ):
        replica = warmed_up(100, PAYMENTS[0], epoch_length=epoch_length, **learner)
        epochs = 10_000_000 // (100_000) if epoch_length > 1 else 20_000

        def train(replica: Replica = replica, epochs: int = epochs) -> None:
            for _ in range(epochs):
                replica.run_epoch()

        rate = million(epochs * epoch_length * 100, seconds(train, repeats))
        rows.append((name, rate))
        print(rows[-1], file=sys.stderr)
    return rows


def views(repeats: int) -> Rows:
    """Microseconds per agent and step of each view, acting with legal actions made beforehand."""
    rows: Rows = [
        ("N", "ParallelEnv µs/agent", "AEC µs/agent", "VectorEnv µs/agent", "VectorEnv M agent-steps/s")
    ]
    for n_agents in (4, 100, 1000):
        steps = max(20, 100_000 // n_agents)
        parallel = matching_v0.parallel_env(n_agents=n_agents, max_cycles=10**9)
        parallel.reset(seed=0)
        bids = dict.fromkeys(parallel.agents, 0)

        def step_parallel(env: object = parallel, bids: dict[str, int] = bids, n: int = steps) -> None:
            for _ in range(n):
                env.step(bids)  # type: ignore[attr-defined]

        turns = matching_v0.raw_env(n_agents=n_agents, max_cycles=10**9)
        turns.reset(seed=0)

        def step_turns(env: object = turns, n: int = max(2, steps // 20) * n_agents) -> None:
            for _ in range(n):
                env.last()  # type: ignore[attr-defined]
                env.step(0)  # type: ignore[attr-defined]

        vector = PopulationVectorEnv("matching", n_agents=n_agents, max_cycles=10**9)
        vector.reset(seed=0)
        nothing = np.zeros(n_agents, np.int64)

        def step_vector(env: PopulationVectorEnv = vector, n: int = steps) -> None:
            for _ in range(n):
                env.step(nothing)  # noqa: B023

        times = []
        for work, n in ((step_parallel, steps), (step_turns, max(2, steps // 20)), (step_vector, steps)):
            work()
            times.append(seconds(work, repeats) / (n * n_agents))
        rows.append((f"{n_agents:,}", *(f"{1e6 * t:.3f}" for t in times), f"{1e-6 / times[2]:.1f}"))
        print(rows[-1], file=sys.stderr)
    return rows


def memory_and_import(repeats: int) -> Rows:
    """Bytes per agent that learning holds, and how long the import takes in a fresh process."""
    replica = warmed_up(1000, PAYMENTS[0])
    learner, state = replica.learner, replica.game.state_dict()
    command = [sys.executable, "-c", "import karma_envs"]
    subprocess.run(command, check=True)

    def clock() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare = time.perf_counter() - start
        start = time.perf_counter()
        subprocess.run(command, check=True)
        return time.perf_counter() - start - bare

    return [
        ("what", "figure"),
        (
            "Q and policy, bytes per agent",
            f"{(learner.q.nbytes + learner.policy.thresholds.nbytes) / 1000:.0f}",
        ),
        ("game state, bytes per agent", f"{sum(array.nbytes for array in state.values()) / 1000:.0f}"),
        ("largest transition buffer, MB (N = 100,000)", f"{_buffer_megabytes(100_000):.0f}"),
        ("import karma_envs, s", f"{statistics.median(clock() for _ in range(2 * repeats + 1)):.2f}"),
    ]


def _buffer_megabytes(n_agents: int) -> float:
    buffer = Replica(TrainConfig(game_config={"n_agents": n_agents}), 0).room
    return (buffer.observations.nbytes + buffer.actions.nbytes + buffer.rewards.nbytes) / 1e6


def markdown(rows: Rows) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def cpu_model() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    """Measure everything and print or write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats, N up to 1000")
    parser.add_argument("--output", type=Path, help="write the report here too")
    options = parser.parse_args()
    repeats, sizes = (3, SIZES[:2]) if options.quick else (5, SIZES)
    sections = [
        "# Speed",
        f"Medians of {repeats} on {os.cpu_count()} cores, {cpu_model()}; "
        f"karma-envs {karma_envs.__version__}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}, {datetime.date.today()}. "
        "Made by `python benchmarks/speed.py`.",
        "## Simulation, learning, training: million agent-steps per second\n\n"
        "SARSA, epochs of 1000 steps. Two cores: two replicas in two threads.",
        markdown(simulation_and_learning(repeats, sizes)),
        "## Congested grid city: million agent-steps per second on one core\n\n"
        "N = 1,000, SARSA, a policy per agent, rationality 10.",
        markdown(city(repeats)),
        "## Malware: million agent-steps per second on one core",
        markdown(thresholds(repeats)),
        "## Algorithms: million agent-steps per second on one core",
        markdown(algorithms(repeats)),
        "## Views",
        markdown(views(repeats)),
        "## Memory and import",
        markdown(memory_and_import(repeats)),
    ]
    report = "\n\n".join(sections) + "\n"
    print(report)
    if options.output is not None:
        options.output.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
