"""A population with karma: the part of a configuration that all karma games share, and how karma starts."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config, is_list, real, refusal, whole
from karma_envs.karma.urgency import AgentType, type_counts
from karma_envs.mechanisms import FAMILIES, Rule, is_built_in, resolve
from karma_envs.mechanisms.trial import Domain, try_rule
from karma_envs.numerics.identity import code_digest
from karma_envs.parameters import split

K = TypeVar("K", bound="KarmaConfig")

RuleChoice = str | Rule | Callable[..., Any]
"""A rule as a configuration names it, see :func:`karma_envs.mechanisms.resolve`."""


_MOST_NAMED = 4
"""Urgencies that the name of a type lists."""


class KarmaConfig(Config):
    """Base of the configurations of karma games: agents of some types, karma, and rules.

    A game's configuration declares the fields below, with its own defaults, and calls
    ``_check_population``.

    Attributes:
        n_agents: N, number of agents.
        types: agent types; empty for one type with the three fields below.
        urgencies: urgency values U of the one type.
        urgency_transition: phi of the one type, see AgentType.
        discount: discount factor gamma of the one type.
        karma_max: k_max, the most karma an agent can hold.
        karma_mean: mean karma of the population; times n_agents it must be whole.
        initial_karma: equal (everyone the mean), uniform (the widest uniform distribution with that
            mean), or probabilities of 0 … karma_max with that mean; totals are made exact by
            moving single units between random agents.
        redistribution: who shares the surplus.
    """

    n_agents: int
    types: tuple[AgentType, ...]
    urgencies: tuple[float, ...]
    urgency_transition: tuple[tuple[float, ...], ...] | tuple[float, ...] | None
    discount: float
    karma_max: int
    karma_mean: float
    initial_karma: str | tuple[float, ...]
    redistribution: RuleChoice

    _own_rules: dict[str, Rule]  # by family, those that are not the package's

    @cached_property
    def agent_types(self) -> tuple[AgentType, ...]:
        """The types, also where the short form for one type was used."""
        return self.types or (AgentType(1.0, self.discount, self.urgencies, self.urgency_transition),)

    @property
    def total_karma(self) -> int:
        """Karma in the population, conserved for ever."""
        return round(self.n_agents * self.karma_mean)

    @property
    def n_urgencies(self) -> int:
        """Urgency values of the type that has most."""
        return max(len(agent_type.urgencies) for agent_type in self.agent_types)

    def rule(self, family: str) -> Rule:
        """The rule of a family.

        A rule of the user's is what it was when the configuration was first given it: what changes
        afterwards in the function's globals, its closure or its module changes nothing here.
        """
        return self._own_rules.get(family) or resolve(family, getattr(self, family))

    def replace(self: K, **changes: Any) -> K:
        """A copy with some fields changed, checked anew; other rules stay what they were.

        So does a ``karma_mean`` of :meth:`with_parameter`, whose total need not be whole.

        Raises:
            ConfigError: for an unknown field or a value that is not allowed.
        """
        if not changes:
            return self
        of_limit = "karma_mean" not in changes and self.n_agents * self.karma_mean != self.total_karma
        mean = {"karma_mean": self.total_karma / self.n_agents} if of_limit else {}
        changed = super().replace(**{**mean, **changes})
        if of_limit:
            changed = changed.with_parameter("karma_mean", self.karma_mean)
        rules = {family: rule for family, rule in self._own_rules.items() if family not in changes}
        changed._set(_own_rules=changed._own_rules | rules)
        return changed

    def parameters(self) -> dict[str, float]:
        """The continuous parameters by name.

        Those of the types (``types[0].discount``; where the short form for one type was used
        ``discount``) as :meth:`karma_envs.karma.urgency.AgentType.parameters` has them; where there are
        several, their shares of the population, ``types[0].share``, which sum to 1; the mean karma; the
        parameters of the rules, as ``redistribution.rate``; and the game's own.
        """
        shares = np.array([one.share for one in self.agent_types])
        found: dict[str, float] = {}
        for index, one in enumerate(self.agent_types):
            own = one.parameters() | {"share": float(shares[index] / shares.sum())}
            if len(shares) == 1:
                del own["share"]
            found |= {f"types[{index}].{name}" if self.types else name: value for name, value in own.items()}
        of_types = (*AgentType.field_names(), "types", "initial_karma")
        for name, value in super().parameters().items():
            if re.split(r"[.\[]", name)[0] not in of_types:
                found[name] = value
        for family in self._families:
            rule = self.rule(family)
            values = rule.parameter_array().tolist()
            found |= {f"{family}.{name}": value for name, value in zip(rule.parameters, values)}
        return found

    def with_parameter(self: K, name: str, value: float) -> K:
        """A copy in which one continuous parameter is another number, checked anew.

        ``types[0].share`` is a share of the population; the other types share the rest as they did.
        ``karma_mean`` may be any number from 0 to karma_max, also where its total for ``n_agents`` is none:
        it is meant for the limit of many agents, and a game of N has the nearest whole total.
        """
        first, *rest = split(name) or [""]
        if name == "karma_mean":
            moved = copy.copy(self)
            moved._set(karma_mean=real(name, value, 0, self.karma_max))
            return moved
        if first in self._families and len(rest) == 1:
            return self.replace(**{str(first): self.rule(str(first)).with_values(**{str(rest[0]): value})})
        if not self.types and name not in self.field_names() and first in AgentType.field_names():
            one = self.agent_types[0].with_parameter(name, value)
            return self.replace(**{str(first): getattr(one, str(first))})
        if first == "types" and rest[1:] == ["share"] and len(self.types) > 1:
            value = real(name, value, 0, 1, open_low=True, open_high=True)
            shares = np.array([one.share for one in self.types])
            others = float(shares.sum() - shares[int(rest[0])])
            return super().with_parameter(name, others * value / (1 - value))
        return super().with_parameter(name, value)

    @property
    def _families(self) -> tuple[str, ...]:
        """The families of rules that the game has."""
        return tuple(family for family in FAMILIES if family in self.field_names())

    def provenance(self) -> dict[str, str]:
        """The rules of the user's, by their code and, where they are more than a function, their settings."""
        rules = {family: self.rule(family) for family in self._families}
        own = {f"{family} {rule.name}": rule for family, rule in rules.items() if ":" in rule.name}
        settings = {f"settings of {name}": rule.settings() for name, rule in own.items()}
        return code_of({name: rule.function for name, rule in own.items()}) | {
            name: ", ".join(f"{key}={value}" for key, value in values.items())
            for name, values in settings.items()
            if values
        }

    def initial_distribution(self) -> NDArray[np.float64] | None:
        """Probabilities of 0 … karma_max at the start; None where everyone gets the mean."""
        if self.initial_karma == "equal":
            return None
        if self.initial_karma == "uniform":
            span = min(self.karma_mean, self.karma_max - self.karma_mean)
            karma = np.arange(self.karma_max + 1)
            inside = np.abs(karma - self.karma_mean) <= span + 1e-9
            return np.asarray(inside / inside.sum(), np.float64)
        return np.asarray(self.initial_karma, np.float64)

    def _check_population(self, least_agents: int, families: Sequence[str]) -> None:
        """Check and normalise the shared fields, and the rules of some families."""
        self._set(
            n_agents=whole("n_agents", self.n_agents, least_agents, 10**8),
            karma_max=whole("karma_max", self.karma_max, 1, 1000),
            types=_types(self.types),
        )
        self._set(karma_mean=real("karma_mean", self.karma_mean, 0, self.karma_max))
        if abs(self.total_karma - self.n_agents * self.karma_mean) > 1e-6 + 1e-15 * self.total_karma:
            raise refusal(
                "karma_mean",
                self.karma_mean,
                f"a mean with a whole total; {self.n_agents} agents have {self.n_agents * self.karma_mean:g}",
            )
        one = AgentType(1.0, self.discount, self.urgencies, self.urgency_transition)
        self._set(urgencies=one.urgencies, urgency_transition=one.urgency_transition, discount=one.discount)
        for name in ("urgencies", "urgency_transition", "discount") if self.types else ():
            if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise refusal(
                    name, getattr(self, name), "its default where types are given; set it in each type"
                )
        type_counts(self.agent_types, self.n_agents)
        if len(self.agent_types) > 255:
            raise refusal("types", f"{len(self.agent_types)} types", "at most 255 types")
        self._set(initial_karma=self._checked_initial_karma())
        self._set(_own_rules={})
        for family in families:
            value = getattr(self, family)
            rule = resolve(family, value)
            if isinstance(value, str):  # in its one spelling
                self._set(**{family: str(rule)})
            if not is_built_in(family, rule):
                self._own_rules[family] = rule

    def _checked_initial_karma(self) -> str | tuple[float, ...]:
        value, n = self.initial_karma, self.karma_max + 1
        allowed = f"equal, uniform, or {n} probabilities of 0 … {n - 1} with mean {self.karma_mean:g}"
        if isinstance(value, str):
            if value not in ("equal", "uniform"):
                raise refusal("initial_karma", value, allowed)
            return value
        if not is_list(value) or len(value) != n:
            raise refusal("initial_karma", value, allowed)
        values = tuple(real(f"initial_karma[{index}]", p, 0, 1) for index, p in enumerate(value))
        mean = float(np.arange(n) @ np.array(values))
        if abs(sum(values) - 1) > 1e-9 or abs(mean - self.karma_mean) > 1e-6:
            raise refusal(
                "initial_karma", values, f"{allowed}; the sum is {sum(values):.10g}, the mean {mean:.10g}"
            )
        return values


