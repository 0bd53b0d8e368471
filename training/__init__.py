"""Training: runs, their results on disk, evaluation, figures, and the ``karma-envs`` command."""

from karma_envs.plugins import require_own

require_own("agents")

from training.config import TrainConfig  # noqa: E402
from training.results import ResultsError, Run  # noqa: E402
from training.train import Interrupted, train  # noqa: E402

__all__ = ["Interrupted", "ResultsError", "Run", "TrainConfig", "train"]
