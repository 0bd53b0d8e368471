"""Figure 5.1: how often an update of policy mirror ascent leads away from the equilibrium."""

from __future__ import annotations

from agents.evaluators import Violations, contractivity_violations
from karma_envs.game import MeanFieldModel
from training.experiments.experiment import Experiment, Published
from training.experiments.violations import violation_figure, violation_rows
from training.results import Row

_POLICIES = {"quick": 40, "full": 400}


def _condition(model: MeanFieldModel, rationality: float, n_policies: int, seed: int) -> Violations:
    return contractivity_violations(model, rationality, n_policies=n_policies, n_updates=20, seed=seed)


def _run(scale: str, seed: int) -> list[Row]:
    return violation_rows(_condition, _POLICIES[scale], seed)


EXPERIMENT = Experiment(
    name="fig-5-1",
    title="Figure 5.1: violations of contractivity of policy mirror ascent",
    source="Vaishampayan 2024, Figure 5.1",
    run=_run,
    figures={"violations": violation_figure},
    published=tuple(
        Published(f"{mechanism}, beta 1, gamma 0", "fraction", 0.0, 0.001, "said to hold in all experiments")
        for mechanism in ("PBP", "PBS")
    ),
    notes=(
        "Random policies with at least the equilibrium's entropy, 20 updates each. The figure prints no "
        "numbers but says that there are violations at every regularisation, fewer with more of it and "
        "with less discounting of the present, and none for a discount factor of 0."
    ),
)
