"""Figure 6.1: social outcomes of learned policies for different discount factors, PBP and PBS.

N = 200, beta = 5 in place of exploration, T = 10,000 steps, beside DICT, COIN and TURN and beside the
logit equilibrium of the mean-field game at the same beta.

Differences from the source: the figure's discount factors are not printed; these are ours. Below .95
a quarter of the Thesis' 3.2e7 steps does at full scale: values settle in about 1/(alpha (1 - gamma))
visits, 1000 at .9, and there are 17,000 to a state and bid on average. The quick scale starts Q near its
final values, so that fewer steps do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agents import solve
from agents.learners import TabularConfig
from karma_envs.baselines import baseline_policy
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.registry import make
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.evaluation.play import measure
from training.reproduction.experiment import Experiment
from training.reproduction.numbers import mean_over_seeds
from training.runs.config import TrainConfig
from training.runs.replica import Replica

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DISCOUNTS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
_STEPS = {"quick": 1_000_000, "full": 32_000_000}
_SETTLES_SOON = 0.95  # discounts below
_PAYMENTS = {"PBP": "pay_bid_to_peer", "PBS": "pay_bid_to_society"}
_REFERENCES = ("DICT", "COIN", "TURN")
_QUANTITIES = ("efficiency", "reward_fairness", "access_fairness")


def _measured(case: str, discount: float, game: PopulationGame, policy: SamplingPolicy, seed: int) -> Row:
    summary = measure(game, policy, n_steps=10_000, burn_in=1000, seed=[61, seed])
    numbers = {name: summary[name].value for name in _QUANTITIES}
    return {"case": case, "discount": discount, **numbers}


def _run(scale: str, seed: int) -> list[Row]:
    rows = []
    for reference in _REFERENCES:
        game = make("matching", n_agents=200, allocation=reference.lower())
        rows.append(_measured(reference, float("nan"), game, baseline_policy("bid_nothing", game), seed))
    for mechanism, payment in _PAYMENTS.items():
        for discount in _DISCOUNTS:
            settings: dict[str, Any] = {"n_agents": 200, "payment": payment, "discount": discount}
            game = make("matching", **settings)
            start = -1.0 / (1 - discount) if scale == "quick" else 0.0
            learner = TabularConfig(rationality=5.0, exploration=0.0, initial_q=start)
            steps = _STEPS[scale] // (4 if scale == "full" and discount < _SETTLES_SOON else 1)
            config = TrainConfig(game_config=settings, learner=learner, n_steps=steps, seed=seed)
            replica = Replica(config, 0)
            while not replica.finished:
                replica.run_epoch()
            learned = replica.learner.policy
            rows.append(_measured(f"{mechanism} {discount:g} learned", discount, game, learned, seed))
            model = game.mean_field()
            assert model is not None
            logit = solve(model, rationality=5.0).policy.for_agents(game.type_of_agent)
            rows.append(_measured(f"{mechanism} {discount:g} logit", discount, game, logit, seed))
    return rows


_KINDS = {"learned": "o-", "logit": "x:"}


def _places(rows: Sequence[Row], mechanism: str, kind: str, quantity: str) -> tuple[list[float], list[float]]:
    """Means and standard errors by discount."""
    found = [mean_over_seeds(rows, f"{mechanism} {one:g} {kind}", quantity) for one in _DISCOUNTS]
    return [value for value, _ in found], [error for _, error in found]


def _against_efficiency(panel: Axes, rows: Sequence[Row]) -> None:
    for colour, mechanism in zip(COLOURS, _PAYMENTS):
        for kind, style in _KINDS.items():
            x, x_errors = _places(rows, mechanism, kind, "efficiency")
            y, y_errors = _places(rows, mechanism, kind, "access_fairness")
            panel.errorbar(x, y, y_errors, x_errors, style, color=colour, markersize=4)
    for marker, reference in zip("Ds^", _REFERENCES):
        at = [mean_over_seeds(rows, reference, one)[0] for one in ("efficiency", "access_fairness")]
        panel.plot(*at, marker, color="0.35", markersize=5)
        panel.annotate(reference, (at[0], at[1]), (4, 4), textcoords="offset points", color="0.35")
    panel.set(xlabel="efficiency", ylabel="access fairness over 10,000 steps")


def _by_discount(panel: Axes, rows: Sequence[Row], quantity: str) -> None:
    for colour, mechanism in zip(COLOURS, _PAYMENTS):
        for kind, style in _KINDS.items():
            values, errors = _places(rows, mechanism, kind, quantity)
            label = f"{mechanism}, {kind}"
            panel.errorbar(_DISCOUNTS, values, errors, fmt=style, color=colour, markersize=4, label=label)
    for style, reference in zip(("--", ":", "-."), _REFERENCES):
        level = mean_over_seeds(rows, reference, quantity)[0]
        panel.axhline(level, color="0.35", linewidth=1, linestyle=style, label=reference)
    panel.set(xlabel="discount", ylabel=quantity.replace("_", " "))


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(11.0, 3.4, 3)
    _against_efficiency(axes[0], rows)
    _by_discount(axes[1], rows, "reward_fairness")
    _by_discount(axes[2], rows, "efficiency")
    axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


EXPERIMENT = Experiment(
    name="fig-6-1",
    title="Figure 6.1: social outcomes by discount factor",
    source="Vaishampayan 2024, Figure 6.1",
    run=_run,
    figures={"social_outcomes": _figure},
    notes=(
        "The figure prints no numbers, so there are no verdicts. What it says holds: efficiency rises with "
        "the discount factor towards DICT's, with PBS ahead of PBP; access fairness is better than DICT's; "
        "reward fairness rises too, and both mechanisms beat DICT's at high discount factors. Learned "
        "outcomes are those of the logit equilibrium up to .95. At .99 Q has not settled after 3.2e7 steps "
        "from 0, and is more efficient than that equilibrium."
    ),
)
