"""Tabular policies: what is refused, what is kept, and files that are whole or not there."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.numerics.sampling import NEVER, padded_width, probabilities_of, thresholds_of

HALVES = np.array([[[0.5, 0.5, 0], [1, 0, 0]], [[0, 0.25, 0.75], [0, 0, 1]]])


def on_thresholds(probabilities: Any = HALVES, row_of_agent: Any = None) -> TabularPolicy:
    return TabularPolicy.from_thresholds(thresholds_of(np.asarray(probabilities)), 3, row_of_agent)


def random_rows(seed: int, *shape: int) -> NDArray[np.float64]:
    weights = np.random.default_rng(seed).exponential(size=shape)
    weights[..., 0] += 1e-3
    weights[weights < 0.3] = 0
    weights[..., 0] += weights.sum(axis=-1) == 0
    return weights / weights.sum(axis=-1, keepdims=True)


# --- construction ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probabilities", "says"),
    [
        ([0.5, 0.5], r"float64\[2\]"),
        (np.ones((1, 1, 1, 1)), r"float64\[1, 1, 1, 1\]"),
        (np.ones((2, 0, 3)), r"float64\[2, 0, 3\]"),
        (np.ones((0, 2, 3)), r"float64\[0, 2, 3\]"),
        ([[1, 0], [0, 1]], "int64"),
        ([["a", "b"]], "probabilities must be float"),
        ([[0.5, np.nan]], "finite"),
        ([[np.inf, 0.0]], "finite"),
        ([[1.5, -0.5]], ">= 0"),
        ([[0.5, 0.5], [0.5, 0.4]], "row 0, observation 1 sums to 0.9"),
        ([[[1.0, 0.0]], [[0.7, 0.7]]], "row 1, observation 0 sums to 1.4"),
        ([[0.0, 0.0]], "sums to 0"),
        ([[0.5, 0.5 + 2e-5]], "sums to 1.00002"),
    ],
)
def test_probabilities_that_are_none(probabilities: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TabularPolicy(probabilities)


@pytest.mark.parametrize(
    ("row_of_agent", "says"),
    [
        ([0, 2], "0 … 1; it is in 0 … 2"),
        ([-1, 0], "it is in -1 … 0"),
        ([0.0, 1.0], "float64"),
        ([[0, 1]], r"int64\[1, 2\]"),
        ([], r"\[0\]"),
        ([True, False], "bool"),
        (1, r"int64\[\]"),
    ],
)
def test_rows_that_are_none(row_of_agent: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TabularPolicy(HALVES, row_of_agent)
    with pytest.raises(ValueError, match=says):
        on_thresholds(row_of_agent=row_of_agent)


@pytest.mark.parametrize(
    ("thresholds", "n_actions", "says"),
    [
        (np.full((2, 2, 31), NEVER, np.uint16), 3, r"2, 2, 31"),
        (np.full((2, 32), NEVER, np.uint16), 3, r"these are"),
        (np.full((2, 2, 32), NEVER, np.uint16), 33, "thresholds of 33 actions"),
        (np.full((2, 2, 32), NEVER, np.int64), 3, "uint16"),
    ],
)
def test_thresholds_that_are_none(thresholds: Any, n_actions: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TabularPolicy.from_thresholds(thresholds, n_actions)


def test_numbers_of_a_policy() -> None:
    for policy in (TabularPolicy(HALVES), on_thresholds()):
        assert (policy.n_rows, policy.n_observations, policy.n_actions) == (2, 2, 3)
        assert policy.row_of_agent.tolist() == [0, 1]
        assert policy.row_of_agent.dtype == np.int32
        assert policy.thresholds.shape == (2, 2, padded_width(3))
    one = TabularPolicy([[0.5, 0.5], [1.0, 0.0]])
    assert one.probabilities.shape == (1, 2, 2)
    assert one.row_of_agent.tolist() == [0]


def test_single_precision_is_kept_and_may_be_less_exact() -> None:
    rows = np.array([[1 / 3, 1 / 3, 1 / 3 + 2e-6]], np.float32)
    assert TabularPolicy(rows).probabilities.dtype == np.float32
    cast = TabularPolicy(rows.astype(np.float64)).probabilities
    np.testing.assert_allclose(cast.sum(axis=2), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(cast[0], rows, rtol=3e-6)
    exact = np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25 + 1e-10]])
    np.testing.assert_array_equal(TabularPolicy(exact).probabilities[0], exact)  # nothing to mend


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_probabilities_and_thresholds_are_two_views_of_one_policy(seed: int, n_actions: int) -> None:
    probabilities = random_rows(seed, 2, 3, n_actions)
    policy = TabularPolicy(probabilities)
    assert policy.probabilities is policy.probabilities
    assert policy.thresholds is policy.thresholds
    np.testing.assert_array_equal(policy.thresholds, thresholds_of(probabilities))
    back = TabularPolicy.from_thresholds(policy.thresholds, n_actions)
    np.testing.assert_array_equal(back.probabilities, probabilities_of(policy.thresholds, n_actions))
    assert np.abs(back.probabilities - probabilities).max() <= 1 / NEVER + 1e-12
    assert (back.probabilities[probabilities == 0] == 0).all()
    TabularPolicy(back.probabilities)  # its rows sum to 1


# --- what is made from a policy --------------------------------------------------------------------


def test_the_same_rows_for_other_agents() -> None:
    for policy in (TabularPolicy(HALVES), on_thresholds()):
        other = policy.for_agents([1, 1, 0, 1])
        assert other.row_of_agent.tolist() == [1, 1, 0, 1]
        assert policy.row_of_agent.tolist() == [0, 1]
        np.testing.assert_array_equal(other.thresholds, policy.thresholds)
        np.testing.assert_array_equal(other.probabilities, policy.probabilities)
        with pytest.raises(ValueError, match="0 … 1"):
            policy.for_agents([2])


def test_a_copy_is_independent() -> None:
    tables = thresholds_of(HALVES)
    learning = TabularPolicy.from_thresholds(tables, 3)
    kept = learning.copy()
    tables[0, 0, :2] = 0
    assert learning.probabilities[0, 0].tolist() == [0, 0, 1]  # a view: a learner changes it in place
    np.testing.assert_allclose(kept.probabilities[0, 0], [0.5, 0.5, 0], atol=1e-4)

    array = HALVES.copy()
    policy = TabularPolicy(array)
    kept = policy.copy()
    array[0, 0] = 0, 0, 1
    np.testing.assert_array_equal(kept.probabilities, HALVES)
    kept.row_of_agent[0] = 1
    assert policy.row_of_agent.tolist() == [0, 1]


def test_rows_of_agents_are_copied() -> None:
    rows = np.array([0, 1], np.int32)
    policy = TabularPolicy(HALVES, rows)
    rows[:] = 1
    assert policy.row_of_agent.tolist() == [0, 1]


LEGAL = np.array([[True, True, False], [True, True, True]])


def test_mixed_with_uniform_over_what_is_legal() -> None:
    probabilities = np.array([[0.5, 0.5, 0], [1, 0, 0]])
    mixed = TabularPolicy(probabilities, [0, 0, 0]).mixed_with_uniform(0.3, LEGAL)
    np.testing.assert_allclose(mixed.probabilities[0], [[0.5, 0.5, 0], [0.8, 0.1, 0.1]], atol=1e-15)
    assert mixed.probabilities[0, 0, 2] == 0
    assert mixed.row_of_agent.tolist() == [0, 0, 0]
    np.testing.assert_array_equal(
        TabularPolicy(probabilities).mixed_with_uniform(0, LEGAL).probabilities[0], probabilities
    )
    everywhere = TabularPolicy(probabilities).mixed_with_uniform(1, LEGAL).probabilities[0]
    np.testing.assert_allclose(everywhere, LEGAL / LEGAL.sum(axis=1, keepdims=True))


def test_mixing_takes_policies_on_thresholds_and_in_single_precision() -> None:
    rows = random_rows(5, 2, 2, 3).astype(np.float32)
    rows[:, 0] = 0.5, 0.5, 0
    for policy in (on_thresholds(rows), TabularPolicy(rows)):
        mixed = policy.mixed_with_uniform(0.05, LEGAL)
        np.testing.assert_allclose(mixed.probabilities.sum(axis=2), 1, atol=1e-6)


@pytest.mark.parametrize("exploration", [-0.1, 1.1, float("nan")])
def test_exploration_is_a_probability(exploration: float) -> None:
    with pytest.raises(ValueError, match="exploration = "):
        TabularPolicy(HALVES).mixed_with_uniform(exploration, LEGAL)


def test_mean_actions() -> None:
    np.testing.assert_allclose(TabularPolicy(HALVES).mean_actions(), [[0.5, 0], [1.75, 2]])
    np.testing.assert_allclose(on_thresholds().mean_actions(), [[0.5, 0], [1.75, 2]], atol=1e-4)
    assert on_thresholds().mean_actions().dtype == np.float64
    np.testing.assert_allclose(TabularPolicy(HALVES).mean_actions([0, 1, 0]), [[0.5, 0], [0.25, 0]])
    with pytest.raises(ValueError, match=r"each of 3 actions; these are int64\[2\]"):
        TabularPolicy(HALVES).mean_actions([0, 1])


# --- files -----------------------------------------------------------------------------------------

STORED = {
    "probabilities": TabularPolicy(HALVES, [1, 0, 1]),
    "single": TabularPolicy(HALVES.astype(np.float32)),
    "thresholds": on_thresholds(row_of_agent=[1, 1]),
}


@pytest.mark.parametrize("storage", STORED)
def test_what_is_saved_is_loaded(storage: str, tmp_path: Path) -> None:
    policy = STORED[storage]
    path = policy.save(tmp_path / "policy.npz")
    assert path == tmp_path / "policy.npz"
    loaded = TabularPolicy.load(str(path))
    assert loaded.n_actions == policy.n_actions
    np.testing.assert_array_equal(loaded.thresholds, policy.thresholds)
    np.testing.assert_array_equal(loaded.row_of_agent, policy.row_of_agent)
    np.testing.assert_array_equal(loaded.probabilities, policy.probabilities)
    assert loaded.probabilities.dtype == policy.probabilities.dtype
    assert [file.name for file in tmp_path.iterdir()] == ["policy.npz"]
    again = loaded.save(tmp_path / "again.npz")
    np.testing.assert_array_equal(TabularPolicy.load(again).probabilities, policy.probabilities)


def test_the_name_is_kept_as_it_is_given(tmp_path: Path) -> None:
    path = TabularPolicy(HALVES).save(tmp_path / "policy of Tuesday")
    assert path.name == "policy of Tuesday"
    assert TabularPolicy.load(path).n_rows == 2


def test_a_file_is_replaced(tmp_path: Path) -> None:
    TabularPolicy(HALVES).save(tmp_path / "policy.npz")
    TabularPolicy(HALVES[:1]).save(tmp_path / "policy.npz")
    assert TabularPolicy.load(tmp_path / "policy.npz").n_rows == 1


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TabularPolicy.load(tmp_path / "policy.npz")


def refused(path: Path) -> None:
    with pytest.raises(ValueError, match=path.name):
        TabularPolicy.load(path)


@pytest.mark.parametrize("storage", STORED)
def test_truncated_files_are_refused(storage: str, tmp_path: Path) -> None:
    whole = STORED[storage].save(tmp_path / "whole.npz").read_bytes()
    short = tmp_path / "short.npz"
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        short.write_bytes(whole[:length])
        refused(short)


@pytest.mark.parametrize(("storage", "flip"), [("probabilities", 0x01), ("thresholds", 0xFF)])
def test_damaged_files_are_refused_or_harmless(storage: str, flip: int, tmp_path: Path) -> None:
    # Any single byte changed: refused with a ValueError, or of no consequence (a date, a comment).
    policy = STORED[storage]
    whole = policy.save(tmp_path / "whole.npz").read_bytes()
    damaged = tmp_path / "damaged.npz"
    n_refused = 0
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= flip
        damaged.write_bytes(content)
        try:
            loaded = TabularPolicy.load(damaged)
        except ValueError:
            n_refused += 1
        else:
            np.testing.assert_array_equal(loaded.thresholds, policy.thresholds)
            np.testing.assert_array_equal(loaded.row_of_agent, policy.row_of_agent)
    assert n_refused > len(whole) / 2


METADATA = {"format": "karma-envs tabular policy", "version": 1, "n_actions": 3}


def write(path: Path, metadata: Any = METADATA, **arrays: Any) -> Path:
    text = json.dumps(metadata).encode() if not isinstance(metadata, bytes) else metadata
    with path.open("wb") as file:
        np.savez(file, metadata=np.frombuffer(text, np.uint8), **arrays)
    return path


ROWS = {"row_of_agent": np.array([0, 1])}
TABLES = {"thresholds": thresholds_of(HALVES)}


@pytest.mark.parametrize(
    ("metadata", "arrays"),
    [
        ({**METADATA, "format": "other"}, {**ROWS, **TABLES}),
        ({**METADATA, "version": 2}, {**ROWS, **TABLES}),
        ({**METADATA, "n_actions": 40}, {**ROWS, **TABLES}),
        ({**METADATA, "n_actions": "three"}, {**ROWS, **TABLES}),
        ({**METADATA, "n_actions": None}, {**ROWS, **TABLES}),
        ({"format": METADATA["format"], "version": 1}, {**ROWS, **TABLES}),
        ([1, 2], {**ROWS, **TABLES}),
        ("a string", {**ROWS, **TABLES}),
        (b"{not json", {**ROWS, **TABLES}),
        (b"\xff\xfe\xff", {**ROWS, **TABLES}),
        (METADATA, ROWS),
        (METADATA, TABLES),
        (METADATA, {**TABLES, "row_of_agent": np.array([0, 9])}),
        (METADATA, {**ROWS, "thresholds": np.zeros((2, 2, 32))}),
        (METADATA, {**ROWS, "probabilities": np.ones((2, 2, 3))}),
        (METADATA, {**ROWS, "probabilities": np.full((2, 2, 3), "a")}),
    ],
)
def test_foreign_files_are_refused(metadata: Any, arrays: dict[str, Any], tmp_path: Path) -> None:
    refused(write(tmp_path / "foreign.npz", metadata, **arrays))


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", HALVES)
    refused(tmp_path / "array.npy")
    (tmp_path / "text.npz").write_text("not a policy")
    refused(tmp_path / "text.npz")
    (tmp_path / "empty.npz").touch()
    refused(tmp_path / "empty.npz")
    (tmp_path / "folder.npz").mkdir()
    refused(tmp_path / "folder.npz")
    with (tmp_path / "no_metadata.npz").open("wb") as file:
        np.savez(file, **ROWS, **TABLES)
    refused(tmp_path / "no_metadata.npz")


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "sprung"
    objects = np.empty(1, object)
    objects[0] = Trap(trace)
    refused(write(tmp_path / "objects.npz", row_of_agent=objects, **TABLES))
    refused(write(tmp_path / "more.npz", extra=objects, **ROWS, **TABLES))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Trap(trace)))
    refused(tmp_path / "pickle.npz")
    assert not trace.exists()
    pickle.loads((tmp_path / "pickle.npz").read_bytes())
    assert trace.exists()  # the trap works


def test_a_failed_save_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = TabularPolicy(HALVES).save(tmp_path / "policy.npz")

    def write_half(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", write_half)
    with pytest.raises(OSError, match="No space left"):
        TabularPolicy(HALVES[:1]).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["policy.npz"]
    assert TabularPolicy.load(path).n_rows == 2


def test_an_interrupted_save_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = TabularPolicy(HALVES).save(tmp_path / "policy.npz")

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        TabularPolicy(HALVES[:1]).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["policy.npz"]
    assert TabularPolicy.load(path).n_rows == 2


def test_a_folder_that_is_not_there_or_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TabularPolicy(HALVES).save(tmp_path / "nowhere" / "policy.npz")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        TabularPolicy(HALVES).save(tmp_path / "file" / "policy.npz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        TabularPolicy(HALVES).save(tmp_path / "folder")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]


def test_files_have_ordinary_permissions(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    saved = TabularPolicy(HALVES).save(tmp_path / "policy.npz")
    assert saved.stat().st_mode == ordinary.stat().st_mode
