"""What is known of the two-state control game without solving it, for every configuration.

Let m be the share in state 1 and u(m) = m (b - c m) what it yields per agent and step. Of all local policies
that lead from m to m', the cheapest has nobody switch in vain: a share |m' - m| / w of the agents tries, and
that costs kappa |m' - m| with kappa = k / w. So the planner's problem has one dimension,

    V(m) = u(m) + max over m' of gamma V(m') - kappa |m' - m|,    (1 - w) m <= m' <= (1 - w) m + w,

and V is concave, as u is. Nobody moves where gamma |u'(m)| <= (1 - gamma) kappa; from outside the planner
goes to the nearer end of this interval, or as near as can be. The same inequality with b - c m in the place
of u'(m) = b - 2 c m says where nobody moves who counts its own reward only.

The formulas are ours.
"""

from __future__ import annotations

from karma_envs.games.two_state_control.config import TwoStateControlConfig

_MOST_STEPS = 100_000  # of a planner that comes nearer and nearer to an end of [0, 1]
_NEGLIGIBLE = 1e-15  # discounting below it, and distances from where nobody moves


def yield_of(config: TwoStateControlConfig, share: float) -> float:
    """u(m), the mean reward of a step in which nobody switches."""
    return share * (config.benefit - config.crowding * share)


def planners_share(config: TwoStateControlConfig) -> float:
    """The share in state 1 of largest yield, b / (2 c): where a planner would like to begin, and stay."""
    return _where_falls_to_zero(config.benefit, 2 * config.crowding)


def selfish_share(config: TwoStateControlConfig) -> float:
    """The share in state 1 at which both states yield the same, b / c; 0 or 1 if there is none.

    The middle of the interval of shares that are equilibria, see :func:`selfish_shares`.
    """
    return _where_falls_to_zero(config.benefit, config.crowding)


def planners_shares(config: TwoStateControlConfig) -> tuple[float, float]:
    """The interval of shares that the planner leaves as they are."""
    return _at_rest(config, 2 * config.crowding)


def selfish_shares(config: TwoStateControlConfig) -> tuple[float, float]:
    """The interval of shares at which no single agent gains by switching: each is an equilibrium."""
    return _at_rest(config, config.crowding)


def planners_next_share(config: TwoStateControlConfig, share: float) -> float:
    """Where the planner takes a population from m in one step."""
    return _next_share(config, share, planners_shares(config))


def planners_value(config: TwoStateControlConfig, share: float) -> float:
    """V(m), the largest discounted mean reward of a population that begins with the share m in state 1."""
    return _value(config, share, planners_shares(config))


def selfish_value(config: TwoStateControlConfig, share: float) -> float:
    """The discounted mean reward of selfish agents that begin with the share m in state 1, in equilibrium.

    They move to the nearer end of where nobody switches, or as near as can be: there who goes is indifferent
    between going and staying, and if all went that could, they would still gain by it where it is out of
    reach.
    """
    return _value(config, share, selfish_shares(config))


def _next_share(config: TwoStateControlConfig, share: float, resting: tuple[float, float]) -> float:
    """The share in reach of m that is nearest to the nearer end of an interval; m itself inside of it."""
    low, high = resting
    lowest = (1 - config.control) * share
    return min(max(min(max(share, low), high), lowest), lowest + config.control)


def _value(config: TwoStateControlConfig, share: float, resting: tuple[float, float]) -> float:
    """The discounted mean reward of a population that goes to an interval, and rests there."""
    value, weight = 0.0, 1.0
    for _ in range(_MOST_STEPS):
        following = _next_share(config, share, resting)
        if abs(following - share) <= _NEGLIGIBLE or weight <= _NEGLIGIBLE:
            break
        cost = config.switching_cost / config.control * abs(following - share)
        value += weight * (yield_of(config, share) - cost)
        share, weight = following, weight * config.discount
    return value + weight * yield_of(config, share) / (1 - config.discount)


def _where_falls_to_zero(height: float, slope: float) -> float:
    """The m in [0, 1] at which height - slope m changes its sign."""
    if slope == 0:
        return float(height > 0)
    return min(max(height / slope, 0.0), 1.0)


def _at_rest(config: TwoStateControlConfig, slope: float) -> tuple[float, float]:
    """Where gamma |b - slope m| <= (1 - gamma) k / w; the nearest end of [0, 1] if nowhere."""
    gamma = config.discount
    if gamma == 0:
        return 0.0, 1.0
    slack = (1 - gamma) / gamma * config.switching_cost / config.control
    if slope == 0:
        still = abs(config.benefit) <= slack
        return (0.0, 1.0) if still else (float(config.benefit > 0),) * 2
    low, high = (config.benefit - slack) / slope, (config.benefit + slack) / slope
    return min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)
