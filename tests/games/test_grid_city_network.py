"""Road networks of the city game: counts by hand, symmetries, files written here, and every error."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.grid_city import paths as paths_module
from karma_envs.games.grid_city.graphml import read_graphml
from karma_envs.games.grid_city.network import RoadNetwork, grid, road_network
from karma_envs.games.grid_city.tntp import read_tntp

THESIS = road_network(grid(), n_agents=1000)


def nodes_of(network: RoadNetwork, path: tuple[int, ...]) -> list[Any]:
    return [network.lanes[path[0]][0], *(network.lanes[lane][1] for lane in path)]


def ends(network: RoadNetwork) -> list[tuple[Any, Any]]:
    return [(nodes_of(network, path)[0], nodes_of(network, path)[-1]) for path in network.paths]


def diamond(**lengths: float) -> nx.DiGraph:
    """a → b → d and a → c → d, and straight a → d; lengths 1, 2 by b, 2, 2 by c, 5 straight."""
    graph = nx.DiGraph()
    for edge, length in {"ab": 1, "bd": 2, "ac": 2, "cd": 2, "ad": 5, **lengths}.items():
        graph.add_edge(edge[0], edge[1], length=length, capacity=10 * length)
    return graph


# --- the grid --------------------------------------------------------------------------------------


def test_the_thesis_city() -> None:
    assert grid().number_of_nodes() == 16 + 16
    assert sum(boundary for _, boundary in grid().nodes(data="boundary")) == 16
    assert (len(THESIS.lanes), len(THESIS.paths), THESIS.longest) == (80, 1024, 8)
    assert THESIS.capacity.tolist() == [9] * 80
    assert THESIS.weights.sum() == pytest.approx(1)
    assert set(THESIS.weights) == {1 / 1024}


def test_the_two_boundary_nodes_of_a_corner_are_joined_by_the_8_further_paths() -> None:
    every = road_network(grid(), n_agents=1000, exclude=None)
    assert len(every.paths) == 1032
    further = set(ends(every)) - set(ends(THESIS))
    assert further == {
        pair
        for row, column in itertools.product((0, 3), (0, 3))
        for pair in itertools.permutations([(-1 if row == 0 else 4, column), (row, -1 if column == 0 else 4)])
    }
    assert Counter(map(len, every.paths))[2] == len(further) == 8


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_sizes_of_grids(rows: int, columns: int) -> None:
    graph = grid(rows, columns)
    inner = rows * (columns - 1) + columns * (rows - 1)
    assert graph.number_of_nodes() == rows * columns + 2 * (rows + columns)
    assert graph.number_of_edges() == 2 * (inner + 2 * (rows + columns))
    assert all(graph.has_edge(end, start) for start, end in graph.edges)
    assert paths_module.boundary_nodes(graph) == [node for node in graph if len(graph[node]) == 1]


def test_one_junction_by_hand() -> None:
    """4 boundary nodes at one junction: 12 pairs, 2 lanes each, 8 lanes that share evenly."""
    network = road_network(grid(1, 1), capacity=3, exclude=None)
    assert (len(network.lanes), len(network.paths), network.longest) == (8, 12, 2)
    assert network.occupancy() == pytest.approx(np.full(8, 1 / 8))
    with pytest.raises(ConfigError, match=r"exclude = 'same_junction' .* hang on the same junction"):
        road_network(grid(1, 1), capacity=3)


def test_two_by_two_by_hand() -> None:
    """Paths between neighbouring corners: 8 · 4 · 1, of 3 lanes; across: 4 · 4 · 2, of 4 lanes.

    Of these 64 paths with 32 · 3 + 32 · 4 = 224 lanes, 8 enter at each of the 8 boundary nodes, and 8
    leave; the other 96 steps spread evenly over the 8 inner lanes.
    """
    network = road_network(grid(2, 2), capacity=1)
    assert (len(network.lanes), len(network.paths), network.longest) == (24, 64, 4)
    assert Counter(map(len, network.paths)) == {3: 32, 4: 32}
    boundary = dict(network.graph.nodes(data="boundary"))
    for (start, end), share in zip(network.lanes, network.occupancy()):
        assert share == pytest.approx((8 if boundary[start] or boundary[end] else 12) / 224)


def test_every_path_is_a_shortest_walk_between_boundary_nodes_and_all_differ() -> None:
    graph = grid()
    for path, (start, end) in zip(THESIS.paths, ends(THESIS)):
        nodes = nodes_of(THESIS, path)
        assert nx.is_simple_path(graph, nodes)
        assert graph.nodes[start]["boundary"]
        assert graph.nodes[end]["boundary"]
        assert len(path) == nx.shortest_path_length(graph, start, end)
    assert len(set(THESIS.paths)) == len(THESIS.paths)
    for pair, count in Counter(ends(THESIS)).items():
        assert count == len(list(nx.all_shortest_paths(graph, *pair)))


SYMMETRIES: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "identity": lambda r, c: (r, c),
    "quarter": lambda r, c: (c, 3 - r),
    "half": lambda r, c: (3 - r, 3 - c),
    "three quarters": lambda r, c: (3 - c, r),
    "upside down": lambda r, c: (3 - r, c),
    "mirrored": lambda r, c: (r, 3 - c),
    "diagonal": lambda r, c: (c, r),
    "other diagonal": lambda r, c: (3 - c, 3 - r),
}


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_occupancy_has_the_symmetries_of_the_square(symmetry: str) -> None:
    move = SYMMETRIES[symmetry]
    share = dict(zip(THESIS.lanes, THESIS.occupancy()))
    moved = {(move(*start), move(*end)): value for (start, end), value in share.items()}
    assert moved.keys() == share.keys()
    assert [moved[lane] for lane in share] == pytest.approx(list(share.values()), rel=1e-12)


def test_occupancy_is_as_figure_6_3_says() -> None:
    """Entries and exits are least loaded, the centre most; reversed lanes alike."""
    share = dict(zip(THESIS.lanes, THESIS.occupancy()))
    assert sum(share.values()) == pytest.approx(1)
    boundary = dict(THESIS.graph.nodes(data="boundary"))
    outer = [value for (start, end), value in share.items() if boundary[start] or boundary[end]]
    inner = [value for (start, end), value in share.items() if not (boundary[start] or boundary[end])]
    assert len(outer) == 32
    assert max(outer) < min(inner)
    centre = {lane for lane, value in share.items() if value == pytest.approx(max(inner))}
    assert centre == {
        lane for lane in share if all(row in (1, 2) and column in (1, 2) for row, column in lane)
    }
    assert all(share[end, start] == pytest.approx(value) for (start, end), value in share.items())


def test_occupancy_is_the_time_a_traveller_spends_in_a_lane() -> None:
    """Simulated: trips drawn by weight, one step per lane."""
    network = road_network(diamond(), capacity=1, demand={("a", "d"): 3, ("a", "b"): 1}, weight="length")
    drawn = np.random.default_rng(0).choice(len(network.paths), 20_000, p=network.weights)
    steps = Counter(lane for index in drawn for lane in network.paths[index])
    simulated = [steps[lane] / sum(steps.values()) for lane in range(len(network.lanes))]
    assert network.occupancy() == pytest.approx(simulated, abs=0.01)


def test_positions_are_where_the_grid_is_drawn() -> None:
    positions = THESIS.positions
    assert positions is not None
    assert positions[0, 0] == (0, 0)
    assert positions[4, 3] == (3, -4)
    assert road_network(diamond(), capacity=1, pairs=[("a", "d")]).positions is None


def test_a_network_keeps_to_itself() -> None:
    graph = diamond()
    network = road_network(graph, capacity=1, pairs=[("a", "d")])
    assert all("lane" not in data for _, _, data in graph.edges(data=True))
    assert [network.graph.edges[lane]["lane"] for lane in network.lanes] == list(range(5))
    assert network.graph.edges["a", "b"]["length"] == 1
    with pytest.raises(nx.NetworkXError):
        network.graph.add_edge("d", "a")
    with pytest.raises(ValueError, match="read-only"):
        network.capacity[0] = 7
    copy = pickle.loads(pickle.dumps(network))
    assert (copy.lanes, copy.paths, copy.capacity.tolist()) == (network.lanes, network.paths, [1] * 5)


# --- paths and weights -----------------------------------------------------------------------------


def routes(**arguments: Any) -> list[str]:
    network = road_network(diamond(), capacity=1, **arguments)
    return ["".join(nodes_of(network, path)) for path in network.paths]


def test_paths_of_a_pair() -> None:
    pairs = [("a", "d")]
    assert routes(pairs=pairs) == ["ad"]
    assert routes(pairs=pairs, weight="length") == ["abd"]
    assert routes(pairs=pairs, paths="k_shortest", k=2, weight="length") == ["abd", "acd"]
    assert routes(pairs=pairs, paths="k_shortest", k=9, weight="length") == ["abd", "acd", "ad"]
    assert sorted(routes(pairs=[("a", "c"), *pairs], paths="k_shortest", k=1)) == ["ac", "ad"]


def test_all_paths_that_tie_are_taken_and_edges_of_length_0_do_not_trap_the_search() -> None:
    tied = road_network(diamond(ac=1, ad=3), capacity=1, pairs=[("a", "d")], weight="length")
    assert len(tied.paths) == 3
    loop = road_network(diamond(ab=0, bc=0, cb=0, ac=0), capacity=1, pairs=[("a", "d")], weight="length")
    found = sorted("".join(nodes_of(loop, path)) for path in loop.paths)
    assert found == ["abcd", "abd", "acbd", "acd"]


def test_no_path_passes_a_node_that_is_not_through() -> None:
    for method, k in (("shortest", 1), ("k_shortest", 5)):
        graph = diamond()
        graph.nodes["b"]["through"] = False
        network = road_network(
            graph, capacity=1, pairs=[("a", "d"), ("b", "d"), ("a", "b")], paths=method, k=k, weight="length"
        )
        found = ["".join(nodes_of(network, path)) for path in network.paths]
        assert found == ["acd", *["ad"] * (k > 1), "bd", "ab"]


def test_weights_follow_demand_and_split_over_the_paths_of_a_pair() -> None:
    demand = {("a", "d"): 6.0, ("a", "b"): 2.0, ("c", "d"): 0.0, ("b", "b"): 9.0}
    network = road_network(diamond(ac=1), capacity=1, demand=demand, paths="k_shortest", k=3, weight="length")
    found = {tuple(nodes_of(network, path)): weight for path, weight in zip(network.paths, network.weights)}
    assert found == pytest.approx(
        {tuple("abd"): 0.25, tuple("acd"): 0.25, tuple("ad"): 0.25, tuple("ab"): 0.25}
    )


def test_the_largest_demands_are_kept() -> None:
    demand = {("a", "b"): 1.0, ("a", "d"): 3.0, ("b", "d"): 2.0, ("c", "d"): 1.0}
    network = road_network(diamond(), capacity=1, demand=demand, most_pairs=2)
    assert ends(network) == [("a", "d"), ("b", "d")]
    assert network.weights == pytest.approx([0.6, 0.4])
    network = road_network(diamond(), capacity=1, demand=demand, most_pairs=3)
    assert ends(network) == [("a", "b"), ("a", "d"), ("b", "d")]
    only = road_network(diamond(), capacity=1, demand=demand, pairs=[("c", "d"), ("a", "d")])
    assert only.weights == pytest.approx([0.75, 0.25])
    assert ends(only) == [("a", "d"), ("c", "d")]


def test_marked_boundary_nodes_come_before_dead_ends() -> None:
    graph = diamond()
    for edge in [("z", "a"), ("d", "y"), ("b", "a"), ("d", "b")]:
        graph.add_edge(*edge)
    graph.add_edge("a", "z")
    graph.add_edge("y", "d")
    assert ends(road_network(graph, capacity=1)) == [("z", "y"), ("y", "z")]
    graph.nodes["a"]["boundary"] = graph.nodes["b"]["boundary"] = True
    assert ends(road_network(graph, capacity=1)) == [("a", "b"), ("b", "a")]


# --- capacity --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_agents", "rounding", "expected"),
    [
        (1000, "floor", 9),
        (1000, "ceil", 10),
        (1000, "round", 9),
        (1600, "ceil", 15),
        (100, "floor", 1),
        (3, "round", 1),
    ],
)
def test_the_thesis_rule(n_agents: int, rounding: str, expected: int) -> None:
    network = road_network(grid(), n_agents=n_agents, rounding=rounding)
    assert network.capacity.tolist() == [expected] * 80
    assert network.capacity.dtype == np.int64


def test_capacities_that_are_given() -> None:
    pairs = [("a", "d")]
    assert road_network(diamond(), pairs=pairs, capacity=2.7).capacity.tolist() == [2] * 5
    assert road_network(diamond(), pairs=pairs, capacity=np.asarray(4)).capacity.tolist() == [4] * 5
    each = road_network(diamond(), pairs=pairs, capacity=[1, 2, 3, 4, 5])
    assert each.capacity.tolist() == [1, 2, 3, 4, 5]
    read = road_network(diamond(), pairs=pairs, capacity="capacity")
    assert dict(zip(read.lanes, read.capacity)) == {
        ("a", "b"): 10, ("b", "d"): 20, ("a", "c"): 20, ("c", "d"): 20, ("a", "d"): 50
    }  # fmt: skip
    third = road_network(diamond(), pairs=pairs, capacity="capacity", capacity_scale=0.1)
    assert sorted(third.capacity) == [1, 2, 2, 2, 5]


def test_capacities_scaled_to_the_mean_of_the_thesis_rule() -> None:
    """Mean 24 becomes 0.75 · 80 / 5 = 12: half of each."""
    network = road_network(
        diamond(), pairs=[("a", "d")], capacity="capacity", capacity_scale="mean", n_agents=80
    )
    assert sorted(network.capacity) == [5, 10, 10, 10, 25]


# --- files -----------------------------------------------------------------------------------------

NET = """<NUMBER OF ZONES> 2
<NUMBER OF NODES> 4
<FIRST THRU NODE> 3
<NUMBER OF LINKS> 6
<ORIGINAL HEADER>~ Tail Head Capacity ;
<END OF METADATA>\t\t

