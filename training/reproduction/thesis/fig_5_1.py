"""Figure 5.1: how often an update of policy mirror ascent leads away from the equilibrium."""

from __future__ import annotations

from agents.evaluators import Violations, contractivity_violations
from karma_envs.mean_field import FiniteMeanFieldModel
from training.common.tables import Row
from training.reproduction.experiment import Experiment, Published
from training.reproduction.thesis.violations import violation_figure, violation_rows

_POLICIES = {"quick": 40, "full": 400}


def _condition(model: FiniteMeanFieldModel, rationality: float, n_policies: int, seed: int) -> Violations:
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
        "Random policies with at least the equilibrium's entropy, 20 updates each; a policy violates the "
        "condition if one of them leads away. The figure prints no numbers. The Thesis says that violations "
        "become fewer with more regularisation and that there are none at a discount factor of 0: so do we. "
        "It also says that there are some at every regularisation, beta = 1 included, and that they become "
        "fewer with less patience: **we find none at beta = 1 to 3**, so that there is nothing to become "
        "fewer; the worst ratio of distances falls with the discount factor. Its distribution of random "
        "policies and its distance of policies are not printed; ours are in the evaluator's documentation."
    ),
)
