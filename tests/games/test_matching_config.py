"""The matching game's configuration refuses what cannot be, and travels as plain data."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingConfig
from karma_envs.games.matching.config import PRESETS
from karma_envs.karma.urgency import AgentType
from karma_envs.mechanisms import Parameter, Rule

NAN, INF = float("nan"), float("inf")
THIRDS = (1 / 3, 1 / 3, 1 / 3)

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    # field, fields given, what the message must say besides
    ("n_agents", {"n_agents": 1}, "= 1 .* from 2"),
    ("n_agents", {"n_agents": 0}, "= 0"),
    ("n_agents", {"n_agents": -4}, "= -4"),
    ("n_agents", {"n_agents": 2.5}, "= 2.5"),
    ("n_agents", {"n_agents": NAN}, "= nan"),
    ("n_agents", {"n_agents": INF}, "= inf"),
    ("n_agents", {"n_agents": True}, "= True"),
    ("n_agents", {"n_agents": "100"}, "= '100'"),
    ("n_agents", {"n_agents": None}, "= None"),
    ("n_agents", {"n_agents": 10**9}, "to 100000000"),
    ("karma_max", {"karma_max": 0}, "from 1"),
    ("karma_max", {"karma_max": -1}, "= -1"),
    ("karma_max", {"karma_max": 1001}, "to 1000"),
    ("karma_max", {"karma_max": 2.5}, "= 2.5"),
    ("karma_max", {"karma_max": NAN}, "= nan"),
    ("karma_max", {"karma_max": [20]}, r"= \[20\]"),
    ("karma_mean", {"karma_mean": -1}, "= -1"),
    ("karma_mean", {"karma_mean": 21}, r"\[0, 20\]"),
    ("karma_mean", {"karma_mean": 11, "karma_max": 10}, r"\[0, 10\]"),
    ("karma_mean", {"n_agents": 3, "karma_mean": 20.34}, r"\[0, 20\]"),
    ("karma_mean", {"karma_mean": NAN}, "= nan"),
    ("karma_mean", {"karma_mean": "10"}, "= '10'"),
    ("karma_mean", {"n_agents": 10, "karma_mean": 9.99}, "whole total; 10 agents have 99.9"),
    ("discount", {"discount": 1}, r"\[0, 1\)"),
    ("discount", {"discount": -0.1}, "= -0.1"),
    ("discount", {"discount": NAN}, "= nan"),
    ("discount", {"discount": None}, "= None"),
    ("urgencies", {"urgencies": ()}, "at least one number"),
    ("urgencies", {"urgencies": 5}, "= 5"),
    ("urgencies", {"urgencies": "15"}, "= '15'"),
    (r"urgencies\[1\]", {"urgencies": (1, -5)}, "= -5"),
    (r"urgencies\[0\]", {"urgencies": (NAN, 5)}, "= nan"),
    (r"urgencies\[1\]", {"urgencies": (1, INF)}, "= inf"),
    (r"urgencies\[0\]", {"urgencies": ("1", 5)}, "= '1'"),
    ("urgency_transition", {"urgency_transition": 0.5}, "2 rows of 2"),
    ("urgency_transition", {"urgency_transition": "half"}, "= 'half'"),
    ("urgency_transition", {"urgency_transition": ()}, "2 probabilities"),
    ("urgency_transition", {"urgency_transition": (0.5, 0.4)}, "sum is 0.9"),
    ("urgency_transition", {"urgency_transition": THIRDS}, "2 probabilities"),
    ("urgency_transition", {"urgency_transition": ((0.5, 0.5),)}, "2 rows of 2"),
    ("urgency_transition", {"urgency_transition": ((0.5, 0.5),) * 3}, "2 rows of 2"),
    (r"urgency_transition\[1\]", {"urgency_transition": ((0.5, 0.5), (0.5, 0.6))}, "sum is 1.1"),
    (r"urgency_transition\[1\]", {"urgency_transition": ((0.5, 0.5), (1.0,))}, "2 probabilities"),
    (r"urgency_transition\[0\]", {"urgency_transition": (0.5, (0.5, 0.5))}, "= 0.5"),
    (r"urgency_transition\[0\]\[1\]", {"urgency_transition": ((0.5, -0.5), (0, 1))}, "= -0.5"),
    (r"urgency_transition\[1\]\[0\]", {"urgency_transition": ((1, 0), (NAN, 1))}, "= nan"),
    ("types", {"types": 3}, "a list of agent types"),
    ("types", {"types": "two"}, "= 'two'"),
    ("types", {"types": AgentType()}, "a list of agent types"),
    (r"types\[1\]", {"types": (AgentType(), 0.9)}, "an AgentType or its fields: share, discount"),
    (r"types\[0\].share", {"types": ({"share": 0},)}, "= 0"),
    (r"types\[0\].share", {"types": ({"share": -1},)}, "= -1"),
    (r"types\[1\].share", {"types": ({}, {"share": NAN})}, "= nan"),
    (r"types\[0\].discount", {"types": ({"discount": 1.0},)}, "= 1"),
    (r"types\[1\].share", {"n_agents": 10, "types": ({"share": 1000}, {"share": 1})}, "one of 10 agents"),
    (r"types\[\d\].share", {"n_agents": 2, "types": ({}, {}, {})}, "one of 2 agents"),
    ("urgencies", {"types": (AgentType(),), "urgencies": (1, 9)}, "set it in each type"),
    ("discount", {"types": (AgentType(),), "discount": 0.9}, "set it in each type"),
    ("urgency_transition", {"types": (AgentType(),), "urgency_transition": (0.5, 0.5)}, "in each type"),
    (
        "karma_max",
        {"urgencies": tuple(range(100)), "karma_max": 1000},
        "65535 observations; with 100 urgencies there are 100100",
    ),
    ("types", {"n_agents": 300, "types": ({},) * 256}, "255 types"),
    ("initial_karma", {"initial_karma": "normal"}, "equal, uniform, or 21 probabilities"),
    ("initial_karma", {"initial_karma": 3}, "= 3"),
    ("initial_karma", {"initial_karma": (0.5, 0.5)}, "21 probabilities"),
    ("initial_karma", {"karma_max": 2, "karma_mean": 1, "initial_karma": (0.5, 0.5, 0.5)}, "sum is 1.5"),
    ("initial_karma", {"karma_max": 2, "karma_mean": 1, "initial_karma": (1, 0, 0)}, "the mean 0"),
    (r"initial_karma\[0\]", {"karma_max": 2, "karma_mean": 1, "initial_karma": (-1, 3, -1)}, "= -1"),
    (r"initial_karma\[2\]", {"karma_max": 2, "karma_mean": 1, "initial_karma": (0, 1, NAN)}, "= nan"),
    ("payment", {"payment": "pay_bid_to_pear"}, "did you mean pay_bid_to_peer"),
    ("payment", {"payment": "uniform"}, "pbp"),
    ("payment", {"payment": None}, "module:function"),
    ("payment", {"payment": 3}, "= 3"),
    ("allocation", {"allocation": "highest bid"}, "= 'highest bid'"),
    ("redistribution", {"redistribution": "pbs"}, "uniform_to_active"),
    (r"redistribution tax\(rate\)", {"redistribution": "tax(rate=1.5)"}, "= 1.5"),
    (r"redistribution tax\(rte\)", {"redistribution": "tax(rte=0.5)"}, "rate"),
]


@pytest.mark.parametrize(("field", "fields", "says"), REFUSED)
def test_what_cannot_be_is_refused_by_name(field: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field} = (?s:.*)is not allowed; allowed: ") as caught:
        MatchingConfig(**fields)
    assert caught.match(f"(?s){says}")


def test_unknown_fields_are_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"no field 'karma_mx' \(did you mean karma_max\?\).*n_agents"):
        MatchingConfig.from_dict({"karma_mx": 3})
    with pytest.raises(ConfigError, match=r"types\[0\] has no field 'gamma'; its fields: share, discount"):
        MatchingConfig.from_dict({"types": [{"gamma": 0.9}]})
    with pytest.raises(ConfigError, match="mapping"):
        MatchingConfig.from_dict([("n_agents", 3)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"n_agents": 2, "karma_mean": 0},
        {"n_agents": 2, "karma_mean": 20},
        {"n_agents": 3, "karma_mean": 1 / 3},
        {"n_agents": 7, "karma_mean": 5 / 7, "karma_max": 1},
        {"n_agents": 100.0, "karma_max": np.int64(20)},
        {"discount": 0},
        {"urgencies": [0]},
        {"urgencies": np.array([1.0, 2.0, 3.0]), "urgency_transition": np.eye(3)},
        {"urgencies": (4,), "urgency_transition": ((1.0,),)},
        {"urgencies": (4,), "urgency_transition": (1.0,)},
        {"urgency_transition": [[0.1, 0.9], [1, 0]]},
        {"karma_max": 2, "karma_mean": 1, "initial_karma": np.full(3, 1 / 3)},
    ],
)
def test_what_can_be_is_taken(fields: dict[str, Any]) -> None:
    config = MatchingConfig(**fields)
    assert config == MatchingConfig(**fields)
    assert hash(config) == hash(MatchingConfig(**fields))
    assert config.total_karma == pytest.approx(config.n_agents * config.karma_mean)


def test_short_form_and_types_describe_the_same() -> None:
    short = MatchingConfig(urgencies=(1, 9), urgency_transition=(0.75, 0.25), discount=0.5)
    long = MatchingConfig(types=[AgentType(3, 0.5, (1, 9), (0.75, 0.25))])
    assert short.agent_types == (long.agent_types[0].replace(share=1),)


def through_json(values: dict[str, Any]) -> Any:
    return json.loads(json.dumps(values))


def through_yaml(values: dict[str, Any]) -> Any:
    return yaml.safe_load(yaml.safe_dump(values))


CONFIGS = {
    **PRESETS,
    "everything": {
        "n_agents": 9,
        "types": (
            AgentType(2, 0.7, (1, 2, 4), ((0, 1, 0), (0, 0, 1), (1, 0, 0))),
            AgentType(0.1 + 0.2, 0.99, (3,)),
        ),
        "karma_max": 3,
        "karma_mean": 4 / 3,
        "initial_karma": (1 / 3, 1 / 3, 0, 1 / 3),
        "allocation": "turn",
        "payment": "pbs",
        "redistribution": "tax(rate=0.123456789012)",
    },
    "numpy": {"n_agents": np.int32(4), "karma_mean": np.float32(2.5), "urgencies": np.array([1.0, 2.0])},
}


@pytest.mark.parametrize("through", [dict, through_json, through_yaml])
@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_survive_plain_data(name: str, through: Any) -> None:
    config = MatchingConfig(**CONFIGS[name])
    values = through(config.to_dict())
    assert MatchingConfig.from_dict(values) == config
    assert config.replace() == config
    assert config.replace(karma_max=config.karma_max) == config


@given(
    n_agents=st.integers(2, 60),
    karma_max=st.integers(1, 30),
    filled=st.floats(0, 1),
    discount=st.floats(0, 1, exclude_max=True),
    urgencies=st.lists(st.floats(0, 1e6), min_size=1, max_size=4),
    rate=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_any_configuration_survives_json_and_yaml(
    n_agents: int,
    karma_max: int,
    filled: float,
    discount: float,
    urgencies: list[float],
    rate: float,
    seed: int,
) -> None:
    transition = np.random.default_rng(seed).dirichlet(np.ones(len(urgencies)), size=len(urgencies))
    config = MatchingConfig(
        n_agents=n_agents,
        types=[AgentType(2.5, discount, tuple(urgencies), transition), AgentType(2.5)],
        karma_max=karma_max,
        karma_mean=round(filled * n_agents * karma_max) / n_agents,
        redistribution=f"tax(rate={rate!r})",
    )
    assert MatchingConfig.from_dict(through_json(config.to_dict())) == config
    assert MatchingConfig.from_dict(through_yaml(config.to_dict())) == config
    assert config.rule("redistribution").parameter_array().tolist() == [rate]


def test_rules_are_stored_in_one_spelling() -> None:
    config = MatchingConfig(allocation="karma", payment="pbs", redistribution=" tax( rate = 0.1 ) ")
    assert (config.allocation, config.payment) == ("highest_bid", "pay_bid_to_society")
    assert config.redistribution == "tax(rate=0.1)"
    assert config == MatchingConfig(payment="pay_bid_to_society", redistribution="tax(rate=0.1)")


def test_rules_of_the_user_stay_what_they_are() -> None:
    def nothing(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
        return 0, 0

    assert MatchingConfig(payment=nothing).payment is nothing
    rule = Rule("nothing", nothing, parameters={"amount": Parameter(1, 0, 2, "an amount")})
    config = MatchingConfig(payment=rule)
    assert config.payment is rule
    assert (config.rule("payment").name, config.rule("payment").parameters) == ("nothing", rule.parameters)


def test_numbers_of_the_configuration() -> None:
    config = MatchingConfig(
        n_agents=6, types=[AgentType(1, urgencies=(1, 2, 3)), AgentType(2)], karma_max=4, karma_mean=1.5
    )
    assert config.total_karma == 9
    assert config.n_urgencies == 3
    assert config.n_observations == 15


@pytest.mark.parametrize(
    ("mean", "support"), [(10, range(21)), (3, range(7)), (0, range(1)), (20, range(20, 21)), (2.5, range(6))]
)
def test_uniform_start_is_the_widest_with_that_mean(mean: float, support: range) -> None:
    distribution = MatchingConfig(karma_mean=mean, initial_karma="uniform").initial_distribution()
    assert distribution is not None
    assert np.flatnonzero(distribution).tolist() == list(support)
    assert distribution @ np.arange(21) == pytest.approx(mean)
    np.testing.assert_allclose(distribution[list(support)], 1 / len(support))


def test_start_given_as_probabilities() -> None:
    config = MatchingConfig(karma_max=2, karma_mean=1, initial_karma=[0.5, 0, 0.5])
    assert config.initial_karma == (0.5, 0.0, 0.5)
    np.testing.assert_array_equal(config.initial_distribution(), [0.5, 0, 0.5])
    assert MatchingConfig().initial_distribution() is None


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_configurations(name: str) -> None:
    config = MatchingConfig(**PRESETS[name])
    assert MatchingConfig().replace(**PRESETS[name]) == config
    assert not math.isnan(config.karma_mean)


def test_presets_have_the_published_mean_urgencies() -> None:
    two_urgencies = MatchingConfig(**PRESETS["two-urgencies"]).agent_types
    assert [agent_type.mean_urgency for agent_type in two_urgencies] == pytest.approx([3, 2], rel=1e-14)
    rare = MatchingConfig(**PRESETS["rare-high-urgency"]).agent_types
    assert rare[0].mean_urgency == pytest.approx(3, rel=1e-14)
    assert [t.discount for t in MatchingConfig(**PRESETS["two-discounts"]).agent_types] == [0.7, 0.9]
