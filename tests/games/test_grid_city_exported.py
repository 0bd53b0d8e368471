"""Networks as other programs export them: OSMnx, marks in any spelling, TNTP as published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.graphml import read_graphml
from karma_envs.games.grid_city.network import road_network
from karma_envs.games.grid_city.tntp import read_tntp
from tests.games.exported_networks import by_lane, cross, nodes

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
