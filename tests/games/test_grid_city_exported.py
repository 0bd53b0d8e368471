"""Networks as other tools and publications write them: read in full, or refused by one line that says why."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityConfig, GridCityGame
from karma_envs.games.grid_city import paths as paths_module
from karma_envs.games.grid_city.graphml import read_graphml
from karma_envs.games.grid_city.network import RoadNetwork, road_network
from karma_envs.games.grid_city.tntp import read_tntp


def nodes(network: RoadNetwork) -> list[str]:
    """Paths as their nodes, for nodes with names of one letter."""
    return [
        "".join(str(node) for node in (network.lanes[path[0]][0], *(network.lanes[lane][1] for lane in path)))
        for path in network.paths
    ]


def made(graph: nx.DiGraph, **arguments: Any) -> RoadNetwork:
    """The network of :func:`roads`, in whose way trips go."""
    return road_network(graph, capacity="capacity", pairs=[(0, -1)], **arguments)


def by_lane(network: RoadNetwork) -> dict[Any, int]:
    return dict(zip(network.lanes, network.capacity.tolist()))


# --- OSMnx -----------------------------------------------------------------------------------------

# What osmnx.save_graphml (2.1) writes: a two-way street a-b, one one-way street out to c and one in from
# e, two streets side by side between b and d, a loop at d. All values are text.
OSM = """<?xml version='1.0' encoding='utf-8'?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="d6" for="edge" attr.name="maxspeed" attr.type="string" />
  <key id="d5" for="edge" attr.name="lanes" attr.type="string" />
  <key id="d4" for="edge" attr.name="oneway" attr.type="string" />
  <key id="d3" for="edge" attr.name="length" attr.type="string" />
  <key id="d2" for="node" attr.name="y" attr.type="string" />
  <key id="d1" for="node" attr.name="x" attr.type="string" />
  <key id="d0" for="graph" attr.name="crs" attr.type="string" />
  <graph edgedefault="directed">
    <node id="a"><data key="d1">8.5</data><data key="d2">47.3</data></node>
    <node id="b"><data key="d1">8.51</data><data key="d2">47.3</data></node>
    <node id="c"><data key="d1">8.52</data><data key="d2">47.3</data></node>
    <node id="d"><data key="d1">8.51</data><data key="d2">47.31</data></node>
    <node id="e"><data key="d1">8.53</data><data key="d2">47.3</data></node>
    <edge source="a" target="b" id="0"><data key="d3">750.25</data><data key="d4">False</data>
      <data key="d5">2</data><data key="d6">50 mph</data></edge>
    <edge source="b" target="a" id="0"><data key="d3">750.25</data><data key="d5">['2', '3']</data></edge>
    <edge source="b" target="c" id="0"><data key="d3">751.0</data><data key="d4">True</data></edge>
    <edge source="e" target="b" id="0"><data key="d3">99.5</data><data key="d4">True</data></edge>
    <edge source="b" target="d" id="0"><data key="d3">1500.5</data></edge>
    <edge source="b" target="d" id="1"><data key="d3">1112.0</data></edge>
    <edge source="d" target="b" id="0"><data key="d3">1500.5</data></edge>
    <edge source="d" target="b" id="1"><data key="d3">1112.0</data></edge>
    <edge source="d" target="d" id="0"><data key="d3">90.0</data></edge>
    <data key="d0">epsg:4326</data>
  </graph>
