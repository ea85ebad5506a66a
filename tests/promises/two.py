"""A second proxy beside the first: on other ports, with the same keys, users and sessions."""

import copy
from pathlib import Path
from typing import Any

from tests.promises.conftest import House


def twin_of(house: House) -> House:
    """Return a house with the same configuration, whose relative paths still lead to the first one's files."""
    directory = house.directory / "twin"
    directory.mkdir()
    twin = copy.copy(house)
    twin.directory = directory
    twin._running = []
    other = House(directory, house.pki, _Nobody())  # type: ignore[arg-type]  # only for two free ports
    twin.port, twin.ops_port = other.port, other.ops_port
    twin.config = _moved(house.config, house.directory) | {
        "listeners": copy.deepcopy(house.config["listeners"]),
        "ops": {"bind": f"127.0.0.1:{twin.ops_port}"},
        "logging": {"access": "./access.log"},
    }
    twin.config["listeners"]["public"]["bind"] = f"127.0.0.1:{twin.port}"
    return twin


class _Nobody:
    port = 0


def _moved(value: Any, directory: Path) -> Any:
    if isinstance(value, dict):
        return {
            key: str(directory / one)
            if key in {"file", "certificate", "key"} and isinstance(one, str)
            else _moved(one, directory)
            for key, one in value.items()
        }
    return [_moved(one, directory) for one in value] if isinstance(value, list) else value
