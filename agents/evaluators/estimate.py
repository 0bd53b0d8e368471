"""Estimated exploitability: what it takes to estimate it, and the result, with its meaning and errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config, real, refuse, whole
from karma_envs.display import Said
from karma_envs.metrics import Estimate

STATIONARY = "any stationary policy of one agent, all others fixed"


@dataclass(frozen=True)
class MonitorConfig(Config):
    """How to estimate values by learning them (Thesis, Algorithms 3 and 4).

    The number of samples and the gap are the Thesis' (section 4.1); it gives no burn-in and no step
    size, so these are ours.

    The greatest of noisy Q is too great, and bootstrapping magnifies that as gamma rises. Large steps early
    on cost most, because the common level of Q only moves by alpha (1 - gamma) per visit, up or down. With
    the defaults, the estimate for the default game (gamma = .98, N = 100) ends within .3 of the exact 2.3
    and 2.6 that an exploring equilibrium and learned policies have; steps of .03 at the start take three
    times the burn-in, and a table for each agent leaves it several units too great.

    Attributes:
        n_samples: samples of the values, a multiple of ``batches``.
        gap: steps between two samples, for decorrelation; the samples take n_samples * gap steps.
        burn_in: T_burn in steps, in which values and states settle; rounded up to whole stretches of
            n_samples * gap / batches.
        learning_rate: step size alpha at the start, in (0, 1].
        learning_rate_final: alpha from the end of the burn-in on; in between it falls in equal ratios.
        rationality: beta of the entropy-regularised game with h(pi) = entropy(pi) / beta; None: h = 0.
        pooled: agents of one type share the tables that mean the same for all of them: that of the best
            response, and that of a policy that they have in common. What an agent faces is then that of
            the average agent, which differs by O(1/N) and has the data of all; False for games of few. It
            has no effect in games whose agents are not exchangeable.
        batches: stretches of samples, from which standard errors are told; at least 2.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    n_samples: int = 1000
    gap: int = 100
    burn_in: int = 1_000_000
    learning_rate: float = 0.005
    learning_rate_final: float = 0.0003
    rationality: float | None = None
    pooled: bool = True
    batches: int = 20

    def __post_init__(self) -> None:
        self._set(
            n_samples=whole("n_samples", self.n_samples, 2),
            gap=whole("gap", self.gap, 1),
            burn_in=whole("burn_in", self.burn_in, 0),
            learning_rate=real("learning_rate", self.learning_rate, 0, 1, open_low=True),
            learning_rate_final=real("learning_rate_final", self.learning_rate_final, 0, 1, open_low=True),
            batches=whole("batches", self.batches, 2),
        )
        if self.rationality is not None:
            self._set(rationality=real("rationality", self.rationality, 0, 1e9, open_low=True))
        if self.n_samples % self.batches:
            raise refuse("n_samples", self.n_samples, f"a multiple of batches = {self.batches}")

    @property
    def bin_length(self) -> int:
        """Steps of a stretch of samples."""
        return self.n_samples // self.batches * self.gap

    @property
    def burn_in_bins(self) -> int:
        """Stretches in the burn-in."""
        return -(-self.burn_in // self.bin_length)

    @property
    def samples_per_bin(self) -> int:
        """Samples in a stretch."""
        return self.n_samples // self.batches

    def rate(self, progress: float) -> float:
        """alpha when a share ``progress`` of the burn-in is done."""
        ratio = self.learning_rate_final / self.learning_rate
        return float(self.learning_rate * ratio ** min(progress, 1.0))


@dataclass(frozen=True, repr=False)
class EstimatedExploitability(Said):
    """Estimates of what agents gain by changing their policy while all others keep theirs.

    Values are learned, so they are estimates from finite data: errors of Q bias them beyond the
    standard errors, and the greatest of noisy Q is biased upward.

    Attributes:
        method: how it was estimated.
        kind: ``"estimate"``.
        is_lower_bound: whether ``greedy`` is a lower bound in expectation; the gain to a target policy
            always is one of the exploitability, but for the bias of Q.
        deviation_class: the deviations that ``greedy`` is over.
        agents: ``int64[M]``, whom the entries belong to.
        greedy: ``float64[M]``, payoff of the best response less that of the current policy.
        greedy_standard_errors: ``float64[M]``, by batch means over the samples.
        greedy_actions: ``uint16[M, observations]``, the best response as it was learned;
            :func:`agents.evaluators.deviation_gain` says what it really gains, which is a lower bound.
        to_targets: ``float64[M, targets]``, payoff of a target policy less that of the current one.
        to_targets_standard_errors: ``float64[M, targets]``.
        payoffs: ``float64[M]``, J of the current policy, discounted.
        payoff: mean of ``payoffs``. The standard errors of means are the greater of that over batches
            and that over agents.
        mean_greedy: mean of ``greedy``.
        mean_greedy_normalised: the same over |J|, the magnitude of ``payoff``.
        mean_to_targets: mean of ``to_targets``, for each target.
        mean_to_targets_normalised: the same over |J|.
        history: ``float64[stretches, 1 + targets]``, ``mean_greedy`` and ``mean_to_targets`` over time,
            burn-in included (Figures 4.1 and 4.2); empty for Algorithm 4.
        stretch: steps of a row of ``history``.
    """

    method: str
    kind: str
    is_lower_bound: bool
    deviation_class: str
    agents: NDArray[np.int64]
    greedy: NDArray[np.float64]
    greedy_standard_errors: NDArray[np.float64]
    greedy_actions: NDArray[np.uint16]
    to_targets: NDArray[np.float64]
    to_targets_standard_errors: NDArray[np.float64]
    payoffs: NDArray[np.float64]
    payoff: Estimate
    mean_greedy: Estimate
    mean_greedy_normalised: Estimate
    mean_to_targets: tuple[Estimate, ...]
    mean_to_targets_normalised: tuple[Estimate, ...]
    history: NDArray[np.float64]
    stretch: int

    @property
    def greedy_normalised(self) -> NDArray[np.float64]:
        """``float64[M]``: each agent's greedy exploitability over the magnitude of its own payoff."""
        return self.greedy / np.abs(self.payoffs)

    def _said(self) -> dict[str, str]:
        return {
            "method": self.method,
            "absolute": str(self.mean_greedy),
            "normalised": str(self.mean_greedy_normalised),
            "payoff": str(self.payoff),
            "agents": str(len(self.agents)),
        }

    def __float__(self) -> float:
        return self.mean_greedy.value


def standard_error(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of the mean over the last axis; NaN for one value."""
    n = values.shape[-1]
    if n < 2:
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(values.std(axis=-1, ddof=1) / np.sqrt(n))


def estimate_of(values: NDArray[np.float64]) -> Estimate:
    """Mean of ``values[agents, batches]`` with the greater of its standard errors over either."""
    errors = [standard_error(values.mean(axis=axis)) for axis in (0, 1)]
    return Estimate(float(values.mean()), float(np.fmax(*errors)))


def summarised(
    method: str,
    agents: NDArray[np.int64],
    samples: NDArray[np.float64],
    greedy_actions: NDArray[np.uint16],
    config: MonitorConfig,
    *,
    burn_in_bins: int,
) -> EstimatedExploitability:
    """The result of sampled values.

    Args:
        method: how they were sampled.
        agents: ``int64[M]``.
        samples: ``float64[policies + 1, M, bins]``, mean values: current, targets, best response.
        greedy_actions: ``uint16[M, observations]``.
        config: the configuration.
        burn_in_bins: bins that are transient.
    """
    current, targets, best = samples[0], samples[1:-1], samples[-1]
    gains = np.concatenate([(best - current)[None], targets - current])
    settled, payoff = gains[:, :, burn_in_bins:], current[:, burn_in_bins:]
    means, errors = settled.mean(axis=2), standard_error(settled)
    estimates = [estimate_of(gain) for gain in settled]
    scale = abs(float(payoff.mean()))
    normalised = [
        Estimate(each.value / scale, each.standard_error / scale) if scale else each for each in estimates
    ]
    return EstimatedExploitability(
        method=method,
        kind="estimate",
        is_lower_bound=False,
        deviation_class=STATIONARY,
        agents=agents,
        greedy=means[0],
        greedy_standard_errors=errors[0],
        greedy_actions=greedy_actions,
        to_targets=means[1:].T,
        to_targets_standard_errors=errors[1:].T,
        payoffs=payoff.mean(axis=1),
        payoff=estimate_of(payoff),
        mean_greedy=estimates[0],
        mean_greedy_normalised=normalised[0],
        mean_to_targets=tuple(estimates[1:]),
        mean_to_targets_normalised=tuple(normalised[1:]),
        history=gains.mean(axis=1).T if burn_in_bins else np.empty((0, len(gains))),
        stretch=config.bin_length,
    )
