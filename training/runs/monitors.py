"""Looking at a run while it trains (Thesis, Figures 4.3 and 6.4), without disturbing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluators import (
    EstimatorConfig,
    PayoffEstimates,
    exploitability_by_agent,
    parallel_exploitability,
    payoff_estimates,
)
from agents.evaluators.exploitability.play import stationary
from agents.learners import TabularLearner
from agents.policies.tabular import TabularPolicy
from karma_envs.meaning import ESTIMATE, STATIONARY, Meaning
from karma_envs.states import check_arrays, check_values
from training.common.tables import Row
from training.runs.config import TrainConfig
from training.solving.known import equilibrium_policies

_ROUNDING = 1e-6  # of probabilities


class Monitor:
    """Tells how exploitable a learner's policies are, or how far their payoffs move, as they explore.

    Args:
        config: of the run; ``monitor`` says what to look at.
        number: the replica's; with the seed it determines the random draws of the estimates.

    Raises:
        ConfigError: when the game does not allow what ``monitor`` asks for.
    """

    def __init__(self, config: TrainConfig, number: int) -> None:
        self._config, self._number = config, number
        self._game = stationary(config.make_game())
        self._payoffs_before: PayoffEstimates | None = None
        self._mean_field: NDArray[np.float64] | None = None

    @property
    def meaning(self) -> Meaning | None:
        """Which exploitability is looked at; None where it is payoffs."""
        model = self._game.mean_field()
        if self._config.monitor == "exact" and model is not None:
            return model.meaning
        of_play = Meaning(self._game.n_agents, ESTIMATE, STATIONARY)
        return of_play if self._config.monitor == "parallel" else None

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """What the next look depends on: where the population was found at rest by the last one."""
        return {} if self._mean_field is None else {"mean_field": self._mean_field}

    def load_state_dict(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what :meth:`state_dict` said.

        Raises:
            ValueError: when these are not the arrays of such a monitor.
        """
        if "mean_field" in arrays:
            shape = (self._game.n_agents, self._game.n_observations)
            check_arrays("monitor", arrays, {"mean_field": np.empty(shape)})
            check_values("monitor", arrays, {"mean_field": (-_ROUNDING, 1 + _ROUNDING)})
            self._mean_field = arrays["mean_field"]

    def before_epoch(self, learner: TabularLearner) -> None:
        """Look at what the coming epoch will change."""
        if self._config.monitor == "payoff":
            self._payoffs_before = self._payoffs(learner)

    def after_epoch(self, learner: TabularLearner, step: int) -> Row:
        """What there is to say at a step, the end of the epoch."""
        if self._config.monitor == "payoff":
            said = self._payoff_change(learner)
        else:
            said = self._exploitability(learner.policy.copy(), step)
        return {"replica": self._number, "step": step, **said}

    def _payoffs(self, learner: TabularLearner) -> PayoffEstimates:
        """With the same random draws each time, so that only policies and Q differ."""
        return payoff_estimates(
            self._game, learner.policy.copy(), learner.q, seed=[self._config.seed, self._number, 2]
        )

    def _payoff_change(self, learner: TabularLearner) -> Row:
        """Mean payoff J, and the largest change of an agent's by one epoch (equation 4.4, Table 4.1)."""
        assert self._payoffs_before is not None
        payoffs = self._payoffs(learner)
        return {
            "payoff": float(payoffs.values.mean()),
            "payoff_change_max": self._payoffs_before.largest_change(payoffs),
        }

    def _exploitability(self, policy: TabularPolicy, step: int) -> Row:
        """Payoff J, exploitability, and what the equilibrium's policy gains.

        The last is NaN where no equilibrium of the mean field is known.
        """
        known = equilibrium_policies(self._config.game, self._config.game_config)
        targets = [target.fitted_to(self._game) for target in known]
        if self._config.monitor == "exact":
            exact = exploitability_by_agent(self._game, policy, targets=targets, start=self._mean_field)
            self._mean_field = exact.mean_field  # the next policies will be little different
            payoff, gain, to_targets = exact.payoff, exact.absolute, exact.to_targets.mean(axis=0)
        else:
            estimate = parallel_exploitability(
                self._game,
                policy,
                targets=targets,
                config=EstimatorConfig(),
                seed=[self._config.seed, self._number, 2, step],
            )
            payoff, gain = estimate.payoff.value, estimate.mean_greedy.value
            to_targets = np.array([each.value for each in estimate.mean_to_targets])
        scale = abs(payoff) or 1.0
        to_equilibrium = float(to_targets[0]) if len(to_targets) else float("nan")
        return {
            "payoff": payoff,
            "exploitability": gain,
            "exploitability_normalised": gain / scale,
            "equilibrium_gain": to_equilibrium,
            "equilibrium_gain_normalised": to_equilibrium / scale,
        }
