"""Figure 5.2: how often a policy beats the equilibrium's in its own mean field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agents.evaluators import Violations, monotonicity_violations
from karma_envs.mean_field import FiniteMeanFieldModel
from training.common.tables import Row
from training.reproduction.experiment import Experiment
from training.reproduction.thesis.violations import violation_figure, violation_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_POLICIES = {"quick": 40, "full": 200}
_VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    ", with entropy": {"entropy_in_value": True},
    ", along updates": {"n_updates": 20},
}
"""How the condition is read, by what is appended to a case's name."""


def _run(scale: str, seed: int) -> list[Row]:
    rows: list[Row] = []
    for variant, reading in _VARIANTS.items():

        def condition(
            model: FiniteMeanFieldModel,
            rationality: float,
            n_policies: int,
            seed: int,
            reading: dict[str, Any] = reading,
        ) -> Violations:
            return monotonicity_violations(model, rationality, n_policies=n_policies, seed=seed, **reading)

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
        "The figure prints no numbers, but the Thesis says that a large fraction of random policies violates "
        "the condition, the more the weaker the regularisation. How we read that decides. Equation 5.10 of "
        "the random policies themselves: none violates it, because a random policy loses to the "
        "equilibrium's in almost any mean field. With the entropy of policies in payoffs, as in Table 5.1: "
        "violations are frequent at beta = 1 and vanish as regularisation weakens, the opposite of what is "
        "said. Of the policies that 20 updates of policy mirror ascent lead to, which is how Figure 5.1's "
        "experiment goes on and this one is said to be in the same setting: hardly any at strong "
        "regularisation and nearly all from beta = 10 on, **which is what the Thesis says**. Over discount "
        "factors, at beta = 1, that reading has all policies violate it at .6 and below, by gains of .03 at "
        "most; the Thesis' text does not say what its figure shows there."
    ),
)
