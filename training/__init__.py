"""Training: runs, their results on disk, evaluation, figures, and the ``karma-envs`` command."""

from karma_envs.plugins import require_own

require_own("agents")

from training.common.config import TrainConfig  # noqa: E402
from training.common.errors import ResultsError
from training.common.workers import Interrupted
from training.runs.folder import Run
from training.runs.train import train

__all__ = ["Interrupted", "ResultsError", "Run", "TrainConfig", "train"]
