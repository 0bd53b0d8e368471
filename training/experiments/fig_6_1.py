"""Figure 6.1: social outcomes of learned policies for different discount factors, PBP and PBS.

N = 200, beta = 5 in place of exploration, T = 10,000 steps, beside DICT, COIN and TURN and beside the
logit equilibrium of the mean-field game at the same beta.

Differences from the source: the figure's discount factors are not printed; these are ours. The quick
scale starts Q near its final values, so that fewer steps do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agents import solve
from agents.learners import LearnerConfig
from karma_envs.baselines import baseline_policy
from karma_envs.game import PopulationGame, SamplingPolicy
from karma_envs.metrics import summarise
from karma_envs.registry import make
from training.config import TrainConfig
from training.evaluate import play
from training.experiments.experiment import Experiment, mean_over_seeds
from training.plots.figures import COLOURS, new_figure
from training.results import Row
from training.train import Replica

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DISCOUNTS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
_STEPS = {"quick": 1_000_000, "full": 32_000_000}
_PAYMENTS = {"PBP": "pay_bid_to_peer", "PBS": "pay_bid_to_society"}
_REFERENCES = ("DICT", "COIN", "TURN")
_QUANTITIES = ("efficiency", "reward_fairness", "access_fairness")


def _measured(case: str, discount: float, game: PopulationGame, policy: SamplingPolicy, seed: int) -> Row:
    found = summarise(play(game, policy, n_steps=10_000, burn_in=1000, seed=[61, seed]))
    numbers = {name: getattr(found, name).value for name in _QUANTITIES}
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
            learner = LearnerConfig(rationality=5.0, exploration=0.0, initial_q=start)
            config = TrainConfig(game_config=settings, learner=learner, n_steps=_STEPS[scale], seed=seed)
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


def _lines(panel: Axes, rows: Sequence[Row], quantity: str) -> None:
    for colour, mechanism in zip(COLOURS, _PAYMENTS):
        for kind, style in (("learned", "o-"), ("logit", "x:")):
            found = [mean_over_seeds(rows, f"{mechanism} {one:g} {kind}", quantity) for one in _DISCOUNTS]
            means, errors = zip(*found)
            label = f"{mechanism}, {kind}"
            panel.errorbar(_DISCOUNTS, means, errors, fmt=style, color=colour, markersize=4, label=label)
    for style, reference in zip(("--", ":", "-."), _REFERENCES):
        level = mean_over_seeds(rows, reference, quantity)[0]
        panel.axhline(level, color="0.35", linewidth=1, linestyle=style, label=reference)
    panel.set(xlabel="discount", ylabel=quantity.replace("_", " "))


def _figure(rows: Sequence[Row]) -> Figure:
    figure, axes = new_figure(10.0, 3.2, 3)
    for panel, quantity in zip(axes, _QUANTITIES):
        _lines(panel, rows, quantity)
    axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


EXPERIMENT = Experiment(
    name="fig-6-1",
    title="Figure 6.1: social outcomes by discount factor",
    source="Vaishampayan 2024, Figure 6.1",
    run=_run,
    figures={"by_discount": _figure},
    notes=(
        "The figure prints no numbers, so there are no verdicts. What it says is that efficiency and "
        "fairness rise with the discount factor, and that both mechanisms beat DICT's reward fairness "
        "at high discount factors."
    ),
)
