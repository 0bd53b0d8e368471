"""Training runs that several experiments share: each is trained once, and kept."""

from __future__ import annotations

import time
from pathlib import Path

from training.common.config import to_yaml
from training.common.errors import ResultsError
from training.common.trust import functions_named
from training.reproduction.reproduce import announcer
from training.runs.config import TrainConfig
from training.runs.folder import Run
from training.runs.replica import Observer, Replica
from training.runs.train import train

FOLDER = Path("runs") / "reproductions"


def kept_run(config: TrainConfig, name: str) -> Run:
    """A finished run, trained now if it has not been, gone on with if it was interrupted.

    Args:
        config: of the run.
        name: of its folder in ``runs/reproductions``.

    Raises:
        ResultsError: when the folder holds a run of another configuration.
        Interrupted: after Ctrl-C; the next call goes on from there.
    """
    folder = FOLDER / name
    if not (folder / "config.yaml").is_file():
        return train(config, folder, observer=_progress(config, name))
    run = Run.open(folder, known=functions_named(config.to_dict()))
    if to_yaml(run.config) != to_yaml(config):
        raise ResultsError(f"{folder} holds a run of another configuration; delete it or move it away")
    if all(run.policy_path(replica).is_file() for replica in range(config.replicas)):
        return run
    return train(config, folder, resume=True, observer=_progress(config, name))


def _progress(config: TrainConfig, name: str) -> Observer:
    """Says once a second how far the training is and how long it will take."""
    announce = announcer()
    began = said = 0.0
    first = 0

    def observe(replica: Replica, rate: float) -> None:
        nonlocal began, said, first
        now = time.perf_counter()
        if not began:
            began, first = now, replica.epoch
        if now - said < 1:
            return
        said = now
        done, left = replica.epoch - first, config.n_epochs - replica.epoch
        minutes = (now - began) / max(done, 1) * left / 60
        announce(f"training {name}, {replica.epoch / config.n_epochs:.0%}, {minutes:.0f} min left")

    return observe
