"""Training: runs, their results on disk, evaluation, figures, and the ``karma-envs`` command."""

from karma_envs.plugins import require_own

require_own("agents")

from training.common.errors import ResultsError  # noqa: E402
from training.common.workers import Interrupted  # noqa: E402
from training.runs.config import TrainConfig  # noqa: E402
from training.runs.folder import Run  # noqa: E402
from training.runs.train import train  # noqa: E402

__all__ = ["Interrupted", "ResultsError", "Run", "TrainConfig", "train"]
