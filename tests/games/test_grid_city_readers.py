"""Networks are read from TNTP and GraphML to the number, and errors name the file and the place."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.grid_city.graphml import read_graphml
from karma_envs.games.grid_city.network import road_network
from karma_envs.games.grid_city.tntp import read_tntp
from tests.games.small_networks import diamond, ends, nodes_of

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
