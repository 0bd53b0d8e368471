"""No module of ours needs, to be imported, one that needs it."""

from __future__ import annotations

import networkx as nx

from tests.architecture.test_layers import FILES, imports_of, name_of


def test_no_module_imports_itself_through_others() -> None:
    """Imports inside functions, and those for type checkers alone, wait until all is loaded."""
    modules = {name_of(file) for file in FILES}
    imports = nx.DiGraph()
    for file in FILES:
        for each in imports_of(file):
            if not each.lazy and each.module in modules:
                imports.add_edge(name_of(file), each.module)
    assert imports.number_of_edges() > 500
    circles = [sorted(part) for part in nx.strongly_connected_components(imports) if len(part) > 1]
    assert circles == []
