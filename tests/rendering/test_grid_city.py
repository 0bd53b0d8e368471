"""The city's picture: what is crowded, who waits, what is bid, and one agent's paths."""

import networkx as nx
import numpy as np
import pytest

from karma_envs import grid_city_v0
from karma_envs.baselines import baseline_policy
from karma_envs.games.grid_city.network import road_network
from karma_envs.rendering import Canvas

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")


def city(**arguments):
    env = grid_city_v0.parallel_env(render_mode="rgb_array", **arguments)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize(
    "arguments",
    [
        {"preset": "small"},
        {"n_agents": 6, "rows": 1, "columns": 2},
        {"n_agents": 200, "preset": "coin"},
        {"n_agents": 3, "dormant_probability": 1},
        {"n_agents": 5, "network": "tests.rendering.test_grid_city:triangle"},
    ],
    ids=str,
)
def test_city(arguments):
    env = city(**arguments)
    pictures = [env.render()]
    for _ in range(3):
        env.step(dict.fromkeys(env.agents, 0))
        pictures.append(env.render())
    for picture in pictures:
        assert picture.dtype == np.uint8
        assert picture.shape == (600, 1200, 3)
        assert picture.min() < 100 < 200 < picture.max()
    assert not np.array_equal(pictures[0], pictures[1])


def triangle(n_agents):
    """A network whose nodes have no places."""
    graph = nx.DiGraph([(0, 1), (1, 2), (2, 0)])
    return road_network(graph, n_agents=n_agents, pairs=[(0, 2), (1, 0)])


def bands_of(canvas):
    """The lanes on the maps of crowding and of bids."""
    from matplotlib.collections import PolyCollection

    maps = canvas.figure.axes[0], canvas.figure.axes[2]
    return [next(part for part in axis.collections if isinstance(part, PolyCollection)) for axis in maps]


def dots_of(canvas):
    from matplotlib.collections import EllipseCollection

    (dots,) = (part for part in canvas.figure.axes[0].collections if isinstance(part, EllipseCollection))
    return dots


def captions(canvas):
    return [canvas.figure.axes[index].get_title(loc="left") for index in (0, 2)]


def test_maps_show_crowding_queues_and_bids():
    env = city(n_agents=50, rows=2, columns=2, capacity=2)
    canvas = Canvas("karma_envs.games.grid_city.picture", "rgb_array")
    canvas.show(env.game.scene())
    assert captions(canvas) == ["No step yet", "No bids yet"]
    crowd, bids = bands_of(canvas)
    assert bids.get_array().mask.all()
    env.step({agent: index % 3 for index, agent in enumerate(env.agents)})
    scene, totals = env.game.scene(), env.game.lane_outcome()
    canvas.show(scene)
    assert bands_of(canvas) == [crowd, bids]  # the same artists with other values
    np.testing.assert_array_equal(crowd.get_array(), totals.attempts / 2)
    np.testing.assert_array_equal(bids.get_array().filled(np.nan), totals.mean_bid)
    waiting = totals.attempts - totals.entries
    assert waiting.sum() > 0
    np.testing.assert_array_equal(dots_of(canvas)._widths > 0, waiting > 0)
    assert captions(canvas) == [
        f"Last step: {totals.attempts.sum()} agents under way, {waiting.sum()} had to wait\n"
        f"(dots at their lanes' starts, the largest {waiting.max()})",
        "Mean bid, steps 1 to 1",
    ]
    assert "50 agents · step 1 · efficiency −" in canvas.figure.get_suptitle()


