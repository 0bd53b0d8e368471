"""Configurations of runs: layers, numbers as people write them, and the way to a file and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.learners import LearnerKind, TabularConfig, TabularLearner, learners
from karma_envs.config import Config, ConfigError
from karma_envs.games.matching import MatchingConfig
from karma_envs.karma.urgency import AgentType
from karma_envs.mechanisms import Rule, rules
from karma_envs.registry import game_class, names
from training import TrainConfig
from training.common.config import descriptions, load_layer, to_yaml
from training.common.plain_yaml import dump_yaml, parse_yaml
from training.solving.solution import SolveConfig
from training.theory.tools import TheoryConfig


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my-config.yaml"


def test_the_defaults_are_the_theses() -> None:
    config = TrainConfig()
    assert config.game_config == MatchingConfig()
    assert config.learner == TabularConfig()
    assert (config.n_steps, config.epoch_length) == (32_000_000, 1000)
    assert config.n_epochs == 32_000
    assert config.epochs_per_record == 160
    learner = config.learner
    assert (learner.algorithm, learner.learning_rate, learner.rationality, learner.exploration) == (
        "sarsa", 0.01, 1000, 0.05,
    )  # fmt: skip


def test_more_records_than_epochs_are_one_per_epoch() -> None:
    assert TrainConfig(n_steps=3000, records=200).epochs_per_record == 1
    assert TrainConfig(n_steps=7000, records=3).epochs_per_record == 2


def test_flags_beat_the_file_and_the_file_beats_the_preset(file: Path) -> None:
    file.write_text("payment: pbp\nepoch_length: 10\nn_steps: 2e6\nalgorithm: q_learning\nexploration: 0.1\n")
    flags = {"n_steps": 3e6, "exploration": 0.2}
    config = TrainConfig.from_flat("matching", "social-outcome-pbs", load_layer(file), flags)
    assert config.game_config.n_agents == 200  # preset
    assert config.game_config.payment == "pay_bid_to_peer"  # file
    assert config.epoch_length == 10
    assert config.learner.algorithm == "q_learning"
    assert config.learner.exploration == 0.2  # flags
    assert config.n_steps == 3_000_000
    assert config.learner.learning_rate == TabularConfig().learning_rate
    assert config.game_config.karma_max == 20


def test_a_file_may_be_nested_as_a_run_writes_it(file: Path) -> None:
    file.write_text("game: matching\ngame_config: {n_agents: 30}\nlearner: {rationality: 5}\nseed: 9\n")
    config = TrainConfig.from_flat("matching", None, load_layer(file), {"n_agents": 40})
    assert (config.game_config.n_agents, config.learner.rationality, config.seed) == (40, 5, 9)
    more = {"learner": {"exploration": 0.3}, "game_config": {"karma_max": 30}}
    config = TrainConfig.from_flat("matching", None, load_layer(file), more)
    assert (config.game_config.n_agents, config.game_config.karma_max) == (30, 30)
    assert (config.learner.rationality, config.learner.exploration) == (5, 0.3)
    with pytest.raises(ConfigError, match="game = 'chess' is not allowed; allowed: matching"):
        TrainConfig.from_flat("matching", None, {"game": "chess"})


def test_a_game_is_trained_as_in_its_source() -> None:
    """By preset, and less than what is said; a configuration made without ``from_flat`` has the defaults."""
    city = TrainConfig.from_flat("grid_city", "thesis")
    assert (city.n_steps, city.epoch_length, city.learner.rationality) == (10_000_000, 100, 10.0)
    assert TrainConfig.from_flat("grid_city", "small").n_steps == 2_000_000
    said = TrainConfig.from_flat("grid_city", "small", {"n_steps": 500, "rationality": 3})
    assert (said.n_steps, said.epoch_length, said.learner.rationality) == (500, 100, 3.0)
    assert TrainConfig.from_flat("matching", None) == TrainConfig()


def test_every_preset_makes_a_configuration() -> None:
    for game in names():
        for preset, fields in game_class(game).presets.items():
            config = TrainConfig.from_flat(game, preset)
            assert config.game_config == game_class(game).config_class(**fields)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3.2e7", 3.2e7),
        ("1e6", 1e6),
        ("-1E-3", -1e-3),
        (".5e1", 5.0),
        ("+2.e2", 200.0),
        ("1_000e3", 1e6),
        ("32000000", 32_000_000),
        ("e7", "e7"),
        ("1e", "1e"),
        ("1,9", "1,9"),
        ("[1, 9]", [1, 9]),
        ("null", None),
        ("true", True),
        ("{a: 1e3}", {"a": 1000.0}),
    ],
)
def test_values_are_what_people_write(text: str, value: Any) -> None:
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


def test_steps_in_powers_of_ten_are_whole() -> None:
    config = TrainConfig.from_dict({"n_steps": parse_yaml("3.2e7")})
    assert config.n_steps == 32_000_000
    assert isinstance(config.n_steps, int)
    with pytest.raises(ConfigError, match=r"n_steps = 3200000\.5 is not allowed; allowed: a whole number"):
        TrainConfig.from_dict({"n_steps": 3200000.5})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_steps": 1500}, "n_steps = 1500 is not allowed; allowed: a multiple of epoch_length = 1000"),
        ({"n_steps": 999}, "n_steps = 999 is not allowed; allowed: a whole number from 1000"),
        ({"epoch_length": 0}, "epoch_length = 0 is not allowed; allowed: a whole number from 1"),
        ({"seed": -1}, "seed = -1 is not allowed"),
        ({"replicas": 0}, "replicas = 0 is not allowed"),
        ({"threads": 1.5}, r"threads = 1\.5 is not allowed"),
        ({"records": 0}, "records = 0 is not allowed"),
        ({"checkpoint_seconds": -1}, "checkpoint_seconds = -1 is not allowed"),
        ({"game": "chess"}, "game = 'chess' is not allowed; allowed: .*matching"),
        ({"learner": {"beta": 3}}, "TabularConfig has no field 'beta'; its fields: algorithm, "),
        ({"game_config": {"n_agent": 3}}, r"has no field 'n_agent' \(did you mean n_agents\?\)"),
        ({"epochs": 3}, "TrainConfig has no field 'epochs'"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_dict(fields)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"n_agent": 3}, r"there is no field 'n_agent' \(did you mean n_agents\?\); fields: .*n_agents"),
        ({"game_config": {"seed": 3}}, "MatchingConfig has no field 'seed'"),
        ({"game_config": 5}, "game_config = 5 is not allowed; allowed: a mapping"),
        ({"learner": None}, "learner = None is not allowed; allowed: a mapping"),
        ({1: 2}, "there is no field 1"),
    ],
)
def test_a_layer_with_an_unknown_field_is_refused(layer: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_flat("matching", None, layer)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"preset = 'pbss' is not allowed; .*\(did you mean pbs\?\)"):
        TrainConfig.from_flat("matching", "pbss")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_agents: [1, 2", "not YAML"),
        ("- n_agents\n", "a configuration is a mapping"),
        ("n_agents", "a configuration is a mapping"),
        ("seed: !!python/object/apply:os.getcwd []", "not YAML"),
        ("? [1]\n: 2", "not YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(text: str, message: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_layer(file)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=f"{file}: .*No such file"):
        load_layer(file)
    file.write_bytes(b"n_agents: \xff\xfe")
    with pytest.raises(ConfigError, match=f"{file}: "):
        load_layer(file)
    file.write_text("# nothing but a comment\n")
    assert load_layer(file) == {}


@pytest.mark.parametrize("config_class", [TabularConfig, TrainConfig, AgentType, *map(game_class, names())])
def test_every_field_is_described(config_class: Any) -> None:
    """The command's help is made of these."""
    config_class = getattr(config_class, "config_class", config_class)
    found = descriptions(config_class)
    assert tuple(found) == config_class.field_names()
    for name, text in found.items():
        assert len(text) > 5, name
        assert "\n" not in text
        assert "  " not in text