</graphml>
"""


def osm(folder: Path, *changes: tuple[str, str]) -> str:
    text = OSM
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "osm.graphml").write_text(text, encoding="utf-8")
    return str(folder / "osm.graphml")


@pytest.mark.filterwarnings("ignore:.*lanes that run beside", "ignore:.*lanes from a node to itself")
def test_a_map_that_osmnx_has_saved(tmp_path: Path) -> None:
    """Trips join dead ends; none begins where a one-way street leaves the map, or ends where one enters."""
    game = GridCityGame(network=osm(tmp_path), n_agents=90, exclude=None)
    network = game.network
    assert len(network.lanes) == 6
    assert sorted(nodes(network)) == ["abc", "abd", "dba", "dbc", "eba", "ebc", "ebd"]
    assert network.positions is not None
    assert network.positions["d"] == (8.51, 47.31)
    assert network.graph.edges["b", "d"]["length"] == 1112.0  # the shorter of the two
    assert network.capacity.tolist() == [11] * 6  # 0.75 · 90 / 6


def test_what_is_joined_and_left_out_is_said(tmp_path: Path) -> None:
    with (
        pytest.warns(
            UserWarning, match=r"osm\.graphml: lanes from a node to itself \(1, as at 'd'\) are left out"
        ),
        pytest.warns(
            UserWarning, match=r"osm\.graphml: lanes that run beside others \(2, as from 'b' to 'd'\) "
        ),
    ):
        GridCityGame(network=osm(tmp_path), n_agents=90, exclude=None)


@pytest.mark.filterwarnings("ignore:.*lanes that run beside", "ignore:.*lanes from a node to itself")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (">750.25<", ">750 m<", "edge 'a' → 'b': length = '750 m' .*a number from 0 up, without unit"),
        (">750.25<", ">[1, 2]<", r"edge 'a' → 'b': length = '\[1, 2\]' "),
        (">750.25<", ">nan<", "edge 'a' → 'b': length = 'nan' "),
        (">750.25<", ">-1<", "edge 'a' → 'b': length = '-1' "),
        (">8.51<", ">east<", "node 'b': x = 'east' .*a finite number"),
        (">751.0<", ">1_0<", "edge 'b' → 'c': length = '1_0' "),
        ('<data key="d3">751.0</data>', "", "edge 'b' → 'c' has no 'length'"),
        (OSM[OSM.index("    <edge") : OSM.index('    <data key="d0"')], "", "graph = .*with edges"),
    ],
)
def test_an_attribute_that_cannot_be_read_is_named_with_the_file(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^\S+osm\.graphml: {says}"):
        GridCityGame(network=osm(tmp_path, (old, new)), n_agents=90, exclude=None)


def test_what_is_no_graphml_is_named(tmp_path: Path) -> None:
    for text in (
        "",
        "<graphml>" * 3000,
        OSM.replace("utf-8", "klingon"),
        OSM.replace('type="string"', 'type="?"'),
    ):
        (tmp_path / "bad.graphml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"bad\.graphml is not a GraphML file of roads"):
            read_graphml(tmp_path / "bad.graphml")


def test_a_graph_from_python_is_read_as_a_file_is() -> None:
    graph = nx.MultiDiGraph()
    for start, end, length, capacity in (
        ("a", "b", "2.5", "10"), ("a", "b", 1, 20), ("b", "c", np.float32(1), "inf"), ("a", "c", "3", 40),
        ("b", "b", "far", "wide"),
    ):  # fmt: skip
        graph.add_edge(start, end, length=length, capacity=capacity)
    graph.add_node("a", x="1", y=np.int64(2), boundary=np.bool_(True))
    with (
        pytest.warns(UserWarning, match=r"^lanes from a node to itself \(1, as at 'b'\)"),
        pytest.warns(UserWarning, match=r"^lanes that run beside others \(1, as from 'a' to 'b'\)"),
    ):
        network = road_network(graph, capacity="capacity", pairs=[("a", "c")], weight="length", n_agents=99)
    assert nodes(network) == ["abc"]  # 1 + 1, which is less than 3
    assert by_lane(network) == {("a", "b"): 30, ("b", "c"): 99, ("a", "c"): 40}
    assert network.graph.nodes["a"] == {"x": 1.0, "y": 2, "boundary": True}
    graph.edges["a", "c", 0]["length"] = "3 km"
    with (
        pytest.warns(UserWarning, match="lanes"),
        pytest.raises(ConfigError, match=r"^edge 'a' → 'c': length = '3 km'"),
    ):
        road_network(graph, capacity="capacity", pairs=[("a", "c")], weight="length")


# --- booleans --------------------------------------------------------------------------------------


def cross(folder: Path, **marks: Any) -> str:
    """Four arms at a crossing x, with a value of ``boundary`` or ``through`` by node; the file."""
    graph = nx.DiGraph()
    for arm in "nesw":
        graph.add_edges_from([(arm, "x"), ("x", arm)])
    graph.add_edges_from([("n", "e"), ("e", "n")])
    for name, value in marks.items():
        node, attribute = name.split("_")
        graph.nodes[node][attribute] = value
    nx.write_graphml(graph, folder / "cross.graphml")
    return str(folder / "cross.graphml")


@pytest.mark.parametrize("true", ["True", "true", " YES ", "1", 1, 1.0, True])
@pytest.mark.parametrize("false", ["False", "false", "no", "0", 0, 0.0, False])
def test_booleans_are_read_whatever_they_are_written_as(tmp_path: Path, true: Any, false: Any) -> None:
    marks = {
        "n_boundary": true,
        "s_boundary": true,
        "e_boundary": false,
        "e_through": false,
        "x_through": true,
    }
    game = GridCityGame(network=cross(tmp_path, **marks), n_agents=8, exclude=None)
    assert nodes(game.network) == ["nxs", "sxn"]
    marks |= {"x_through": false, "e_through": true}
    with pytest.raises(ConfigError, match=r"cross\.graphml: .*pairs of boundary nodes.* a path joins"):
        GridCityGame(network=cross(tmp_path, **marks), n_agents=8, exclude=None)


@pytest.mark.parametrize("value", ["maybe", "", "None", 2, 0.5])
@pytest.mark.parametrize("name", ["boundary", "through"])
def test_what_is_no_boolean_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    network = cross(tmp_path, **{f"n_{name}": value})
    with pytest.raises(
        ConfigError, match=rf"cross\.graphml: node 'n': {name} = .* true, yes, 1, false, no, 0"
    ):
        GridCityGame(network=network, n_agents=8)
    graph = nx.DiGraph([("a", "b"), ("b", "a")])
    graph.nodes["a"][name] = value
    with pytest.raises(ConfigError, match=f"^node 'a': {name} = "):
        road_network(graph, capacity=1, exclude=None)


# --- trips of one's own ----------------------------------------------------------------------------


def test_pairs_and_exclude_can_be_given_in_the_configuration(tmp_path: Path) -> None:
    network = cross(tmp_path)
    assert (
        len(GridCityGame(network=network, n_agents=8, exclude=None).network.paths) == 2
    )  # s and w, dead ends
    with pytest.raises(ConfigError, match=r"cross\.graphml: exclude = .* None here"):
        GridCityGame(network=network, n_agents=8)
    game = GridCityGame(network=network, n_agents=8, pairs=[["n", "w"], ["x", "s"]])
    assert nodes(game.network) == ["nxw", "xs"]
    assert GridCityConfig.from_dict(game.config.to_dict()) == game.config
    with pytest.raises(
        ConfigError, match=r"cross\.graphml: a node of pairs = 'q' .*one of the 5 nodes, such as n"
    ):
        GridCityGame(network=network, n_agents=8, pairs=[["n", "q"]])


def test_pairs_of_numbers_and_of_the_grid() -> None:
    town = GridCityGame(network="town", n_agents=8, pairs=[[1, 5]], most_pairs=1)
    assert len(town.network.paths) == 7
    city = GridCityGame(n_agents=8, pairs=[["(0, -1)", "(3, 4)"]], k_shortest=5)
    assert len(city.network.paths) == 5
    assert city.network.lanes[city.network.paths[0][0]][0] == (0, -1)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pairs": "ab"}, "pairs = 'ab' .*pairs of names"),
        ({"pairs": [["a"]]}, r"pairs\[0\] = \['a'\] .*pairs of names"),
        ({"pairs": [["a", True]]}, r"pairs\[0\] = \['a', True\] "),
        ({"exclude": "none"}, "exclude = 'none' .*same_junction"),
        ({"k_shortest": 0}, "k_shortest = 0 .*from 1"),
        ({"most_pairs": 3}, "most_pairs = 3 .*its default where network is neither a file nor town"),
        ({"capacity_scale": "median"}, "capacity_scale = 'median' .*its default where network is neither"),
        ({"capacity_scale": "meen"}, "capacity_scale = 'meen' .*mean, median"),
        ({"network": "town", "capacity_scale": 0}, "capacity_scale = 0 "),
        ({"network": "m:f", "k_shortest": 2}, "k_shortest = 2 .*its default where network is a function"),
        ({"network": "m:f", "pairs": [["a", "b"]]}, "pairs = .*its default where network is a function"),
    ],
)
def test_fields_of_networks_are_refused_by_name(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        GridCityConfig(**fields)


def test_too_many_boundary_nodes_are_refused_before_their_pairs_are_listed() -> None:
    star = nx.DiGraph([(arm, "centre") for arm in range(1001)] + [("centre", arm) for arm in range(1001)])
    with pytest.raises(ConfigError, match=r"graph = '1001 boundary nodes' .*2 … 1000"):
        road_network(star, capacity=1)


def test_pairs_that_no_path_joins() -> None:
    """Of two towns without a road between them: left out of all pairs, with a word; refused where listed."""
    graph = nx.DiGraph([("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")])
    with pytest.warns(
        UserWarning, match=r"8 of 12 pairs of boundary nodes are joined by no path, as \('a', 'c'\)"
    ):
        network = road_network(graph, capacity=1, exclude=None)
    assert nodes(network) == ["ab", "ba", "cd", "dc"]
    assert nodes(road_network(nx.DiGraph([("a", "b"), ("b", "c")]), capacity=1, exclude=None)) == ["abc"]
    for node in "abz":
        graph.add_node(node, boundary=True)
    with pytest.warns(UserWarning, match=r"4 of 6 pairs .* no path, as \('a', 'z'\)"):  # z has no lanes
        assert nodes(road_network(graph, capacity=1, exclude=None)) == ["ab", "ba"]
    with pytest.raises(ConfigError, match=r"pairs = \('a', 'c'\) .*a path joins"):
        road_network(graph, capacity=1, pairs=[("a", "b"), ("a", "c")])
    with pytest.raises(ConfigError, match=r"pairs = 5 .*a list of pairs"):
        road_network(graph, capacity=1, pairs=5)  # type: ignore[arg-type]


# --- TNTP as published -----------------------------------------------------------------------------

# Tags in another order and none about passing, a header without ~, a comment, rows without ; and two links
# from 1 to 2 beside each other.
PUBLISHED = """<NUMBER OF LINKS>\t5\t\t
~ made by hand
<NUMBER OF NODES>3
<NUMBER OF ZONES>  3  ~ all
<END OF METADATA>

