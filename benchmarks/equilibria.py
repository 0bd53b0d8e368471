"""What exact equilibria of matching games cost: CPU seconds and memory of ``agents.solve``, a process each.

python benchmarks/equilibria.py                  # all games; --only NAME for some
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

GAMES: dict[str, dict[str, Any]] = {
    "default": {},
    "pay bid to society": {"payment": "pay_bid_to_society"},
    "two types": {"types": [{"discount": 0.7}, {"discount": 0.9}]},
    "pay capped bid to peer": {"payment": "pay_capped_bid_to_peer"},
    "discount .99999": {"discount": 0.99999},
    "karma_max 60": {"karma_max": 60, "karma_mean": 30},
    "karma_max 150": {"karma_max": 150, "karma_mean": 75},
}


def solved(fields: dict[str, Any]) -> dict[str, Any]:
    """Solve a game once kernels are compiled; what it took."""
    import karma_envs
    from agents import solve

    solve(karma_envs.make("matching", **{**fields, "karma_max": 4, "karma_mean": 2}))
    game = karma_envs.make("matching", **fields)
    began = time.process_time()
    found = solve(game)
    return {
        "seconds": time.process_time() - began,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "steps": len(found.history),
        "efficiency": found.efficiency,
        "exploitability": found.exploitability_normalised,
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=GAMES, help="a game; may be given several times")
    parser.add_argument("--in-process", choices=GAMES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        print(json.dumps(solved(GAMES[arguments.in_process])))
        return
    print("| game | CPU s | peak MB | steps | efficiency | normalised exploitability, mean field, exact |")
    print("|---|---|---|---|---|---|")
    for name in arguments.only or GAMES:
        answer = subprocess.run(
            [sys.executable, __file__, "--in-process", name], check=True, capture_output=True, text=True
        )
        row = json.loads(answer.stdout)
        print(
            f"| {name} | {row['seconds']:.2f} | {row['megabytes']:.0f} | {row['steps']} | "
            f"{row['efficiency']:.5f} | {row['exploitability']:.0e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
