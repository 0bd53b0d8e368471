"""Figure 5.2: how often a policy beats the equilibrium's in its own mean field."""

from __future__ import annotations

from agents.evaluators import Violations, monotonicity_violations
from karma_envs.game import MeanFieldModel
from training.experiments.experiment import Experiment
from training.experiments.violations import violation_figure, violation_rows
from training.results import Row


def _condition(model: MeanFieldModel, rationality: float, n_policies: int, seed: int) -> Violations:
    return monotonicity_violations(model, rationality, n_policies=n_policies, seed=seed)


def _run(scale: str, seed: int) -> list[Row]:
    return violation_rows(_condition, scale, seed)


EXPERIMENT = Experiment(
    name="fig-5-2",
    title="Figure 5.2: violations of generalised monotonicity",
    source="Vaishampayan 2024, Figure 5.2",
    run=_run,
    figures={"violations": violation_figure},
    notes=(
        "The figure prints no numbers but says that a large fraction of random policies violates the "
        "condition, the more the weaker the regularisation."
    ),
)