~ Init node\tTerm node\tCapacity\tLength\tFree Flow Time\t;
1\t2\t100\t1\t2\t;
1 2 300 1 1
\t2\t3\t200\t1\t1   ;\t
3\t1\t200\t1\t1 ~ a comment
2\t1\t200\t1\t1;
"""


def test_tntp_as_it_is_published(tmp_path: Path) -> None:
    file = tmp_path / "Birmingham_Net.tntp"
    file.write_text(PUBLISHED, encoding="utf-8")
    with pytest.warns(
        UserWarning, match=r"Birmingham_Net\.tntp: lanes that run beside others \(1, as from 1 to 2"
    ):
        network = GridCityGame(network=str(file), n_agents=64).network
    # 0.75 · 64 / 4 = 12 in the mean over 400, 200, 200, 200.
    assert by_lane(network) == {(1, 2): 20, (2, 3): 10, (2, 1): 10, (3, 1): 10}
    assert network.graph.edges[1, 2]["free_flow_time"] == 1.0
    assert nodes(network) == ["12", "123", "21", "23", "31", "312"]
    assert read_tntp(file).graph.number_of_edges() == 5


def test_a_file_that_claims_what_it_does_not_have_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "big_net.tntp"
    file.write_text(PUBLISHED.replace("NODES>3", "NODES>10000000").replace("ZONES>  3", "ZONES> 9999999"))
    with pytest.raises(
        ConfigError, match=r"big_net\.tntp: <NUMBER OF NODES> = 10000000 .*10 for each of the 5"
    ):
        GridCityGame(network=str(file))


def test_flows_that_do_not_add_up_are_said(tmp_path: Path) -> None:
    """A file that was cut short, say."""
    (tmp_path / "a_net.tntp").write_text(PUBLISHED)
    trips = tmp_path / "a_trips.tntp"
    for total, flows in ((30, "2 : 10; 3 : 20"), (30.2, "2 : 10; 3 : 20;"), (30, "2 : 10;")):
        trips.write_text(f"<TOTAL OD FLOW> {total}\n<END OF METADATA>\nOrigin 1\n{flows}\n")
        if flows.endswith("10;"):
            with pytest.warns(UserWarning, match=r"a_trips\.tntp:1 tells a total flow of 30; .*add up to 10"):
                read_tntp(tmp_path / "a_net.tntp", trips)
        else:
            assert read_tntp(tmp_path / "a_net.tntp", trips).demand == {(1, 2): 10, (1, 3): 20}


# --- capacities that stand for none ----------------------------------------------------------------


def roads(*capacities: float, connector: float = 1800) -> nx.DiGraph:
    """Roads 1 → 2 → … with the given capacities, and a connector from and to a boundary node at both ends."""
    graph = nx.DiGraph()
    for start, capacity in enumerate(capacities, 1):
        graph.add_edge(start, start + 1, capacity=capacity)
    for zone, node in ((0, 1), (-1, len(capacities) + 1)):
        graph.add_node(zone, boundary=True)
        graph.add_edge(zone, node, capacity=connector)
        graph.add_edge(node, zone, capacity=connector)
    return graph


@pytest.mark.parametrize("connector", [999999, 99999.0, 0, 1e30, 1e6, "999999", 49500])
@pytest.mark.parametrize("n_roads", [2, 9])
def test_placeholders_do_not_squeeze_the_roads(connector: Any, n_roads: int) -> None:
    """With 1800 everywhere every lane has 0.75 N / L; with placeholders on connectors roads keep it."""
    n_lanes = n_roads + 4
    graph = roads(*[1800] * n_roads, connector=connector)
    with pytest.warns(
        UserWarning, match=f"4 of {n_lanes} lanes have a capacity that stands for none, as .* from 1 to 0"
    ):
        network = made(graph, capacity_scale="mean", n_agents=100 * n_lanes)
    assert {int(capacity) for lane, capacity in by_lane(network).items() if min(lane) > 0} == {75}
    assert {int(capacity) for lane, capacity in by_lane(network).items() if min(lane) <= 0} == {100 * n_lanes}


def test_capacities_that_differ_as_roads_do_are_no_placeholders() -> None:
    graph = roads(600, 1800, 9000, connector=9000)
    network = made(graph, capacity_scale="mean", n_agents=700)
    assert network.capacity.sum() == pytest.approx(0.75 * 700, abs=7)
    everywhere = made(roads(999999, 999999, connector=999999), capacity_scale="mean", n_agents=80)
    assert everywhere.capacity.tolist() == [10] * 6


def test_the_scale_can_be_chosen() -> None:
    graph = roads(100, 200, 600, connector=200)
    scaled = {
        scale: by_lane(made(graph, capacity_scale=scale, n_agents=560))[2, 3]
        for scale in ("mean", "median", 0.1)
    }
    # 0.75 · 560 / 7 = 60 in the mean of 1700 / 7, or in the median of 200.
    assert scaled == {"mean": int(60 * 200 * 7 / 1700), "median": 60, 0.1: 20}
    as_they_are = made(roads(100, 200, connector=999999), capacity_scale=0.01)
    assert max(as_they_are.capacity) == 9999
    endless = made(roads(100, 200, connector=math.inf), capacity_scale=0.1)
    assert max(endless.capacity) == 2**31 - 1
    for scale, n_agents in ((100, None), ("mean", 50)):
        with pytest.raises(ConfigError, match=r"capacity of edge .* = .* below 2\^31"):
            made(roads(1e308, 1e308, 1e308, connector=1e308), capacity_scale=scale, n_agents=n_agents)
    with pytest.raises(
        ConfigError, match=r"edge 1 → 2: capacity = 0 .*a positive number \(0 is taken only where"
    ):
        made(roads(0, 100))


def test_the_towns_capacities_are_what_they_were() -> None:
    capacity = GridCityGame(network="town", n_agents=1000).network.capacity
    assert np.bincount(capacity).tolist() == [0, 0, 0, 0, 0, 0, 0, 32, 32, 16, 0, 16]


# --- a choice of routes ----------------------------------------------------------------------------

# Braess: 1 → 2 → 4, 1 → 3 → 4, and the shorter way over the link 2 → 3.
BRAESS = """<NUMBER OF ZONES> 4
<NUMBER OF NODES> 4
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 5
<END OF METADATA>
1 2 1 1 1 ;
1 3 1 5 5 ;
2 4 1 5 5 ;
3 4 1 1 1 ;
2 3 1 1 1 ;
"""


def braess(folder: Path) -> str:
    (folder / "Braess_net.tntp").write_text(BRAESS)
    trips = "<NUMBER OF ZONES> 4\n<END OF METADATA>\nOrigin 1\n4 : 6;\n"
    (folder / "Braess_trips.tntp").write_text(trips)
    return str(folder / "Braess_net.tntp")


def test_k_shortest_gives_routes_to_choose_from(tmp_path: Path) -> None:
    network = braess(tmp_path)
    fixed = GridCityGame(network=network, n_agents=20)
    assert nodes(fixed.network) == ["1234"]
    with pytest.warns(
        UserWarning, match=r"route_choice = 'node', but only 0 of 40 trips .*k_shortest gives others"
    ):
        GridCityGame(network=network, n_agents=20, route_choice="node")
    free = GridCityGame(network=network, n_agents=20, route_choice="node", k_shortest=3)
    assert sorted(nodes(free.network)) == ["1234", "124", "134"]
    assert free.n_actions == 2 * fixed.n_actions  # at 1 and at 2 there are two lanes to choose from
    assert {len(routes) for routes in free.plans.routes} == {3}
    two = GridCityGame(network=network, n_agents=20, k_shortest=2).network
    assert len(two.paths) == 2
    assert nodes(two)[0] == "1234"
    assert two.weights.tolist() == [0.5, 0.5]


# --- links of length 0 -----------------------------------------------------------------------------


def knot(n: int) -> nx.DiGraph:
    """n nodes of which every two are joined by links of length 0, at the first of them a way in and out."""
    graph = nx.DiGraph()
    for start in range(n):
        graph.add_edges_from([(start, end) for end in range(n) if end != start], length=0.0)
    graph.add_edge("in", 0, length=1.0)
    graph.add_edge(0, "out", length=1.0)
    return graph


def test_links_of_length_0_that_lead_in_circles_do_not_hold_the_search_up() -> None:
    """There is one way; walks that get lost among the 14 are some 10^10."""
    network = road_network(knot(14), capacity=1, pairs=[("in", "out")], weight="length")
    assert nodes(network) == ["in0out"]


def test_too_many_paths_of_length_0_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now the way out is at another node: all ways through the 14 are equally short."""
    monkeypatch.setattr(paths_module, "MOST_LEGS", 10**5)
    monkeypatch.setattr(paths_module, "MOST_DETOURS", 10)
    graph = knot(14)
    graph.add_edge(1, "out", length=1.0)
    graph.remove_edge(0, "out")
    with pytest.raises(ConfigError, match=r"paths = 'shortest' .*take k_shortest"):
        road_network(graph, capacity=1, pairs=[("in", "out")], weight="length")
    network = road_network(graph, capacity=1, pairs=[("in", "out")], weight="length", paths="k_shortest", k=2)
    assert nodes(network)[0] == "in01out"


def test_ways_beside_a_knot_are_all_found_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three squares one after the other before the knot: 2 · 2 · 2 ways."""
    graph = knot(14)
    for square, (start, end) in enumerate([("a", "b"), ("b", "c"), ("c", "in")]):
        for side in (f"left {square}", f"right {square}"):
            graph.add_edges_from([(start, side), (side, end)], length=1.0)
    monkeypatch.setattr(paths_module, "MOST_DETOURS", 8)
    network = road_network(graph, capacity=1, pairs=[("a", "out")], weight="length")
    assert len(set(network.paths)) == len(network.paths) == 8
    monkeypatch.setattr(paths_module, "MOST_DETOURS", 7)
    with pytest.raises(
        ConfigError, match=r"paths = 'shortest' .*at most 7 paths from 'a' to 'out' .*length 0"
    ):
        road_network(graph, capacity=1, pairs=[("a", "out")], weight="length")
