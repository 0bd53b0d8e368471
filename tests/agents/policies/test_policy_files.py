"""Policies of any class from files: found by what the file says it is, and no stranger's code is run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents import TabularPolicy
from agents.policies import load
from agents.policies.files import formats
from karma_envs.files import json_array, write_npz
from karma_envs.saved_policy import SavedPolicy

OWN = """
from karma_envs.saved_policy import SavedPolicy

class ConstantPolicy(SavedPolicy):
    FORMAT = "own_policy_of_test:ConstantPolicy"

    def __init__(self, action):
        self.action = action

    def to_parts(self):
        return {"action": self.action}, {}

    @classmethod
    def from_parts(cls, values, arrays):
        return cls(values["action"])
"""


@pytest.fixture
def own_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Any]]:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_policy_of_test.py").write_text(OWN)
    import own_policy_of_test  # type: ignore[import-not-found]

    yield own_policy_of_test.ConstantPolicy
    del sys.modules["own_policy_of_test"]


class HalfPolicy(SavedPolicy):
    """A policy whose class goes by a name of ours that is another thing."""

    FORMAT = "agents.policies.tabular:padded_width"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return {}, {}

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> HalfPolicy:
        return cls()


def test_a_tabular_policy_is_found_by_its_format(tmp_path: Path) -> None:
    path = TabularPolicy(np.full((2, 3, 4), 0.25), [1, 0, 1]).save(tmp_path / "policy.npz")
    loaded = load(path)
    assert type(loaded) is TabularPolicy
    assert loaded.row_of_agent.tolist() == [1, 0, 1]
    assert formats()["karma-envs tabular policy"] is TabularPolicy


def test_a_class_of_the_users_is_imported_only_where_the_file_is_trusted(
    tmp_path: Path, own_class: type[Any]
) -> None:
    path = own_class(3).save(tmp_path / "policy.npz")
    with pytest.raises(ValueError, match=r"names code to be run: 'own_policy_of_test:ConstantPolicy'.*trust"):
        load(path)
    assert load(path, trust=True).action == 3
    assert own_class.load(path).action == 3
    with pytest.raises(ValueError, match="format 'own_policy_of_test:ConstantPolicy', version 1"):
        TabularPolicy.load(path)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("karma-envs wooden policy", "known: .*karma-envs tabular policy, and module:Class"),
        ("os:abort", "names code to be run"),
        ("karma_envs.files:os.abort", "names code to be run"),
        ("karma_envs.no_such:Policy", "No module named"),
        ("karma_envs.files:write_npz", "which is no class of policies"),
        ("agents.policies.tabular:TabularPolicy", "which is no class of policies"),
    ],
)
def test_formats_that_are_refused(named: str, says: str, tmp_path: Path) -> None:
    write_npz(tmp_path / "policy.npz", {"metadata": json_array({"format": named, "version": 1})})
    with pytest.raises(ValueError, match=rf"policy\.npz is not a policy of karma-envs: .*{says}"):
        load(tmp_path / "policy.npz")


def test_a_name_of_ours_stands_for_the_class_that_bears_it(tmp_path: Path) -> None:
    path = HalfPolicy().save(tmp_path / "policy.npz")
    with pytest.raises(ValueError, match="which is no class of policies"):
        load(path)


@pytest.mark.parametrize("metadata", [np.zeros(3, np.uint8), json_array([1]), json_array({"version": 1})])
def test_files_that_do_not_say_what_they_are(metadata: NDArray[np.uint8], tmp_path: Path) -> None:
    write_npz(tmp_path / "policy.npz", {"metadata": metadata})
    with pytest.raises(ValueError, match="is not a policy of karma-envs"):
        load(tmp_path / "policy.npz")
    write_npz(tmp_path / "policy.npz", {"other": metadata})
    with pytest.raises(ValueError, match="it holds no policy"):
        load(tmp_path / "policy.npz")
