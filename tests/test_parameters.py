"""Continuous parameters of configurations by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karma_envs.config import Config, ConfigError
from karma_envs.games.auction import AuctionConfig
from karma_envs.games.grid_city import GridCityConfig
from karma_envs.games.matching import MatchingConfig
from karma_envs.karma.urgency import AgentType

TYPES = MatchingConfig(
    n_agents=200,
    types=(AgentType(1, 0.7), AgentType(3, 0.9, (1.0, 2.0, 3.0), ((0.5, 0.5, 0), (0, 0.5, 0.5), (1, 0, 0)))),
    redistribution="tax(rate=0.1)",
)


def test_names() -> None:
    assert MatchingConfig().parameters() == {
        "discount": 0.98,
        "urgencies[0]": 1.0,
        "urgencies[1]": 5.0,
        "urgency_transition[1]": 0.5,
        "karma_mean": 10.0,
    }
    named = TYPES.parameters()
    assert named["types[1].share"] == 0.75
    assert named["redistribution.rate"] == 0.1
    assert named["types[1].urgency_transition[0][1]"] == 0.5
    assert "types[1].urgency_transition[2][0]" not in named  # what the others of its row leave
    assert "discount" not in named
    assert "dormant_probability" in GridCityConfig().parameters()
    assert AuctionConfig().parameters()["values[3]"] == 4.0


@pytest.mark.parametrize(
    "config", [MatchingConfig(), TYPES, AuctionConfig()], ids=["one type", "types", "auction"]
)
def test_a_parameter_moves_alone(config: Config) -> None:
    """All others stay what they were, but for those of the same row of probabilities, and other shares."""
    for name, value in config.parameters().items():
        wanted = 0.9 * value + 0.001
        moved = config.with_parameter(name, wanted).parameters()
        assert moved[name] == pytest.approx(wanted, rel=1e-12)
        family = name.rpartition("[")[0] if "transition" in name else name
        changed = {
            each for each, number in moved.items() if number != pytest.approx(config.parameters()[each])
        }
        assert all(each.startswith(family) or each.endswith(".share") for each in changed)
        assert config.with_parameter(name, value).parameters() == pytest.approx(config.parameters())


@settings(max_examples=30, deadline=None)
@given(row=st.lists(st.floats(0.01, 1), min_size=2, max_size=5), at=st.floats(0, 1), share=st.floats(0, 1))
def test_probabilities_scale_the_others_of_their_row(row: list[float], at: float, share: float) -> None:
    probabilities = np.array(row) / sum(row)
    one = AgentType(1, 0.9, tuple(range(1, len(row) + 1)), tuple(probabilities.tolist()))
    index = int(at * (len(row) - 1))
    moved = np.array(one.with_parameter(f"urgency_transition[{index}]", share).urgency_transition)
    assert moved[index] == share
    assert moved.sum() == pytest.approx(1)
    others = np.arange(len(row)) != index
    np.testing.assert_allclose(
        moved[others] * probabilities[others][0], moved[others][0] * probabilities[others]
    )


def test_any_mean_is_one_of_the_limit() -> None:
    """Of 100 agents no total has the mean 3.14159; the limit has it, and the game the nearest total."""
    moved = MatchingConfig().with_parameter("karma_mean", 3.14159)
    assert (moved.karma_mean, moved.total_karma) == (3.14159, 314)
    assert MatchingConfig().karma_mean == 10
    discounted = moved.replace(discount=0.5)
    assert (discounted.karma_mean, discounted.discount) == (3.14159, 0.5)
    assert moved.replace(karma_mean=4).karma_mean == 4


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("discont", 0.5, "did you mean discount"),
        ("urgencies[7]", 1.0, "parameter = 'urgencies\\[7\\]' is not allowed"),
        ("karma_max", 1.0, "parameter = 'karma_max' is not allowed"),
        ("", 1.0, "parameter = '' is not allowed"),
        ("discount]", 1.0, "is not allowed; allowed: discount"),
        ("discount", 1.0, "discount = 1.0 is not allowed"),
        ("karma_mean", 21.0, "karma_mean = 21.0 is not allowed"),
        ("urgency_transition[1]", 1.5, "is not allowed"),
    ],
)
def test_what_is_refused(name: str, value: float, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MatchingConfig().with_parameter(name, value)


def test_certainties_and_shares_are_refused_too() -> None:
    certain: dict[str, Any] = {"urgency_transition": (1.0, 0.0)}
    with pytest.raises(ConfigError, match="all others of the row are 0"):
        MatchingConfig(**certain).with_parameter("urgency_transition[0]", 0.5)
    with pytest.raises(ConfigError, match=r"types\[0\].share = 1.0 is not allowed"):
        TYPES.with_parameter("types[0].share", 1.0)