def test_descriptions_go_on_over_lines() -> None:
    assert descriptions(MatchingConfig)["types"] == (
        "agent types; empty for one type with the three fields below."
    )


ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "types": {
        "game_config": {
            "n_agents": 30,
            "types": [AgentType(1, 0.7), AgentType(2, 0.9, (1, 9), (0.75, 0.25))],
            "redistribution": "tax(rate=0.1)",
        },
        "learner": {
            "algorithm": "expected_sarsa",
            "learning_rate_schedule": "exponential",
            "learning_rate_final": 1e-5,
        },
        "n_steps": 10**9,
        "checkpoint_seconds": 0.5,
    },
    "matrix": {
        "game_config": {
            "n_agents": 3,
            "karma_max": 2,
            "karma_mean": 1,
            "urgencies": (0, 1 / 3),
            "urgency_transition": ((1 / 3, 2 / 3), (0.1, 0.9)),
            "initial_karma": (1 / 3, 1 / 3, 1 / 3),
        },
        "learner": {"initial_q": -1e-300},
    },
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_a_configuration_comes_back_from_its_file(name: str, file: Path) -> None:
    config = TrainConfig.from_dict(ROUND_TRIPS[name])
    file.write_text(to_yaml(config), encoding="utf-8")
    layer = load_layer(file)
    assert TrainConfig.from_dict(layer) == config
    assert TrainConfig.from_flat("matching", None, layer) == config
    assert to_yaml(TrainConfig.from_dict(layer)) == to_yaml(config)
    assert set(layer) == set(TrainConfig.field_names())


