"""Which files a network is read from."""

from __future__ import annotations

from pathlib import Path

from karma_envs.config import refusal

TNTP, GRAPHML = "_net.tntp", ".graphml"
"""How the names of files with networks end, in small letters or capitals."""

BESIDE = {"trips": ("_trips.tntp",), "node": ("_node.tntp", "_nodes.tntp")}
"""What may lie beside a TNTP file of links, and how the names of these files end."""


def file_format(network: object) -> str | None:
    """TNTP or GRAPHML for the name of a file with a network; None for all else."""
    if not isinstance(network, str):
        return None
    return next((ending for ending in (TNTP, GRAPHML) if network.lower().endswith(ending)), None)


def beside(net_path: str, kind: str) -> Path | None:
    """The file of ``kind`` ("trips" or "node") beside a TNTP file of links; None where there is none.

    Raises:
        ConfigError: where there are several, or the folder cannot be listed.
    """
    path = Path(net_path)
    stem = path.name[: -len(TNTP)]
    try:
        names = sorted(
            file.name
            for file in path.parent.iterdir()
            if file.name.startswith(stem) and file.name[len(stem) :].lower() in BESIDE[kind]
        )
    except OSError as error:
        raise refusal("network", net_path, f"a file in a folder that can be read ({error})") from error
    if len(names) > 1:
        raise refusal("network", net_path, f"one file of {kind} beside it; there are {', '.join(names)}")
    return path.parent / names[0] if names else None


def network_files(network: object) -> tuple[Path, ...]:
    """All files that a configuration's ``network`` is read from, as it names them.

    Args:
        network: as in the configuration.

    Returns:
        the file of links or the GraphML file, then those of trips and of nodes where they lie beside it.
        Empty for networks that are no files of the user's: grid, town, and functions.

    Raises:
        ConfigError: when there is no such file, or it is unclear which ones lie beside it.
    """
    ending = file_format(network)
    if ending is None:
        return ()
    name = str(network)
    if not Path(name).is_file():
        raise refusal("network", name, "a file that is there")
    others = (beside(name, kind) for kind in BESIDE) if ending == TNTP else ()
    return (Path(name), *(path for path in others if path is not None))
