"""Files of text in a folder of results, such as tables, that are read as they were written or not at all.

Beside them is ``digests.json``: for each file the SHA-256 of its text (lines ending in a line feed), and
that of the version before, which is what a process leaves that is killed between the two. A file that is
not listed, as those of earlier versions of this package, is read as it is.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from karma_envs.files import read_npz, write_text
from training.common.errors import ResultsError

DIGESTS = "digests.json"

Row = dict[str, Any]

_ONE_AT_A_TIME = threading.Lock()  # who changes DIGESTS; between processes see training.common.folders.owned
_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # how a cell begins that spreadsheets would compute


def write_recorded(path: Path, text: str) -> None:
    """Write a text file and its digest; a kill at any moment leaves a file that can be read."""
    with _ONE_AT_A_TIME:
        digests = _digests(path.parent)
        present = _digest(path.read_bytes()) if path.is_file() else None
        recorded = [each for each in digests.get(path.name, []) if each == present]
        digests[path.name] = list(dict.fromkeys([*recorded, _digest(text.encode())]))
        write_text(path.parent / DIGESTS, json.dumps(digests, indent=2) + "\n")
        write_text(path, text)


def read_recorded(path: Path) -> str:
    """The text of a file.

    Raises:
        ResultsError: when it is not there, is no text, or not what was written.
    """
    try:
        content = path.read_bytes()
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged, or no text in UTF-8"
        raise ResultsError(f"{path} cannot be read: {reason}") from error
    recorded = _digests(path.parent).get(path.name)
    if recorded is not None and _digest(content) not in recorded:
        raise ResultsError(
            f"{path} is damaged or was edited: it is not what was written; make it anew, or take its line "
            f"out of {DIGESTS} beside it to have it read as it is"
        )
    return text


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ResultsError: when the file is not there or damaged.
    """
    try:
        found = json.loads(read_recorded(path))
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path} is damaged: it is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ResultsError(f"{path} is damaged: it holds no object")
    return found


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file, see :func:`karma_envs.files.read_npz`.

    Raises:
        ResultsError: when the file is not there or damaged.
    """
    try:
        return read_npz(path)
    except (ValueError, OSError) as error:
        raise ResultsError(str(error)) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _digests(folder: Path) -> dict[str, list[str]]:
    """What ``digests.json`` holds; nothing where there is none, or it is damaged, as it only tells damage."""
    try:
        found = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: each for name, each in found.items() if isinstance(each, list)}


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, with NaN for what a row does not say and others do.

    Texts that a spreadsheet would compute (they begin with = + - @ and are no numbers) begin with an
    apostrophe in the file.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), restval="nan")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    write_recorded(path, text.getvalue())


def read_table(path: Path) -> list[Row]:
    """Rows of a CSV file, numbers as numbers.

    Raises:
        ResultsError: when it is not there or damaged.
    """
    if not path.is_file():
        raise ResultsError(f"{path} is missing; the run has not recorded anything yet")
    lines = io.StringIO(read_recorded(path), newline="")
    try:
        rows = list(csv.DictReader(lines, restkey="", restval=None, strict=True))
    except csv.Error as error:
        raise ResultsError(f"{path} is damaged: it is no table ({error})") from error
    if any("" in row or None in row.values() for row in rows):
        raise ResultsError(f"{path} is damaged: its rows have different lengths")
    return [{key: _value(text) for key, text in row.items()} for row in rows]


def number_table(path: Path, columns: Sequence[str]) -> list[Row]:
    """Rows of a CSV file that holds numbers only.

    Args:
        path: of the file.
        columns: which must be there.

    Raises:
        ResultsError: when it is not there or damaged, lacks a column, or holds something else.
    """
    rows = read_table(path)
    if rows and (missing := [name for name in columns if name not in rows[0]]):
        raise ResultsError(f"{path} is damaged: it has no column {missing[0]}")
    for number, row in enumerate(rows, 2):
        for name, value in row.items():
            if isinstance(value, str):
                raise ResultsError(f"{path} is damaged: {name} in line {number} is no number")
    return rows


def _cell(value: Any) -> Any:
    is_formula = isinstance(value, str) and _FORMULA.match(value) and isinstance(_value(value), str)
    return f"'{value}" if is_formula else value


def _value(text: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
