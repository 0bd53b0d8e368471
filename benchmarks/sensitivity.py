"""What derivatives of the default game's equilibrium cost, over a solve: CPU time, medians of ratios.

python benchmarks/sensitivity.py                 # --rounds N for more of them
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import agents
import karma_envs

_CALLS = 5  # of which the median is taken, in each round


def seconds(call: Callable[[], object]) -> float:
    """The CPU time of a call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="each a solve, and derivatives beside it")
    rounds = parser.parse_args().rounds
    game, beside = karma_envs.make("matching"), karma_envs.make("matching", discount=0.979)
    equilibrium = agents.solve(game)
    calls: dict[str, Callable[[], object]] = {
        "one parameter (discount)": lambda: agents.sensitivity(equilibrium, game, ["discount"]),
        "all parameters": lambda: agents.sensitivity(equilibrium, game),
        "a solve of a neighbour, discount .979, from it": lambda: agents.solve(beside, start=equilibrium),
    }
    solves: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()  # compiles
    for _ in range(rounds):
        solves.append(seconds(lambda: agents.solve(game)))
        for name, call in calls.items():
            ratios[name].append(median(seconds(call) for _ in range(_CALLS)) / solves[-1])
    print("| what | CPU ms | over a solve |\n|---|---|---|")
    print(f"| a solve | {1000 * median(solves):.0f} | 1 |")
    for name, each in ratios.items():
        print(f"| {name} | {1000 * median(each) * median(solves):.1f} | {median(each):.3f} |")


if __name__ == "__main__":
    main()
