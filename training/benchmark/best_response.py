"""The matching game of one learner: agent 0 acts, all others play the mean-field equilibrium.

In numbers what ``gymnasium.make("karma_envs/Matching-v0", population=equilibrium)`` is, but a game, so that
whatever learns in a game learns here as well. Its mean-field model is the decision problem of one agent
among infinitely many.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from agents.solvers import Equilibrium, solve
from karma_envs.against import AloneModel
from karma_envs.finite import Axis, FiniteGame, SamplingPolicy
from karma_envs.game import Baseline, IllegalActionError, PopulationGame
from karma_envs.games.matching import MatchingGame
from karma_envs.games.matching.config import MatchingConfig
from karma_envs.karma.outcome import KarmaOutcome
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.numerics.random import new_streams
from karma_envs.numerics.sampling import sample_actions
from karma_envs.outcome import EFFICIENCY, Metric
from karma_envs.transitions import Transitions, chunks

_LEARNER = np.zeros(1, np.int64)


@cache
def _equilibrium(config: MatchingConfig) -> Equilibrium:
    model = MatchingGame(config).mean_field()
    assert model is not None
    return solve(model)


class BestResponseGame(FiniteGame):
    """A game of one agent, see the module's docstring; the configuration is the matching game's.

    Attributes:
        population: the game of all agents.
    """

    picture = "karma_envs.games.matching.picture"
    name = "best_response"
    config_class = MatchingConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MatchingGame.presets
    metrics: ClassVar[tuple[Metric, ...]] = (EFFICIENCY,)  # a single agent is no less well off than others
    baselines: ClassVar[Mapping[str, Baseline]] = MatchingGame.baselines

    config: MatchingConfig

    def __init__(self, config: MatchingConfig | None = None, **fields: Any) -> None:
        self.population = game = MatchingGame(config, **fields)
        self.config, self.n_agents = game.config, 1
        self.n_observations, self.n_actions = game.n_observations, game.n_actions
        self.legal_actions, self.bid_of_action = game.legal_actions, game.bid_of_action
        self.type_of_agent, self.discounts = game.type_of_agent[:1], game.discounts[:1]
        self.observation_space, self.reward_bounds = game.observation_space, game.reward_bounds
        self.urgency_of_observation = game.urgency_of_observation
        self._equilibrium = _equilibrium(game.config)
        self._others = self._equilibrium.policy.for_agents(game.type_of_agent)
        self._streams = np.zeros(1, np.uint64)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin anew."""
        self.population.reset(rng)
        self._streams = new_streams(rng, 1)

    def step(self, actions: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """One step, the learner's action given."""
        action = self.actions_of(actions)[0]
        observed = self.population.observation_index()
        if not (0 <= action < self.n_actions and self.legal_actions[observed[0], action]):
            raise IllegalActionError(f"action {action} is illegal in observation {observed[0]}")
        chosen = np.empty(self.population.n_agents, np.int64)
        sample_actions(self._others.thresholds, self._others.row_of_agent, observed, self._streams, 0, chosen)
        chosen[0] = action
        return self.population.step(chosen)[:1].copy()

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What the population's game is compared with."""
        return self.population.axes

    @property
    def action_features(self) -> dict[str, NDArray[np.int64]]:
        """What the population's game is compared with."""
        return self.population.action_features

    def play(self, policy: SamplingPolicy, out: Transitions) -> None:
        """Play on; the transitions are the learner's."""
        learner = len(self._others.thresholds)
        rows = self._others.row_of_agent.copy()
        rows[0] = learner
        tables = np.concatenate([self._others.thresholds, policy.thresholds[policy.row_of_agent]])
        everyone = TabularPolicy.from_thresholds(tables, self.n_actions, rows)
        for start, played in chunks(self.population, everyone, len(out)):
            end = start + len(played)
            out.observations[start : end + 1, 0] = played.observations[:, 0]
            out.actions[start:end, 0], out.rewards[start:end, 0] = played.actions[:, 0], played.rewards[:, 0]

    def observation_index(self) -> NDArray[np.int64]:
        """The tabular observation of the one that learns, ``int64[1]``."""
        return self.population.observation_index()[:1].copy()

    def observations(self) -> NDArray[np.float32]:
        """What the one that learns observes, ``float32[1, d]``."""
        return self.population.observations()[:1].copy()

    def outcome(self) -> KarmaOutcome:
        """Totals of the one that learns since reset."""
        return self.population.outcome().of_agents(_LEARNER)

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        """What the population's game is compared with."""
        return self.population.references()

    def conserved(self) -> Mapping[str, float]:
        """The karma of the whole population, the one that learns included."""
        return self.population.conserved()

    def truthful_actions(self) -> NDArray[np.int64]:
        """What the one that learns would do truthfully, ``int64[1, observations]``."""
        return self.population.truthful_actions()[:1]

    def reachable(self) -> NDArray[np.bool_]:
        """Where the one that learns may be, ``bool[1, observations]``."""
        return self.population.reachable()[:1]

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """The population's state, and the random stream of what the others do in :meth:`step`."""
        return {**self.population.state_dict(), "others": self._streams.copy()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state."""
        others = dict(state)
        streams = others.pop("others", np.zeros(0, np.uint64))
        if streams.shape != (1,) or streams.dtype != np.uint64:
            raise ValueError("game state 'others' must be uint64[1]")
        self.population.load_state_dict(others)
        self._streams = streams.copy()

    def scene(self) -> dict[str, Any]:
        """What the population's game is compared with."""
        return self.population.scene()

    def mean_field(self, *, by_agent: bool = False) -> FiniteMeanFieldModel:
        """The learner's decision problem; whether ``by_agent`` makes no difference."""
        model = self.population.mean_field()
        assert model is not None
        found = self._equilibrium
        around = model.decision_problem(found.statistic)
        problem = DecisionProblem(around.reward[:1], around.dense(anew=True)[:1])  # of the first type
        return AloneModel(problem, model, found.mean_field[:1], found.statistic)
