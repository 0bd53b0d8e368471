"""A crowd in the plane that incentives are to move: where agents go in equilibrium, or having learned.

A meta-agent chooses the weights w of a truncated power series Theta, which agents get besides the rewards of
a game of spatial congestion. It observes what they make of it, over some plays of all N agents:

    kl        = sum over t of KL(D_t || D*_t), of the density of agents D_t to the one that is wanted,
    log_kl    = log kl, which is searched in place of it: kl spans four orders of magnitude,
    welfare   = mean reward of an agent in a step without Theta, which only moves it from one to another,
    incentive = mean Theta of an agent in a step: a budget is kept where it is not above 0.

Agents come to rest by either of two inner problems: ``"equilibrium"``, the exact one of infinitely many,
which all N then play, and ``"actor_critic"``, actor-critic play as in the source, which goes on from where it
was at a point nearby.

Source: *Controlling the crowd: inducing efficient equilibria in multi-agent systems*, 2018.

Differences from the source:
    Its trajectory reward is printed as +sum KL, which is to be minimised. It does not say which terms its
    series has, nor how it estimates a density: here the game's own estimator does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.planners.inner.inner import Arrays, Evaluation
from agents.planners.inner.training import own_learner, trained
from agents.planners.space import Continuous, Point, Space
from karma_envs.config import Config, choice, is_list, real, refusal, whole
from karma_envs.crowds.mean_field import CrowdMeanField
from karma_envs.crowds.water_filling import inducing_incentive
from karma_envs.exchangeable import ExchangeableGame
from karma_envs.games.spatial_congestion import SpatialCongestionConfig, SpatialCongestionGame
from karma_envs.incentives import PowerSeries, incentivised
from karma_envs.meaning import Meaning

LEARNING = ("equilibrium", "actor_critic")
_MEASURES = ("kl", "welfare", "incentive")
_TARGETS = "for each step a Gaussian (x, y, variance per axis), or nothing where none is wanted"
_PLACES = ("x", "y")
_TINY = float(np.finfo(np.float64).tiny)

Values = NDArray[np.float64]


@dataclass(frozen=True)
class CrowdInner(Config):
    """The inner problem; see the module's docstring.

    Its parameters are weights of the series by their terms, such as ``x^2``; those that a point leaves out
    are 0, so that an empty point is the game without incentives.

    Attributes:
        game: fields of :class:`karma_envs.games.spatial_congestion.SpatialCongestionConfig`, in which moves
            are free.
        targets: D*_t: for each step the middle and the variance per axis of a Gaussian, cut off at the edge
            of the region; empty where no density is wanted, and none measured.
        degree: of the series.
        learning: how agents come to rest, one of :data:`LEARNING`.
        plays: of all N agents, whose means are told with standard errors; 0 for the expectation with
            infinitely many, exact on the grid, with derivatives by the weights (equilibrium only).
        epochs: of actor-critic play, for a point that begins anew; one that goes on from nearby has a
            quarter.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    game: Any = None
    targets: tuple[tuple[float, float, float], ...] = ()
    degree: int = 2
    learning: str = "equilibrium"
    plays: int = 20
    epochs: int = 400

    def __post_init__(self) -> None:
        config = self.game
        if not isinstance(config, SpatialCongestionConfig):
            config = SpatialCongestionConfig.from_dict(config or {}, "game")
        for name in ("movement_cost", "noise"):
            if getattr(config, name):
                raise refusal(f"game.{name}", getattr(config, name), "0: moves are to be free")
        if not is_list(self.targets) or len(self.targets) not in (0, config.length):
            raise refusal("targets", self.targets, f"{_TARGETS}; {config.length} of them")
        targets = tuple(self._target(value) for value in self.targets)
        learning = choice("learning", self.learning, LEARNING)
        least = 2 if learning == "actor_critic" else 0
        plays = whole("plays", self.plays, least, 100_000)
        if plays == 1:
            raise refusal("plays", plays, "0, or 2 and more, for standard errors")
        self._set(
            game=config,
            targets=targets,
            degree=whole("degree", self.degree, 1, 20),
            learning=learning,
            plays=plays,
            epochs=whole("epochs", self.epochs, 4, 1_000_000),
        )

    @staticmethod
    def _target(value: Any) -> tuple[float, float, float]:
        if not is_list(value) or len(value) != 3:
            raise refusal("targets", value, _TARGETS)
        x, y = (real("targets", number) for number in value[:2])
        return x, y, real("targets", value[2], 0, open_low=True)

    @property
    def meanings(self) -> Mapping[str, Meaning]:
        """None of the measures is an exploitability."""
        return {}

    def to_plain(self) -> dict[str, Any]:
        """The fields."""
        return self.to_dict()

    @cached_property
    def series(self) -> PowerSeries:
        """The series with weights 0: in the place, over the region, and of several steps in t / T."""
        low, high = np.transpose(self.game.region).tolist()
        if self.game.length == 1:
            return PowerSeries(names=_PLACES, low=tuple(low), high=tuple(high), degree=self.degree)
        last = (self.game.length - 1) / self.game.length
        return PowerSeries(names=(*_PLACES, "t"), low=(*low, 0.0), high=(*high, last), degree=self.degree)

    def space(self, largest: float = 0.4, terms: Sequence[str] = (), *, inward: bool = True) -> Space:
        """Weights to choose, each within the same bounds.

        Args:
            largest: of the magnitude of each weight, > 0, in units of reward.
            terms: whose weights; none for all that move agents, those with a place in them. The constant
                ``1`` and powers of t alone move nobody, but what is paid.
            inward: whether x^2 and y^2 have weights of at most 0, without which a series mostly draws
                everybody to the edges of the region.
        """
        moving = np.any(self.series.exponents[:, :2], axis=1).tolist()
        chosen = terms or [term for term, moves in zip(self.series.terms, moving, strict=True) if moves]
        for term in chosen:
            choice("terms", term, self.series.terms)
        squares = {f"{name}^2" for name in _PLACES} if inward else set()
        return Space([Continuous(term, -largest, 0.0 if term in squares else largest) for term in chosen])

    @cached_property
    def wanted(self) -> Values:
        """D*_t at the cells, ``float64[T, k]``, of mass 1 each; no rows without targets."""
        grid = self.game.grid
        squares = [((grid.places - (x, y)) ** 2).sum(axis=1) / (2 * v) for x, y, v in self.targets]
        # In logarithms, for cells so far away that exp is 0.
        logs = np.reshape([-each + each.min() for each in squares], (-1, len(grid)))
        densities = np.maximum(np.exp(logs), _TINY)
        return np.asarray(densities / (densities.sum(axis=1, keepdims=True) * grid.cell_area))

    def incentive(self, point: Point) -> PowerSeries:
        """Theta at a point."""
        return self.series.weighted({term: real(term, weight) for term, weight in point.items()})

    def exact_incentive(self) -> Values:
        """The incentive that makes the crowd just as wanted, ``float64[T, k]``, of no family.

        See :func:`karma_envs.crowds.water_filling.inducing_incentive`.
        """
        fields = SpatialCongestionGame(self.game).desirabilities()
        return inducing_incentive(self.wanted, fields, self.game.crowd_aversion)

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        """What agents make of the weights; see :class:`agents.planners.inner.Inner`."""
        incentive = self.incentive(point)
        game = SpatialCongestionGame(self.game)
        model = CrowdMeanField(game, incentive)
        if self.learning == "actor_critic":
            policy, left = self._learned(incentive, seed, warm)
            return self._played(incentive, policy, seed, left)
        policy = model.water_filling()
        if not self.plays:
            return self._expected(model, policy.plan, incentive)
        return self._played(incentive, policy, seed, None)

    # --- play ------------------------------------------------------------------------------------------

    def _played(self, incentive: PowerSeries, policy: Any, seed: int, left: Arrays | None) -> Evaluation:
        """Means over plays of all agents, and their standard errors."""
        game = incentivised(SpatialCongestionGame(self.game), incentive)
        assert isinstance(game, ExchangeableGame)
        game.reset(np.random.default_rng([seed, 1]))
        table = np.array([self._play(game, policy) for _ in range(self.plays)])
        means = dict(zip(_MEASURES, table.mean(axis=0).tolist(), strict=True))
        spreads = table.std(axis=0, ddof=1) / np.sqrt(self.plays)
        errors = dict(zip(_MEASURES, spreads.tolist(), strict=True))
        if self.targets:
            means["log_kl"], errors["log_kl"] = math.log(means["kl"]), errors["kl"] / means["kl"]
        else:
            del means["kl"], errors["kl"]
        return Evaluation(values=means, standard_errors=errors, warm=left)

    def _play(self, game: Any, policy: Any) -> tuple[float, float, float]:
        """The measures of one play."""
        game.begin_anew()
        before, divergence = game.outcome(), 0.0
        for step in range(self.game.length):
            game.step(game.sample(policy, game.policy_streams))
            if self.targets:
                divergence += self._divergence(game.last_step.statistic, self.wanted[step])
        after = game.outcome().since(before)
        paid = after.incentives.mean() / after.steps
        return divergence, float(after.rewards.mean() / after.steps - paid), float(paid)

    def _divergence(self, density: Values, wanted: Values) -> float:
        """KL(D || D*)."""
        somebody = density > 0
        ratio = density[somebody] / wanted[somebody]
        return float(self.game.grid.cell_area * (density[somebody] * np.log(ratio)).sum())

    def _learned(self, incentive: PowerSeries, seed: int, warm: Arrays | None) -> tuple[Any, Arrays]:
        """What agents play who have learned by actor-critic play, and their networks."""
        game = incentivised(SpatialCongestionGame(self.game), incentive)
        learner = own_learner(game.game).replace(device="cpu")
        return trained(game, learner, seed, n_epochs=self.epochs, epoch_length=self.game.length, warm=warm)

    # --- infinitely many agents ------------------------------------------------------------------------

    def _expected(self, model: CrowdMeanField, density: Values, incentive: PowerSeries) -> Evaluation:
        """The measures of a density, ``float64[T, k]``, with their derivatives by all weights."""
        area, alpha, length = self.game.grid.cell_area, self.game.crowd_aversion, self.game.length
        fields, paid = model.desirabilities, model.incentives
        assert paid is not None
        rewards = fields / (1 + density) ** alpha
        values = {
            "welfare": float(area * (density * rewards).sum() / length),
            "incentive": float(area * (density * paid).sum() / length),
        }
        # The derivatives of the measures by the density at each cell, per area.
        by_density = {
            "welfare": (rewards - alpha * density * rewards / (1 + density)) / length,
            "incentive": paid / length,
        }
        if self.targets:
            logs = np.log(np.maximum(density, _TINY) / self.wanted)
            values["kl"] = sum(map(self._divergence, density, self.wanted))
            by_density["kl"] = logs + 1
            # Rounding leaves a density that is just as wanted a divergence of about 0, on either side of it.
            values["log_kl"] = math.log(max(values["kl"], _TINY))
            by_density["log_kl"] = by_density["kl"] / max(values["kl"], _TINY)
        monomials = np.stack([self._monomials(model, step) for step in range(length)])
        # m = ((g / (lambda - Theta))^(1 / alpha) - 1)+ moves by h (dTheta - dlambda), at constant mass.
        slope = np.where(density > 0, (1 + density) / (alpha * rewards), 0.0)
        level = np.einsum("tk,tkw->tw", slope, monomials) / slope.sum(axis=1)[:, None]
        moves = slope[:, :, None] * (monomials - level[:, None])
        derivatives = {
            name: area * np.einsum("tk,tkw->w", weights, moves) for name, weights in by_density.items()
        }
        derivatives["incentive"] += area * np.einsum("tk,tkw->w", density, monomials) / length
        terms = self.series.terms
        return Evaluation(
            values=values,
            derivatives={
                name: dict(zip(terms, slopes.tolist(), strict=True)) for name, slopes in derivatives.items()
            },
        )

    def _monomials(self, model: CrowdMeanField, step: int) -> Values:
        """Derivatives of Theta by the weights at the cells, ``float64[k, terms]``."""
        places = self.game.grid.places
        return self.series.monomials(model.game.features_of(places, np.full(len(places), step)))
