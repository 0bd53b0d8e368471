"""Policies in files: arrays and JSON in an npz file, without pickle."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from karma_envs.files import json_array, json_of, read_npz, write_npz

_VERSION = 1
_METADATA = "metadata"


class SavedPolicy(ABC):
    """A policy that can be written to a file and read again.

    :func:`agents.policies.load` reads a policy of any class, which it finds by what its file says it is.

    Attributes:
        FORMAT: what a file of the class says it is: some words for a class in ``agents.policies``, where
            ``POLICY`` in its module makes it known; for any other ``module:Class``, where the class is.
    """

    FORMAT: ClassVar[str]

    @abstractmethod
    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What the policy is made of: plain data, such as JSON holds, and arrays, each by name."""

    @classmethod
    @abstractmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The policy of :meth:`to_parts`.

        Raises:
            ValueError, KeyError, TypeError: for parts that are of no policy, as of a damaged file.
        """

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The policy as arrays, from which :meth:`from_arrays` restores it: what :meth:`save` writes."""
        values, arrays = self.to_parts()
        return {**arrays, _METADATA: json_array({"format": self.FORMAT, "version": _VERSION, **values})}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The policy of :meth:`to_arrays`.

        Raises:
            ValueError: when the arrays are none of a policy of this class.
        """
        try:
            values = json_of(arrays[_METADATA])
            if format_of(arrays) != cls.FORMAT or values["version"] != _VERSION:
                raise ValueError(f"format {values['format']!r}, version {values['version']!r}")
            return cls.from_parts(values, arrays)
        except (KeyError, TypeError) as error:
            raise ValueError(f"it holds no policy ({error})") from error

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the policy to ``path`` (npz: arrays and JSON metadata, no pickle), all or nothing.

        Returns:
            the path.
        """
        write_npz(path, self.to_arrays())
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The policy that :meth:`save` wrote.

        Raises:
            ValueError: when the file is damaged or not a policy of this class.
            FileNotFoundError: when there is none.
        """
        arrays = read_npz(path)
        try:
            return cls.from_arrays(arrays)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)} is not a policy of karma-envs: {error}") from error


def format_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """What the arrays of :meth:`SavedPolicy.to_arrays` say they are.

    Raises:
        KeyError, TypeError, ValueError: when they say nothing.
    """
    return str(json_of(arrays[_METADATA])["format"])
