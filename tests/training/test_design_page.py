"""The page of docs on designs: its commands, its rule, and the example that it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.planners.study import find_method
from karma_envs.numerics.compile import kernel
from training import cli
from training.common.config import load_layer
from training.common.flags import layers
from training.planning.command import _parser
from training.planning.config import DesignConfig
from training.planning.objectives import read_limit, read_objective

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\nkarma-envs ([^`]*)```", PAGE, re.MULTILINE)
COMMANDS = [shlex.split(block.replace("\\\n", "")) for block in BLOCKS]
DESIGNS = [words for command, *words in COMMANDS if command == "design" and "--resume" not in words]
FLAGS = re.findall(r"^\| `(--[^`]*)`", PAGE, re.MULTILINE)


def configured(arguments: list[str], **more: Any) -> DesignConfig:
    options = _parser().parse_args(arguments)
    preset = getattr(options, "preset", None)
    return DesignConfig.from_flat(options.game, preset, *layers(options), more)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_is_understood(words: list[str]) -> None:
    cli._parser().parse_args(words)


def test_the_rule_is_one_and_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"^```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "my_rule.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    config = configured(DESIGNS[0])
    assert config.space()["payment"].checked("my_rule:half_to_peer") == "my_rule:half_to_peer"
    assert config.space().names == ("payment", "karma_mean", "tax.rate")
    space: dict[str, Any] = {"kernel": kernel}
    exec(source.partition("@kernel\n")[2], space)
    assert space["half_to_peer"](5, 1, 3, 20, np.zeros(0)) == (2, 3)


def test_the_example_is_shown_as_it_is_and_takes_another_network() -> None:
    text = (ROOT / "examples" / "design.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{text}```" in PAGE
    config = DesignConfig.from_flat("grid_city", None, load_layer(ROOT / "examples" / "design.yaml"))
    assert config.game_config.network == "town"
    assert config.space().names == ("redistribution", "congestion_tax.rate", "karma_mean")
    assert config.inner_problem().to_plain()["n_epochs"] == 100
    example, *flags = DESIGNS[1]
    assert example == "examples/design.yaml"
    assert _parser().parse_args([str(ROOT / example), *flags]).game == "grid_city"
    assert "--network" in flags


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_is_understood(flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("def METHOD(study, trials):\n    return []\n")
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["matching", *shlex.split(flag)]
    more: dict[str, Any] = {} if "--over" in flag else {"over": ["karma_mean=4:16"]}
    if ".rate" in flag and "redistribution" in flag:
        more["redistribution"] = "tax"
    config = configured(arguments, **more)
    assert config.space().names
    assert [read_objective(text) for text in config.objective]
    assert [read_limit(text) for text in config.limit] == config.limits()
    assert callable(find_method(config.method))


def test_figures_are_there() -> None:
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", PAGE)
    assert len(shown) >= 4
    assert all((ROOT / "docs" / name).stat().st_size > 5000 for name in shown)
