"""Pictures: their form, what they show, and that none needs a display."""

import sys

import gymnasium
import numpy as np
import pytest

from karma_envs import matching_v0, names
from karma_envs.rendering import Canvas
from karma_envs.rendering.canvas import rendered_games
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")


def played(n_steps=3, seed=0, **arguments):
    env = matching_v0.parallel_env(**{"n_agents": 6, "render_mode": "rgb_array", **arguments})
    env.reset(seed=seed)
    pictures = [env.render()]
    for _ in range(n_steps):
        env.step(dict.fromkeys(env.agents, 2))
        pictures.append(env.render())
    return env, pictures


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n_agents": 7},
        {"n_agents": 100},
        {"preset": "two-discounts", "n_agents": 8},
        {"urgencies": tuple(range(9))},
        {"urgencies": (0.0,)},
        {"karma_max": 100, "karma_mean": 50},
        {"preset": "coin", "n_agents": 4},
    ],
    ids=str,
)
def test_rgb_array(arguments):
    _, pictures = played(**arguments)
    for picture in pictures:
        assert picture.dtype == np.uint8
        assert picture.shape == (640, 960, 3)
        assert picture.min() < 100 < 200 < picture.max()
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.shares_memory(pictures[0], pictures[1])


def texts_of(scene):
    canvas = Canvas("karma_envs.games.matching.picture", "rgb_array")
    canvas.show(scene)
    pairs = canvas.figure.axes[0]
    return [text.get_text() for text in pairs.texts], pairs, canvas.figure


def test_pairs_and_bids_are_those_of_the_step():
    env, _ = played()
    scene = env.game.scene()
    texts, axis, figure = texts_of(scene)
    assert len(scene["pairs"]) == 3
    for left, right in scene["pairs"]:
        assert f"agent {left}" in texts
        assert f"agent {right}" in texts
    assert texts.count("2") == 6
    assert "3 pairs" in axis.get_title(loc="left")
    assert "6 agents · step 3 · efficiency −" in figure.get_suptitle()


def test_arrows_point_to_the_winners():
    env, _ = played()
    scene = env.game.scene()
    _, axis, _ = texts_of(scene)
    arrows = {line.get_ydata()[0]: line.get_marker() for line in axis.lines}
    winners = {row: ">" if scene["rewards"][pair[1]] == 0 else "<" for row, pair in enumerate(scene["pairs"])}
    assert arrows == winners


def test_large_populations_are_cut():
    env, _ = played(n_agents=100)
    texts, axis, _ = texts_of(env.game.scene())
    assert sum(text.startswith("agent") for text in texts) == 40
    assert "first 20 of 50 pairs" in axis.get_title(loc="left")


def test_urgency_is_that_of_the_contest():
    """Losers lost what the picture says their urgency was."""
    env, _ = played(n_agents=100)
    scene = env.game.scene()
    lost = scene["rewards"] < 0
    np.testing.assert_array_equal(-scene["rewards"][lost], scene["urgency"][lost])
    assert lost.sum() == 50


def test_efficiency_goes_back_with_a_new_episode():
    env, _ = played(5)
    env.reset(seed=1)
    env.render()
    assert env._canvas._painter._steps == []
    env.step(dict.fromkeys(env.agents, 0))
    env.render()
    env.render()
    assert env._canvas._painter._steps == [1]


@pytest.mark.parametrize("make", [matching_v0.parallel_env, matching_v0.env])
def test_human_needs_no_display(make):
    env = make(n_agents=4, render_mode="human")
    env.reset(seed=0)
    assert env.render() is None
    env.close()
    env.close()
    assert not matplotlib.pyplot.get_fignums()


def test_human_is_drawn_by_itself():
    env = SingleAgentEnv("matching", n_agents=4, render_mode="human", max_cycles=3)
    env.reset(seed=0)
    env.step(0)
    assert env._canvas._painter._steps == [1]
    env.close()
    assert not matplotlib.pyplot.get_fignums()


def test_vector_gives_one_picture_for_every_agent_the_same():
    env = PopulationVectorEnv("matching", n_agents=4, render_mode="rgb_array")
    env.reset(seed=0)
    picture, *others = env.render()
    assert picture.shape == (640, 960, 3)
    assert len(others) == 3
    assert all(other is picture for other in others)
    env.close()
    assert env._canvas is None


def test_single_agent_can_be_filmed():
    env = gymnasium.make("karma_envs/Matching-v0", n_agents=4, render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(0)
    assert len(env.render()) == 2
    env.close()


def test_without_render_mode_there_is_a_warning():
    env = matching_v0.parallel_env(n_agents=4)
    env.reset(seed=0)
    assert env.render_mode is None
    with pytest.warns(UserWarning, match="without a render_mode"):
        assert env.render() is None


def test_scenes_after_a_rollout():
    env = PopulationVectorEnv("matching", n_agents=6, render_mode="rgb_array")
    env.reset(seed=0)
    from karma_envs.baselines import baseline_policy

    transitions = env.game.rollout(baseline_policy("random", env.game), 5)
    scene = env.game.scene()
    np.testing.assert_array_equal(scene["bids"], transitions.actions[-1])
    np.testing.assert_array_equal(scene["rewards"], transitions.rewards[-1])
    assert (scene["bids"] <= env.game.config.karma_max).all()
    transitions.actions[:] = 0
    np.testing.assert_array_equal(env.game.scene()["bids"], scene["bids"])


def test_missing_matplotlib_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"karma-envs\[plot\]"):
        Canvas("karma_envs.games.matching.picture", "rgb_array")


def test_all_games_here_have_pictures():
    assert rendered_games() == names()
