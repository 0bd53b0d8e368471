"""Games that end after T steps, for N to infinity: a policy for each step, and a flow of mean fields.

Everybody begins in a state of the distribution mu_0. In step t the population makes a statistic z_t, an
agent in state x that takes action a gets r_t(x, a; z_t) and moves on to x' with probability
P_t(x' | x, a; z_t), and after T steps all is over. A policy pi_t(a | x) for each step makes the population
move, forwards,

    z_t = z(mu_t, pi_t),    mu_(t+1)(x') = sum over x, a of mu_t(x) pi_t(a | x) P_t(x' | x, a; z_t),

and a single agent among others that make z_0 … z_(T-1) looks ahead, backwards from V_T = 0:

    Q_t(x, a) = r_t(x, a; z_t) + gamma sum over x' of P_t(x' | x, a; z_t) V_(t+1)(x').

Both are exact after one pass, and the discount may be 1. In an equilibrium pi_t is a best response, at
every t, to the flow of the population that plays it. An agent's payoff is counted from the start,
J = <mu_0, V_0>.

This is a finite model like all others once the time is part of the state: its states are the pairs (t, x),
with x the faster, its policies ``float64[types, T X, A]``, its statistic the flow of them all, and "at rest"
is a population that begins a new game when one is over. So its mean field, which sums to 1, is mu_t / T in
step t, and efficiency is the mean reward per agent and step. Every solver of finite models takes it: where
these let a population make a step, this one plays a whole game.

    stage = MyStep(config)                        # a FiniteMeanFieldModel: what one agent faces in a step
    model = FiniteHorizonModel([stage] * 30)
    agents.solve(model).policy                    # a table with a row for each state in each step

A game that ends has such a model by one line in its ``mean_field()``,
``return FiniteHorizonModel([MyStep(self.config)] * self.length)``, and plays its policies.

Sources: J. Perolat et al., *Scaling up mean field games with online mirror descent*, AAMAS 2022, section 2;
S. Perrin et al., *Fictitious play for mean field games: continuous time analysis and applications*, NeurIPS
2020, section 2; D. A. Gomes, J. Mohr, R. R. Souza, *Discrete time, finite state space mean field games*,
J. Math. Pures Appl. 2010.

Differences from the sources:
    Types; an action may be illegal in a state; rewards and transitions of a step may depend on any
    statistic of the population, not only on its distribution of states. There is no terminal reward besides
    that of the last step, which may be a model of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.config import refusal
from karma_envs.mean_field.dynamic_programming import DecisionProblem, improved, uniform_policy
from karma_envs.mean_field.exploitability import type_policies
from karma_envs.mean_field.model import FiniteMeanFieldModel

_MOST_UNKNOWNS = 400  # values and statistics that Newton's method on all of them is quick with
_FEW = 12  # numbers of a statistic that are drawn without names


@dataclass(frozen=True)
class EpisodeProblem(DecisionProblem):
    """What a single agent faces in a game that ends, from its first step to its last.

    Attributes:
        reward: ``float64[types, T X, A]``, expected reward of a step; state t X + x is x in step t.
        kernel: ``float64[types, T X, A, X]``, probability of the next x, which is one of the step that
            follows; after the last step that of a state in which nothing more happens.
        begins: ``float64[types, X]``, mu_0, where a new game begins.
    """

    begins: NDArray[np.float64]

    @property
    def _n_steps(self) -> int:
        return int(self.reward.shape[-2] // self.kernel.shape[-1])

    def _by_step(self, array: NDArray[Any], at: int) -> NDArray[Any]:
        """An array with its dimension of states, ``at`` from the end, taken apart into steps and x."""
        at += array.ndim
        return array.reshape(*array.shape[:at], self._n_steps, -1, *array.shape[at + 1 :])

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """The expected value of the next state, 0 after the last step; see the base."""
        # Values of the states that a step leads to: those of the step after it.
        values = self._by_step(value, -1)
        ahead = np.concatenate([values[..., 1:, :], np.zeros_like(values[..., :1, :])], axis=-2)
        kernel = self._by_step(self.kernel, -3)
        rows = kernel.reshape(*kernel.shape[:-3], -1, kernel.shape[-1])
        return np.asarray((rows @ ahead[..., None]).reshape(self.reward.shape))

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a population is after a step; who has made the last one begins anew. See the base."""
        kernel, flows = self._by_step(self.kernel, -3), self._by_step(flow, -2)
        rows = kernel.reshape(*kernel.shape[:-3], -1, kernel.shape[-1])
        after = (flows.reshape(*flows.shape[:-2], 1, -1) @ rows)[..., 0, :]
        ended = flows[..., -1, :, :].sum(axis=(-2, -1))
        anew = np.broadcast_to(self.begins * ended[..., None], after[..., 0, :].shape)
        after = np.concatenate([anew[..., None, :], after[..., :-1, :]], axis=-2)
        return np.asarray(after.reshape(*after.shape[:-2], -1))

    def dense(self, *, anew: bool) -> NDArray[np.float64]:
        """The kernel as ``float64[types, T X, A, T X]``, for small games; see the base."""
        n_types, n_states, n_actions, n_x = self.kernel.shape
        dense = np.zeros((n_types, self._n_steps, n_x, n_actions, self._n_steps, n_x))
        kernel = self._by_step(self.kernel, -3)
        for step in range(self._n_steps - 1):
            dense[:, step, :, :, step + 1] = kernel[:, step]
        if anew:
            legal = kernel[:, -1].sum(axis=-1, keepdims=True)
            dense[:, -1, :, :, 0] = legal * self.begins[:, None, None]
        return dense.reshape(n_types, n_states, n_actions, n_states)

    def at_rest(
        self, policy: NDArray[np.float64], start: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The mean field of agents who play a policy in game after game, mu_t / T; see the base."""
        kernel, policies = self._by_step(self.kernel, -3), self._by_step(policy, -2)
        flow = np.empty(policies.shape[:-1])
        flow[:, 0] = self.begins
        for step in range(1, self._n_steps):
            taken = flow[:, step - 1, :, None] * policies[:, step - 1]
            flow[:, step] = np.einsum("txa,txay->ty", taken, kernel[:, step - 1], optimize=True)
        return np.asarray(flow.reshape(policy.shape[:-1]) / self._n_steps)

    def entry(self, mean_field: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where an agent is whose payoff is counted: at the start, whatever the mean field."""
        start = np.zeros((len(self.begins), self._n_steps, self.begins.shape[1]))
        start[:, 0] = self.begins
        return start.reshape(len(self.begins), -1)

    def policy_value(
        self, discounts: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """V of a policy, by one pass backwards from the end, ``float64[types, T X]``."""
        everything = np.ones(policy.shape[1:], np.bool_)
        return self._backwards(discounts, everything, policy, improve=False)[1]

    def best_response(
        self,
        discounts: NDArray[np.float64],
        legal_actions: NDArray[np.bool_],
        start: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """An optimal policy and its value, by backward induction; see the base.

        The policy is that of ``start`` in states where this is optimal, given that what follows is.
        """
        if start is None:
            start = np.zeros(self.reward.shape)
            start[..., 0] = 1.0  # always legal
        return self._backwards(discounts, legal_actions, start, improve=True)

    def _backwards(
        self,
        discounts: NDArray[np.float64],
        legal_actions: NDArray[np.bool_],
        policy: NDArray[np.float64],
        *,
        improve: bool,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A policy, improved wherever it can be if that is wanted, and its value."""
        rewards, kernel = self._by_step(self.reward, -2), self._by_step(self.kernel, -3)
        legal = self._by_step(legal_actions, -2)
        policies = self._by_step(policy, -2).copy()
        values = np.empty(policies.shape[:-1])
        ahead = np.zeros(self.begins.shape)
        for step in range(self._n_steps - 1, -1, -1):
            following = np.einsum("txay,ty->txa", kernel[:, step], ahead, optimize=True)
            q = rewards[:, step] + discounts[:, None, None] * following
            if improve:
                possible = np.where(legal[step], q, -np.inf)
                scale = np.abs(possible).max(axis=(1, 2), where=legal[step], initial=0.0)[:, None]
                policies[:, step], _ = improved(policies[:, step], possible, scale)
            ahead = values[:, step] = (policies[:, step] * q).sum(axis=2)
        return policies.reshape(policy.shape), values.reshape(policy.shape[:-1])


class FiniteHorizonModel(FiniteMeanFieldModel):
    """The limit of a population game that ends after T steps. See the module's docstring for its equations.

    Its statistic is the flow z_0 … z_(T-1), one after the other, ``float64[T k]``.

    Args:
        stages: what one agent faces in each step, as models with as many types, states, actions and numbers
            in a statistic; ``[stage] * T`` where all steps are alike. Of the first are mu_0 (its
            ``initial_mean_field``), the shares and discounts of the types, and the names of everything.

    Raises:
        ConfigError: for no stages, or stages of different sizes.

    Attributes:
        stages: the models of the steps.
        length: T.
        solver: the homotopy, or where that would be slow fictitious play.
    """

    length: int

    def __init__(self, stages: Sequence[FiniteMeanFieldModel]) -> None:
        self.stages = tuple(stages)
        self.length = len(self.stages)
        if not self.stages:
            raise refusal("stages", "none", "a mean-field model for each step, at least one")
        first = self.stages[0]
        sizes = [(one.n_types, *one.legal_actions.shape, one.initial_statistic.size) for one in self.stages]
        for step, size in enumerate(sizes):
            if size != sizes[0]:
                raise refusal(
                    f"stages[{step}]",
                    f"a model of {size} types, states, actions and numbers in a statistic",
                    f"as many as stages[0] has, {sizes[0]}",
                )
        self.masses, self.discounts, self.begins = first.masses, first.discounts, first.initial_mean_field
        self.legal_actions = np.concatenate([one.legal_actions for one in self.stages])
        self._known: dict[int, tuple[bytes, DecisionProblem]] = {}
        self._shape = (self.n_types, self.length, first.n_states, self.n_actions)
        unknowns = self.length * (self.n_types * first.n_states + sizes[0][-1])
        self.solver = "homotopy" if unknowns <= _MOST_UNKNOWNS else "fictitious_play"

    @cached_property
    def initial_mean_field(self) -> NDArray[np.float64]:  # type: ignore[override]
        """That of a population which plays every legal action with the same probability."""
        return self.step(np.empty(0), uniform_policy(self))[1]

    @property
    def discounted_length(self) -> float:
        """What a reward of 1 in each of the T steps comes to, discounted."""
        return float((self.discounts.max() ** np.arange(self.length)).sum())

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The step, from 0, and what a state in a step is made of."""
        return (Axis("step", tuple(range(self.length))), *self.stages[0].axes)

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        """Those of a step."""
        return self.stages[0].action_features

    @property
    def type_features(self) -> Mapping[str, NDArray[np.float64]]:
        """Those of a step."""
        return self.stages[0].type_features

    def flow(self, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """The statistic of each step, ``float64[T, k]``."""
        return statistic.reshape(self.length, -1)

    def rates(self, statistic: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Those of the steps, ``float64[types, T X, A]`` each."""
        by_step = [stage.rates(z) for stage, z in zip(self.stages, self.flow(statistic))]
        return {name: np.concatenate([one[name] for one in by_step], axis=1) for name in by_step[0]}

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """The flow of a population, from where it is in each step."""
        fields = self.length * mean_field.reshape(self._shape[:3])
        policies = policy.reshape(self._shape)
        return np.concatenate(
            [stage.statistic(fields[:, t], policies[:, t]) for t, stage in enumerate(self.stages)]
        )

    def decision_problem(self, statistic: NDArray[np.float64]) -> EpisodeProblem:
        """What an agent faces from the first step to the last."""
        return self._episode([self._problem(step, z) for step, z in enumerate(self.flow(statistic))])

    def _problem(self, step: int, statistic: NDArray[np.float64]) -> DecisionProblem:
        """What an agent faces in a step; the last one of each is kept.

        Newton's method moves a flow by one number at a time, and asks what that does to all steps.
        """
        known = self._known.get(step)
        if known is None or known[0] != statistic.tobytes():
            problem = self.stages[step].decision_problem(statistic)
            known = self._known[step] = statistic.tobytes(), problem
        return known[1]

    def step(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> tuple[EpisodeProblem, NDArray[np.float64]]:
        """What agents face in a game that all play from the start, and its mean field.

        A whole game is what a population does between two looks at it: its mean field depends on the policy
        alone, and the population is at rest at once.
        """
        policies = policy.reshape(self._shape)
        fields = np.empty(self._shape[:3])
        problems: list[DecisionProblem] = []
        following = self.begins
        for t, stage in enumerate(self.stages):
            fields[:, t] = following
            problem, following = stage.step(following, policies[:, t])
            problems.append(problem)
        return self._episode(problems), fields.reshape(self.n_types, -1) / self.length

    def _episode(self, problems: Sequence[DecisionProblem]) -> EpisodeProblem:
        """The problem of a whole game, from those of its steps."""
        return EpisodeProblem(
            np.concatenate([problem.reward for problem in problems], axis=1),
            np.concatenate([problem.kernel for problem in problems], axis=1),
            self.begins,
        )

    def curves(self, policy: Any) -> Mapping[str, Mapping[str, NDArray[Any]]]:
        """The statistic by step, of a population that plays a policy, where it is a few numbers."""
        table = type_policies(self, policy)
        flow = self.flow(self.population_at_rest(table).statistic)
        names = self.stages[0].statistic_names or tuple(f"z {number}" for number in range(flow.shape[1]))
        if len(names) > _FEW:
            return {}
        return {"statistic": {"step": np.arange(self.length), **dict(zip(names, flow.T))}}
