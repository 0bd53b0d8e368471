"""Figure 5.2: how often a policy beats the equilibrium's in its own mean field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.evaluators import Violations, monotonicity_violations
from karma_envs.game import MeanFieldModel
from training.experiments.experiment import Experiment
from training.experiments.violations import violation_figure, violation_rows
from training.results import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_POLICIES = {"quick": 40, "full": 1000}
_VARIANTS = {"": False, ", with entropy": True}
"""Whether payoffs count the entropy of the policy, by what is appended to a case's name."""


def _run(scale: str, seed: int) -> list[Row]:
    rows: list[Row] = []
    for variant, counts in _VARIANTS.items():

        def condition(
            model: MeanFieldModel, rationality: float, n_policies: int, seed: int, counts: bool = counts
        ) -> Violations:
            return monotonicity_violations(
                model, rationality, n_policies=n_policies, seed=seed, entropy_in_value=counts
            )

        found = violation_rows(condition, _POLICIES[scale], seed)
        rows += [{**row, "case": row["case"] + variant} for row in found]
    return rows


def _figure(rows: Sequence[Row]) -> Figure:
    return violation_figure(rows, tuple(_VARIANTS))


EXPERIMENT = Experiment(
    name="fig-5-2",
    title="Figure 5.2: violations of generalised monotonicity",
    source="Vaishampayan 2024, Figure 5.2",
    run=_run,
    figures={"violations": _figure},
    notes=(
        "The figure prints no numbers but the Thesis says that a large fraction of random policies violates "
        "the condition, the more the weaker the regularisation (Table 5.1, where payoffs count entropy; in "
        "equation 5.10 they do not). **Neither reading confirms that** with our random policies, whose "
        "distribution the Thesis does not print: without entropy none violates it, because a random policy "
        "loses to the equilibrium's in almost any mean field; with entropy violations are frequent at beta = "
        "1 and vanish as the regularisation weakens."
    ),
)
