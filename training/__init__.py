"""Training: runs, their results on disk, evaluation, figures, and the ``karma-envs`` command."""

from training.config import TrainConfig
from training.results import ResultsError, Run
from training.train import Interrupted, train

__all__ = ["Interrupted", "ResultsError", "Run", "TrainConfig", "train"]