def code_of(functions: Mapping[str, Callable[..., Any]]) -> dict[str, str]:
    """Digests of functions by name, as :meth:`karma_envs.config.Config.provenance` gives them.

    Functions whose code cannot be told are left out.
    """
    digests = {name: code_digest(function) for name, function in functions.items()}
    return {name: f"code:{digest}" for name, digest in digests.items() if digest is not None}


def type_names(types: Sequence[AgentType]) -> tuple[str, ...]:
    """Names of types for tables and figures: their number, from 0 as in data, and what differs between them.

    Example:
        >>> type_names([AgentType(1, 0.7), AgentType(3, 0.9)])
        ('type 0 (discount 0.7)', 'type 1 (discount 0.9)')
    """
    words_of_type: list[list[str]] = [[] for _ in types]
    if len({one.discount for one in types}) > 1:
        for words, one in zip(words_of_type, types):
            words.append(f"discount {one.discount:g}")
    if len({one.urgencies for one in types}) > 1:
        for words, one in zip(words_of_type, types):
            words.append(_named_urgencies(one))
    elif len({round(one.mean_urgency, 9) for one in types}) > 1:
        for words, one in zip(words_of_type, types):
            words.append(f"mean urgency {one.mean_urgency:g}")
    return tuple(
        f"type {number}" + (f" ({'; '.join(words)})" if words else "")
        for number, words in enumerate(words_of_type)
    )


