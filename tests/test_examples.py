"""Every example runs, without a warning, and prints what it says it does."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))

# A pattern that the output must hold, by example; a new one need only print something.
PRINTED = {
    "01_play_pettingzoo": r"(player_00\d: urgency [15], karma .*\n){4}the episode ends\n$",
    "02_single_learner_gymnasium": r"learned +mean reward -1\.0\d\d ± 0\.01\d",
    "03_vector_population": r"random bids +mean reward -1\.(50|49).*\nup to 6 when urgent +mean reward -1\.0",
    "04_train_and_plot": r"(?s)step +300000 +efficiency while learning -1\.1.*policy_change\.png\n$",
    "05_own_payment_rule": r"half to the peer +learned efficiency -1\.0.*\n\nrefused: .* gives \(1, 0\)",
    "06_compare_mechanisms": r"PBP.* -1\.0\d.*\nPBS.* -1\.0\d.*\nDICT.* -1\.00.*\nCOIN.* -1\.[45]",
    "07_how_exploitable": (
        r"mean field, exact: .* 0\.[2-5]\d, .*\n50 agents, estimate: .* 0\.[2-5]\d+ ± .*\n"
        r"50 agents, estimate of a lower bound: 0\.[2-5]"
    ),
    "08_your_road_network": r"routes none +coin .* -1\.[23](.*\n){7}.* 468 .*\n(from .* [567]\.\d .*\n){3}",
    "09_own_algorithm": (
        r"learned +efficiency -1\.[01].*\nrandom +efficiency -1\.[45].*\n.* 0\.0\d\d \(mean field, exact"
    ),
    "10_own_game": r"keeps all contracts\nshares of the roads: \[0\.6",
    "11_stable_baselines": (
        r"PPO +eff.* -1\.[12].*\nrandom .* -1\.(50|49).*\nDICT.* -1\.0.*\n"
        r"COIN.* -1\.[45].*\nTURN.* -1\.[45].*\n"
        r"(.*exploit.*\n)+equil.* 0\.000 \(mean field, exact\)\n.*bids\.png\n$"
    ),
    "12_rllib": r"(agent-step .* -1\.\d{3}\n){5}PPO +eff.* -1\.2.*\nrandom +eff.* -1\.(50|49)",
    "13_torchrl": r"TorchRL +eff.* -1\.[12].*\nrandom +eff.* -1\.(50|49).*\nTorchRL +norm.* 0\.[01]",
    "14_benchmarl": r"MARL +eff.* -1\.[123].*\nrandom +eff.* -1\.(50|49).*\nBenchMARL +norm.* 0\.[01]",
    "15_tianshou": r"DQN gains [01]\.\d+ ±(.*\n){3}all DQN +eff.* -1\.[123].*\nrandom +eff.* -1\.(50|49)",
    "16_agilerl": r"(mean bids .*\n){2}IPPO +eff.* -1\.[123].*\nrandom +eff.* -1\.(50|49)",
    "17_ppo_single_file": r"PPO +eff.* -1\.1.*\nrandom .* -1\.(50|49).*\nequilibrium +eff.* -1\.0",
}


def test_examples_are_numbered() -> None:
    names = [path.stem for path in EXAMPLES]
    assert [int(name[:2]) for name in names] == list(range(1, len(names) + 1))
    assert PRINTED.keys() <= set(names)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    """In an empty folder, where it leaves nothing."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    (tmp_path / "work").mkdir()
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=tmp_path / "work",
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary"), "PYTHONIOENCODING": "utf-8"},
        timeout=300,
    )
    if done.stderr.startswith("this example needs "):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.search(PRINTED.get(path.stem, r"\w"), done.stdout), done.stdout
    assert list((tmp_path / "work").iterdir()) == []