def test_bids_are_those_since_the_scene_some_steps_ago():
    game = city(n_agents=50, rows=2, columns=2, capacity=2).game
    policy = baseline_policy("random", game)
    canvas = Canvas("karma_envs.games.grid_city.picture", "rgb_array")
    totals = [game.lane_outcome()]
    for _ in range(25):
        game.rollout(policy, 1)
        totals.append(game.lane_outcome())
        canvas.paint(game.scene())
        canvas.paint(game.scene())  # the same scene again changes nothing
    assert captions(canvas)[1] == "Mean bid, steps 6 to 25"
    expected = totals[25].since(totals[5]).mean_bid
    np.testing.assert_array_equal(bands_of(canvas)[1].get_array().filled(np.nan), expected)
    game.rollout(policy, 100)
    canvas.paint(game.scene())
    assert captions(canvas)[1] == "Mean bid, steps 26 to 125"
    game.reset(np.random.default_rng(1))
    canvas.paint(game.scene())
    assert captions(canvas)[1] == "No bids yet"
    game.rollout(policy, 10)
    canvas.paint(game.scene())
    assert captions(canvas)[1] == "Mean bid, steps 1 to 10"
    np.testing.assert_array_equal(
        bands_of(canvas)[1].get_array().filled(np.nan), game.lane_outcome().mean_bid
    )


@pytest.mark.parametrize(("karma", "end"), [(14, 14), (7, 14), (6, 7), (0, 0.875)])
def test_the_scale_of_bids_is_the_highest_bid_halved_while_none_is_above(karma, end):
    env = city(n_agents=50, rows=2, columns=2, karma_mean=14, initial_karma="equal")
    env.step(dict.fromkeys(env.agents, karma))
    canvas = Canvas("karma_envs.games.grid_city.picture", "rgb_array")
    canvas.paint(env.game.scene())
    assert bands_of(canvas)[1].get_clim() == (0, end)


def test_one_agent_is_followed():
    game = city(n_agents=20, rows=2, columns=2, dormant_probability=0).game
    game.rollout(baseline_policy("bid_all", game), 5)
    scene = game.scene()
    paths = [game.network.paths[index] for index in game.paths_of_agent[3]]
    scene["followed"] = {"agent": 3, "paths": paths, "lane": int(scene["lanes"][3])}
    canvas = Canvas("karma_envs.games.grid_city.picture", "rgb_array")
    canvas.show(scene)
    bands, frame = (part for part in canvas.figure.axes[2].collections)
    corners = frame.get_paths()[0].vertices
    np.testing.assert_array_equal(corners, bands.get_paths()[scene["lanes"][3]].vertices)
    assert captions(canvas)[1].endswith(
        f"Agent 3 (lines): bid {scene['bids'][3]} for the framed lane, has karma {scene['karma'][3]}"
    )
    scene["followed"] = {"agent": 3, "paths": paths, "lane": -1}
    canvas.show(scene)
    assert frame.get_paths() == []
    assert "was dormant" in captions(canvas)[1]
    del scene["followed"]
    canvas.show(scene)
    assert len(canvas.figure.axes[2].collections) == 1


def test_spines_come_back_after_the_first_step():
    env = city(preset="small")
    canvas = Canvas("karma_envs.games.grid_city.picture", "rgb_array")
    canvas.show(env.game.scene())
    efficiency = canvas.figure.axes[5]
    assert not efficiency.spines["left"].get_visible()
    env.step(dict.fromkeys(env.agents, 0))
    canvas.show(env.game.scene())
    assert efficiency.spines["left"].get_visible()
    assert not efficiency.spines["top"].get_visible()


@pytest.mark.parametrize("arguments", [{}, {"n_agents": 100, "rows": 2, "columns": 2}, {"karma_max": 200}])
def test_no_text_overlaps_another_or_leaves_the_picture(arguments):
    game = city(**arguments).game
    canvas = Canvas("karma_envs.games.grid_city.picture", "rgb_array")
    game.rollout(baseline_policy("proportional", game), 300)
    picture = canvas.show(game.scene())
    renderer = canvas.figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in texts_of(canvas.figure) if text.get_text()]
    assert len(boxes) > 30
    for index, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= picture.shape[1]
        assert box.y1 <= picture.shape[0]
        assert not any(box.overlaps(other) for other in boxes[:index])


def texts_of(figure):
    """All texts that are drawn: not the labels of ticks beyond an axis' limits."""
    yield figure._suptitle
    for axes in figure.axes:
        yield axes._left_title
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            yield axis.label
            yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high)
