"""YAML 1.2, plain data only, as files and flags are read and written.

PyYAML reads YAML 1.1, in which ``010`` is 8, ``1:30`` is 90, ``no`` is false, ``2024-01-01`` is a date and
the last of two equal keys wins. Here scalars are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2,
section 10.3): ``010`` is 10, and ``1:30``, ``no`` and ``2024-01-01`` are text. As in Python, digits may be
grouped: ``1_000_000``. Keys are names and differ, and there are no merge keys ``<<``.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_MOST_VALUES = 1_000_000
"""Values in a text, each counted as often as an alias repeats it."""

_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_SCALARS = {  # the first that matches a plain scalar is its type; all else is text
    "null": re.compile(r"^(?:~|null|Null|NULL|)$"),
    "bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    "int": re.compile(rf"^(?:[-+]?{_DIGITS}|0o[0-7]+|0x[0-9a-fA-F]+)$"),
    "float": re.compile(
        rf"^(?:[-+]?(?:\.{_DIGITS}|{_DIGITS}(?:\.(?:{_DIGITS})?)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping with names for keys, which differ, as YAML demands and PyYAML does not ask for."""
        known = dict[str, int]()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            name, mark = self.construct_object(key, deep=True), key.start_mark
            if not isinstance(name, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is a name, in quotes if need be", mark
                )
            if name in known:
                problem = f"{name} is given twice, first in line {known[name]}"
                raise yaml.constructor.ConstructorError(None, None, problem, mark)
            known[name] = mark.line + 1
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Nothing to merge: YAML 1.2 has no ``<<``."""

    def _whole(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        try:
            return int(text, base)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"a whole number of {len(text)} characters cannot be", node.start_mark
            ) from error


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would read as something else than text."""

    yaml_implicit_resolvers = {
        key: list(found) for key, found in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }


for _name, _pattern in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, None)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader._whole)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        ValueError: when it is not YAML, has equal keys, is nested too deeply, or is too much.
    """
    try:
        value = yaml.load(text, _Loader)  # a SafeLoader
        if _size(value, {}) > _MOST_VALUES:
            raise ValueError(f"not plain YAML: over {_MOST_VALUES:,} values, with those that aliases repeat")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"not YAML: {where}{error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ValueError("not plain YAML: nested too deeply") from error
    return value


def _size(value: Any, known: dict[int, float]) -> float:
    """How many values there are in ``value``, those of aliases counted each time; infinite in a circle."""
    if not isinstance(value, (list, dict)):
        return 1
    if id(value) not in known:
        known[id(value)] = float("inf")
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known) for item in items)
    return known[id(value)]


def dump_yaml(value: Any, *, escape: bool = False) -> str:
    """Plain data as YAML, from which :func:`parse_yaml` restores it; in ASCII if ``escape``."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=not escape))