~\tinit_node\tterm_node\tcapacity\tlength\tfree_flow_time\tb\tpower\tspeed\ttoll\tlink_type\t;
\t1\t3\t1800.5\t2\t1.5\t0.15\t4\t60\t0\t1\t;
\t3\t1\t1800.5\t2\t1.5\t0.15\t4\t60\t0\t1\t;
\t3\t4\t900\t0\t0\t0.15\t4\t60\t0\t2\t;
\t4\t3\t900\t1e1\t4\t0.15\t4\t60\t0\t2\t;
\t4\t2\t600\t3\t2\t;
\t2\t4\t600\t3\t2\t;
"""
TRIPS = """<NUMBER OF ZONES> 2
<TOTAL OD FLOW> 40.0
<END OF METADATA>

Origin \t1
    1 :    0.0;
    2 :   30.0;
origin 2
    1 :   10.0;
"""
NODES = """Node\tX\tY\t;
1\t-96.5\t43.25\t;
2\t3\t4\t;
3 0 1
4\t-1\t0\t;
"""


def written(folder: Path, **changed: str) -> dict[str, Path]:
    files = {}
    for name, text in {"net": NET, "trips": TRIPS, "node": NODES, **changed}.items():
        files[f"{name}_path"] = folder / f"{name}.tntp"
        files[f"{name}_path"].write_text(text, encoding="utf-8")
    return files


def test_tntp_is_read_to_the_number(tmp_path: Path) -> None:
    graph, demand = read_tntp(**written(tmp_path))
    assert list(graph) == [1, 2, 3, 4]
    assert dict(graph.nodes(data="boundary")) == {1: True, 2: True, 3: False, 4: False}
    assert dict(graph.nodes(data="through")) == {1: False, 2: False, 3: True, 4: True}
    assert dict(graph.nodes(data="x")) == {1: -96.5, 2: 3, 3: 0, 4: -1}
    assert dict(graph.nodes(data="y")) == {1: 43.25, 2: 4, 3: 1, 4: 0}
    assert list(graph.edges(data="capacity")) == [
        (1, 3, 1800.5), (2, 4, 600), (3, 1, 1800.5), (3, 4, 900), (4, 3, 900), (4, 2, 600)
    ]  # fmt: skip
    assert graph.edges[4, 3] == {
        "capacity": 900, "length": 10, "free_flow_time": 4, "b": 0.15, "power": 4, "speed": 60, "toll": 0,
        "link_type": 2,
    }  # fmt: skip
    assert graph.edges[4, 2] == {"capacity": 600, "length": 3, "free_flow_time": 2}
    assert demand == {(1, 2): 30, (2, 1): 10}
    network = road_network(
        graph, demand=demand, capacity="capacity", capacity_scale=0.01, weight="free_flow_time"
    )
    assert [nodes_of(network, path) for path in network.paths] == [[1, 3, 4, 2], [2, 4, 3, 1]]
    assert network.weights.tolist() == [0.75, 0.25]
    assert network.capacity.tolist() == [18, 6, 18, 9, 9, 6]
    assert network.positions == {1: (-96.5, 43.25), 2: (3, 4), 3: (0, 1), 4: (-1, 0)}


def test_tntp_without_trips_goes_between_zones_and_passes_none(tmp_path: Path) -> None:
    """A short cut 3 → 1 → 4 would pass zone 1."""
    files = written(tmp_path, net=NET.replace("LINKS> 6", "LINKS> 7") + "1 4 600 1 1;\n")
    roads = read_tntp(files["net_path"])
    assert roads.demand is None
    network = road_network(roads.graph, capacity=1, pairs=[(1, 2), (3, 4)], weight="length")
    assert [nodes_of(network, path) for path in network.paths] == [[1, 4, 2], [3, 4]]
    assert ends(road_network(roads.graph, capacity=1)) == [(1, 2), (2, 1)]
    through = written(
        tmp_path, net=NET.replace("LINKS> 6", "LINKS> 7").replace("NODE> 3", "NODE> 1") + "1 4 600 1 1;\n"
    )
    graph = read_tntp(through["net_path"]).graph
    graph.edges[3, 4]["length"] = 4.0
    network = road_network(graph, capacity=1, pairs=[(3, 4)], weight="length")
    assert [nodes_of(network, path) for path in network.paths] == [[3, 1, 4]]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("net", "\t4\t2\t600\t3\t2\t;", "\t4\t2\t600\t3\t;", r"net\.tntp:13 = .*init_node term_node"),
        ("net", "\t4\t2\t600", "\t4\t2\tmany", r"net\.tntp:13 = 'many' .*numbers"),
        ("net", "\t4\t2\t600", "\t4\t2\tnan", r"net\.tntp:13 = 'nan' .*numbers"),
        ("net", "\t3\t4\t900", "\t3\t4\t0", r"net\.tntp:11: capacity = 0 .*a positive number"),
        ("net", "\t4\t2\t600", "\t4\t2\t-1", r"net\.tntp:13: capacity = -1\.0"),
        ("net", "\t4\t2\t600\t3", "\t4\t2\t600\t-3", r"net\.tntp:13: length = -3\.0 .*from 0 up"),
        ("net", "\t4\t2\t600", "\t4\t4\t600", r"net\.tntp:13 = .*two different nodes"),
        ("net", "\t4\t2\t600", "\t" + "4" * 5000 + "\t2\t600", r"net\.tntp:13 = '444.*a node, 1 … 4"),
        ("net", "\t4\t2\t600", "\t4\t2\t6_00", r"net\.tntp:13 = '6_00' .*numbers"),
        ("net", "\t4\t2\t600", "\t4\t5\t600", r"net\.tntp:13 = '5' .*a node, 1 … 4"),
        ("net", "\t4\t2\t600", "\t4\tx\t600", r"net\.tntp:13 = 'x' .*a node, 1 … 4"),
        ("net", "LINKS> 6", "LINKS> 8", r"net\.tntp: <NUMBER OF LINKS> = 8 .*in the file, 6"),
        ("net", "LINKS> 6", "LINKS> six", r"net\.tntp:4: <NUMBER OF LINKS> = 'six'"),
        ("net", "ZONES> 2", "ZONES> 5", r"net\.tntp:1: <NUMBER OF ZONES> = 5 .*from 1 to 4"),
        ("net", "LINKS> 6", "LINKS> " + "6" * 5000, r"net\.tntp:4: <NUMBER OF LINKS> = '666"),
        (
            "net",
            "<NUMBER OF LINKS> 6",
            "<NUMBER OF ZONES> 3",
            r"net\.tntp:4 = .*each tag once; .*net\.tntp:1",
        ),
        (
            "net",
            "NODES> 4",
            "NODES> 10000000",
            r"net\.tntp: <NUMBER OF NODES> = 10000000 .*at most 10 for each",
        ),
        ("net", "<END OF METADATA>", "<END>", r"net\.tntp:9 = .*before <END OF METADATA>"),
        ("net", NET, "<NUMBER OF ZONES> 2\n", r"net\.tntp has no <END OF METADATA>"),
        ("trips", "Origin \t1", "", r"trips\.tntp:6 = .*Origin node, or entries"),
        ("trips", "2 :   30.0;", "2   30.0;", r"trips\.tntp:7 = .*Origin node, or entries"),
        ("trips", "2 :   30.0;", "7 :   30.0;", r"trips\.tntp:7 = '7' .*a zone of .*net\.tntp, 1 … 2"),
        ("trips", "2 :   30.0;", "3 :   30.0;", r"trips\.tntp:7 = '3' .*a zone of .*net\.tntp, 1 … 2"),
        ("trips", "origin 2", "origin 4", r"trips\.tntp:8 = '4' .*a zone of .*net\.tntp, 1 … 2"),
        ("trips", "2 :   30.0;", "2 :  -30.0;", r"trips\.tntp:7 = '-30\.0' .*a flow from 0 up"),
        ("trips", "2 :   30.0;", "2 :    nan;", r"trips\.tntp:7 = 'nan' .*a flow from 0 up"),
        (
            "trips",
            "2 :   30.0;",
            "1 :   30.0;",
            r"trips\.tntp:7 = \(1, 1\) .*each origin and destination once",
        ),
        ("trips", "ZONES> 2", "ZONES> 4", r"trips\.tntp:1: <NUMBER OF ZONES> = 4 .*net\.tntp has, 2"),
        ("node", "2\t3\t4", "2\t3", r"node\.tntp:3 = .*node x y"),
        ("node", "2\t3\t4", "2\tx\t4", r"node\.tntp:3 = 'x' .*coordinates"),
        ("node", "2\t3\t4", "5\t3\t4", r"node\.tntp:3 = '5' .*a node, 1 … 4"),
        ("node", "2\t3\t4", "1\t3\t4", r"node\.tntp:3 = 1 .*each node once"),
        ("node", "2\t3\t4\t;\n", "", r"node\.tntp has no coordinates of node 2"),
    ],
)
def test_tntp_errors_name_file_and_line(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    text = {"net": NET, "trips": TRIPS, "node": NODES}[file]
    assert old in text
    with pytest.raises(ConfigError, match=message):
        read_tntp(**written(tmp_path, **{file: text.replace(old, new)}))


def test_files_that_are_no_text_or_not_there(tmp_path: Path) -> None:
    binary = tmp_path / "binary.tntp"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.tntp is not a text file"):
        read_tntp(binary)
    for read in (read_tntp, read_graphml):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            read(tmp_path / "nowhere")


def test_graphml_round_trip(tmp_path: Path) -> None:
    graph = diamond()
    for _, _, data in graph.edges(data=True):
        data["lanes_in_all"] = data.pop("capacity")
    graph.add_node("a", x=1.5, y=2, boundary=True)
    nx.write_graphml(graph, tmp_path / "roads.graphml")
    read = read_graphml(tmp_path / "roads.graphml", capacity="lanes_in_all", length="length")
    assert {(u, v): (c, read.edges[u, v]["length"]) for u, v, c in read.edges(data="capacity")} == {
        (u, v): (c, graph.edges[u, v]["length"]) for u, v, c in graph.edges(data="lanes_in_all")
    }
    assert read.nodes["a"] == {"x": 1.5, "y": 2, "boundary": True}
    nx.write_graphml(nx.path_graph(3), tmp_path / "both.graphml")
    both = road_network(read_graphml(tmp_path / "both.graphml"), capacity=1, exclude=None)
    assert ends(both) == [("0", "2"), ("2", "0")]


def test_graphml_errors_name_file_and_edge(tmp_path: Path) -> None:
    file = tmp_path / "roads.graphml"
    graph = diamond()
    nx.write_graphml(graph, file)
    with pytest.raises(ConfigError, match=r"roads\.graphml: edge 'a' → 'b' has no 'size'; it has: length"):
        read_graphml(file, capacity="size")
    graph.edges["b", "d"]["capacity"] = 0
    nx.write_graphml(graph, file)
    with pytest.raises(ConfigError, match=r"roads\.graphml: edge 'b' → 'd': capacity = 0 .*positive"):
        read_graphml(file, capacity="capacity")
    for text in ("", "<graphml>", "<html></html>"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"roads\.graphml is not a GraphML file"):
            read_graphml(file)


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pairs": [("a", "q")]}, "a node of pairs = 'q' .*one of the 4 nodes"),
        ({"demand": {("q", "a"): 1}}, "a node of demand = 'q'"),
        ({"pairs": ["ad"]}, "pairs = 'ad' .*origin, destination"),
        ({"pairs": []}, "pairs = .*at least one pair"),
        ({"pairs": [("a", "a")]}, "pairs = .*two different nodes"),
        ({"pairs": [("a", "d"), ("a", "d")]}, "pairs = .*each pair once"),
        ({"pairs": [("d", "a")]}, r"pairs = \('d', 'a'\) .*pairs that a path joins"),
        ({"demand": {("d", "a"): 1}}, r"pairs = \('d', 'a'\) .*pairs that a path joins"),
        ({"demand": {("a", "d"): -1}}, r"demand\[\('a', 'd'\)\] = -1"),
        ({"demand": {("a", "d"): 0, ("b", "b"): 5}}, "demand = .*a positive demand"),
        ({"demand": [("a", "d")]}, "demand = .*a mapping"),
        ({"demand": {("a", "d"): 1}, "pairs": [("a", "b")]}, r"pairs = \('a', 'b'\) .*positive demand"),
        ({"most_pairs": 3}, "most_pairs = 3 .*None without demand"),
        ({"demand": {("a", "d"): 1}, "most_pairs": 0}, "most_pairs = 0"),
        ({"exclude": "corners"}, "exclude = 'corners' .*same_junction"),
        ({"paths": "shortes"}, "paths = 'shortes' .*did you mean shortest"),
        ({"k": 2}, "k = 2 .*1 with paths = shortest"),
        ({"paths": "k_shortest", "k": 0}, "k = 0"),
        ({"weight": "time"}, "edge 'a' → 'b' has no 'time'; it has: length, capacity"),
        ({"weight": "length", "_edge": -2}, "edge 'a' → 'b': length = -2 .*from 0 up"),
        ({"weight": "length", "_edge": "far"}, "edge 'a' → 'b': length = 'far'"),
        ({"capacity": "length", "_edge": 0}, "edge 'a' → 'b': length = 0 .*a positive number"),
        ({"capacity": "size"}, "edge 'a' → 'b' has no 'size'"),
        ({"capacity": 0}, "capacity = 0 "),
        ({"capacity": True}, "capacity = True "),
        ({"capacity": 0.9}, r"capacity of edge 'a' → 'b' = 0\.9 .*at least 1 agent per step"),
        ({"capacity": [1, 2]}, r"capacity = \[1, 2\] .*5 numbers"),
        ({"capacity": [1, 2, 0, 1, 1]}, r"capacity\[2\] = 0 "),
        ({"capacity": "capacity", "capacity_scale": 0.06}, "capacity of edge 'a' → 'b' = 0.6 "),
        ({"capacity": "capacity", "capacity_scale": 0}, "capacity_scale = 0 "),
        ({"capacity": "capacity", "capacity_scale": "total"}, "capacity_scale = 'total'"),
        ({"capacity": "capacity", "capacity_scale": "mean"}, "n_agents = None "),
        ({"capacity": None}, "n_agents = None "),
        ({"capacity": None, "n_agents": 0}, "n_agents = 0 "),
        ({"capacity": None, "n_agents": 9, "capacity_scale": 2}, "capacity_scale = 2 .*without a capacity"),
        ({"rounding": "up"}, "rounding = 'up' .*floor, ceil, round"),
    ],
)
def test_arguments_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    graph = diamond()
    if "_edge" in arguments:
        graph.edges["a", "b"]["length"] = arguments["_edge"]
    given = {name: value for name, value in arguments.items() if name != "_edge"}
    if not {"pairs", "demand"} & given.keys():
        given["pairs"] = [("a", "d")]
    with pytest.raises(ConfigError, match=message):
        road_network(graph, **{"capacity": 1, **given})


def test_graphs_are_refused_by_edge() -> None:
    ring = nx.cycle_graph(4, create_using=nx.DiGraph).to_undirected().to_directed()
    for graph, message in (
        (ring, "graph = '0 boundary nodes' .*the attribute boundary = true.* list the trips in pairs"),
        (nx.path_graph(3), r"graph = .*a networkx.DiGraph .*to_directed"),
        (nx.DiGraph(), "graph = .*a graph with edges"),
        ("roads", "graph = 'roads'"),
    ):
        with pytest.raises(ConfigError, match=message):
            road_network(graph, capacity=1)


def test_too_many_paths_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    legs = sum(map(len, THESIS.paths))
    monkeypatch.setattr(paths_module, "MOST_LEGS", legs)
    assert len(road_network(grid(), n_agents=1000).paths) == 1024
    monkeypatch.setattr(paths_module, "MOST_LEGS", legs - 1)
    with pytest.raises(ConfigError, match=f"paths = 'shortest' .*at most {legs - 1} lanes"):
        road_network(grid(), n_agents=1000)


@pytest.mark.parametrize("size", [0, -1, 1.5, "4", True])
def test_sizes_that_no_grid_has(size: Any) -> None:
    with pytest.raises(ConfigError, match="rows = "):
        grid(size, 2)
    with pytest.raises(ConfigError, match="columns = "):
        grid(2, size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lanes": (("a", "b"), ("b", "d"))}, "graph = .*carry lane"),
        ({"lanes": (("b", "d"), ("a", "b"), ("b", "c"))}, r"lanes\[0\] = "),
        ({"paths": ()}, "paths = "),
        ({"paths": ((0, 3),), "weights": [1.0]}, r"paths\[0\] = .*from 0 to 2"),
        ({"paths": ((1, 0),), "weights": [1.0]}, r"paths\[0\] = .*begins where the one before ends"),
        ({"paths": ((0, 1, 2),), "weights": [1.0]}, r"paths\[0\] = .*no node twice"),
        ({"weights": [0.5, 0.4]}, "weights = "),
        ({"weights": [1.5, -0.5]}, "weights = "),
        ({"weights": [1.0]}, "weights = "),
        ({"capacity": [1, 1, 0]}, "capacity = "),
        ({"capacity": [1.0, 1.0, 1.0]}, "capacity = "),
        ({"capacity": [1, 1]}, "capacity = "),
    ],
)
def test_a_network_of_ones_own_is_checked(change: dict[str, Any], message: str) -> None:
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a")])
    for lane, edge in enumerate(graph.edges):
        graph.edges[edge]["lane"] = lane
    fields: dict[str, Any] = {
        "lanes": tuple(graph.edges), "paths": ((0, 1), (2,)), "weights": [0.5, 0.5], "capacity": [1, 2, 3]
    }  # fmt: skip
    assert RoadNetwork(graph, **fields).longest == 2
    with pytest.raises(ConfigError, match=message):
        RoadNetwork(graph, **{**fields, **change})