def test_rules_given_as_objects_are_written_by_name(file: Path) -> None:
    tax = rules("redistribution")["tax"].with_values(rate=0.2)
    config = MatchingConfig(payment=rules("payment")["pay_bid_to_society"], redistribution=tax)
    file.write_text(to_yaml(config))
    assert MatchingConfig.from_dict(load_layer(file)) == MatchingConfig(
        payment="pbs", redistribution="tax(rate=0.2)"
    )
    mine = Rule("pay_bid_to_society", rules("payment")["second_price"].function)
    with pytest.raises(ConfigError, match="rule pay_bid_to_society cannot be written to a file"):
        to_yaml(MatchingConfig(payment=mine))


def test_lambdas_cannot_be_written() -> None:
    def rule(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
        return 0, winner_bid

    with pytest.raises(ConfigError, match=r"<locals>\.rule cannot be written to a file: define the rule in"):
        to_yaml(MatchingConfig(payment=rule))


@dataclass(frozen=True)
class StillConfig(Config):
    """A learner's that learns nothing."""

    exploration: float = 0.0


def test_a_learner_of_another_kind_than_the_games_is_named(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    """In files, too; that of the game's kind is not, as in files of earlier versions."""
    kinds = {**learners(), "still": LearnerKind("still", StillConfig, TabularLearner)}
    for module in ("agents.learners.learner", "training.runs.config"):
        monkeypatch.setattr(f"{module}.learners", lambda: kinds)
    for learner in ({"kind": "still", "exploration": 0.5}, StillConfig(0.5)):
        config = TrainConfig(learner=learner)
        assert config.learner == StillConfig(0.5)
        assert config.to_dict()["learner"] == {"kind": "still", "exploration": 0.5}
        file.write_text(to_yaml(config))
        assert TrainConfig.from_flat("matching", None, load_layer(file)) == config
    assert "kind" not in TrainConfig(learner={"kind": "tabular"}).to_dict()["learner"]
    with pytest.raises(ConfigError, match=r"learner\.kind = 'stil' .*did you mean still"):
        TrainConfig(learner={"kind": "stil"})
    with pytest.raises(ConfigError, match=r"learner = .* allowed: the configuration of a learner"):
        TrainConfig(learner=MatchingConfig())


def test_plain_configurations_have_yaml_too() -> None:
    config = TabularConfig(rationality=5)
    assert TabularConfig.from_dict(parse_yaml(to_yaml(config))) == config


# --- YAML 1.2, plain data ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),  # 8 in YAML 1.1
        ("0o17", 15),
        ("0x1F", 31),
        ("+7", 7),
        ("1_000_000", 1_000_000),
        ("1__0", "1__0"),
        ("1:30", "1:30"),  # 90 in YAML 1.1
        ("190:20:30", "190:20:30"),
        ("0b11", "0b11"),
        ("2024-01-01", "2024-01-01"),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("off", "off"),
        ("True", True),
        ("~", None),
        ("", None),
        (".5", 0.5),
        ("2.", 2.0),
        ("-.inf", float("-inf")),
        ("'010'", "010"),
        ("<<: 1", {"<<": 1}),
        ("[&a [1, 2], *a]", [[1, 2], [1, 2]]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nn_steps: 2\nseed: 3", "not YAML: line 3, column 1: seed is given twice, first in line 1"),
        ("seed: 1\n'seed': 1", "not YAML: line 2, column 1: seed is given twice"),
        ("game_config: {karma_max: 2, karma_max: 3}", "line 1, column 29: karma_max is given twice"),
        ("[{share: 1, share: 2}]", "line 1, column 13: share is given twice"),
        ("1: 2", "not YAML: line 1, column 1: a key is a name"),
        ("null: 2", "a key is a name"),
        ("!!map [1]", "not YAML: line 1, column 1: expected a mapping"),
        ("9" * 5000, "a whole number of 5000 characters"),
        ("[" * 500 + "]" * 500, "nested too deeply"),
        ("&a [*a]", "over 1,000,000 values, with those that aliases repeat"),
        (
            "a0: &a0 [1]\n" + "".join(f"a{n + 1}: &a{n + 1} [{f'*a{n}, ' * 9}]\n" for n in range(9)),
            "over 1,00",
        ),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_not_plain_yaml_is_refused(text: str, message: str, file: Path) -> None:
    with pytest.raises(ValueError, match=message):
        parse_yaml(text)
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_layer(file)


@pytest.mark.parametrize(
    "text",
    ["yes", "010", "1:30", "0o17", "1e5", "2024-01-01", "null", "~", "", "1_0", "a: b", "x #1", "=", "<<"],
)
def test_text_comes_back_as_text(text: str) -> None:
    """From a reader of YAML 1.1, too."""
    written = dump_yaml({"network": text})
    assert parse_yaml(written) == {"network": text}
    assert yaml.safe_load(written) == {"network": text}


def test_a_field_is_given_once_in_a_layer() -> None:
    twice = {"karma_max": 10, "game_config": {"karma_max": 20}}
    with pytest.raises(ConfigError, match="karma_max is given twice, by itself and in game_config"):
        TrainConfig.from_flat("matching", None, twice)
    with pytest.raises(ConfigError, match="exploration is given twice, by itself and in learner"):
        TrainConfig.from_flat("matching", None, {"learner": {"exploration": 0.1}, "exploration": 0.2})
    nested, flat = {"game_config": {"karma_max": 20}}, {"karma_max": 10}
    assert TrainConfig.from_flat("matching", None, nested, flat).game_config.karma_max == 10


def test_none_is_a_word_in_files_and_for_what_is_done() -> None:
    assert SolveConfig.from_flat("matching", None, {"tolerance": "none", "options": "none"}).tolerance is None
    assert TrainConfig.from_flat("matching", None, {"monitor": "none"}).monitor == "none"
    with pytest.raises(ConfigError, match="epoch_length = 'none' is not allowed"):
        TrainConfig.from_flat("matching", None, {"epoch_length": "none"})


@pytest.mark.parametrize("given", [None, 3, "sarsa", [1], TabularConfig])
def test_a_part_that_is_none_is_named(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"^learner = .* is not allowed; allowed: a mapping of field names"):
        TrainConfig(learner=given)
    with pytest.raises(ConfigError, match=r"^game_config = .* is not allowed; allowed: a mapping of field"):
        TrainConfig(game_config=given)


def test_how_a_game_is_trained_is_nothing_to_its_solver() -> None:
    """The auction is trained with a rationality of 4; solved it is for a Nash equilibrium all the same."""
    assert TrainConfig.from_flat("auction", None).learner.rationality == 4.0
    assert SolveConfig.from_flat("auction", None).rationality is None
    assert TheoryConfig.from_flat("auction", None).rationality == 5.0