def _named_urgencies(one: AgentType) -> str:
    if len(one.urgencies) > _MOST_NAMED:
        return f"{len(one.urgencies)} urgencies, mean {one.mean_urgency:g}"
    return "urgencies " + ", ".join(f"{value:g}" for value in one.urgencies)


def draw_initial_karma(config: KarmaConfig, rng: np.random.Generator) -> NDArray[np.int16]:
    """Karma at the start, ``int16[N]``: drawn, then corrected to the exact total by random single units."""
    n_agents, karma_max = config.n_agents, config.karma_max
    distribution = config.initial_distribution()
    if distribution is None:
        karma = np.full(n_agents, config.total_karma // n_agents, np.int64)
    else:
        karma = rng.choice(karma_max + 1, size=n_agents, p=distribution)
    while missing := config.total_karma - int(karma.sum()):
        open_to_change = np.flatnonzero(karma < karma_max if missing > 0 else karma > 0)
        chosen = rng.permutation(open_to_change)[: abs(missing)]
        karma[chosen] += np.sign(missing)
    return karma.astype(np.int16)


def check_rules(config: KarmaConfig, crowding: Sequence[float]) -> None:
    """Try the rules on all that they will be asked, so that none can create, destroy or overdraw karma.

    Args:
        config: the configuration.
        crowding: the crowding that an agent can meet, 0 included.

    Raises:
        ConfigError: see :func:`karma_envs.mechanisms.trial.try_rule`.
    """
    urgencies = {0.0}.union(*(agent_type.urgencies for agent_type in config.agent_types))
    domain = Domain(config.karma_max, sorted(urgencies), crowding)
    for family in FAMILIES:
        if family in config.field_names():
            try_rule(family, getattr(config, family), config.rule(family), domain)


def _types(value: Any) -> tuple[AgentType, ...]:
    if not is_list(value):
        raise refusal("types", value, "a list of agent types")
    types = []
    for index, item in enumerate(value):
        name = f"types[{index}]"
        if isinstance(item, AgentType):
            types.append(item)
        elif isinstance(item, Mapping):
            types.append(AgentType.from_dict(item, name))
        else:
            raise refusal(name, item, f"an AgentType or its fields: {', '.join(AgentType.field_names())}")
    return tuple(types)
