"""A configuration with everything it names, on disk, and what the reload road needs to take it."""

import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from authproxy.catalogs import registry
from authproxy.core.stats import Stats
from authproxy.daemon.prepare import Prepared, Workshop, prepare, read_inputs
from authproxy.keystore import generate as keys
from authproxy.sessions.registry import kinds as session_kinds
from authproxy.settings import Loaded, load

NOW = datetime.now(UTC)
_VALID = keys.Validity.of_days(NOW, 20)
_EC = keys.Algorithm.EC_P256


class Site:
    """The files of one configuration; `prepare()` builds from them as a start does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = NOW
        self.root = keys.new_authority("root", _VALID, _EC)
        self.other = keys.new_authority("other", _VALID, _EC)
        self.workshop = Workshop(environ={}, stats=Stats(), spawn=lambda work: work.close())
        self.put("ca.pem", self.root.certificate_pem(), 0o644)
        self.put("pepper", secrets.token_bytes(32))
        self.put("server.pem", self.server())
        self.put("tokens.yaml", "[]\n")
        self.config: dict[str, Any] = {
            "version": 1,
            "keystores": {"main": {"file": "server.pem"}},
            "truststores": {"ca": {"file": "ca.pem"}},
            "listeners": {"public": {"bind": "127.0.0.1:1", "keystore": "main"}},
            "catalogs": {"users": {"kind": "file", "file": "tokens.yaml"}},
            "zones": {"api": {"prefix": "svc", "peppers": [{"file": "pepper"}], "catalog": "users"}},
            "upstreams": {"legacy": {"urls": ["https://127.0.0.1:2"], "trust": "ca"}},
            "routes": [{"name": "all", "path": "/", "upstream": "legacy"}],
        }
        self.save()

    def put(self, name: str, data: bytes | str, mode: int = 0o600) -> None:
        path = self.directory / name
        path.unlink(missing_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)

    def save(self) -> None:
        self.put("authproxy.yaml", yaml.safe_dump(self.config))

    def server(self, *names: str, end: timedelta = timedelta(days=20)) -> bytes:
        entries = [keys.alternative_name(name) for name in names or ("localhost",)]
        validity = keys.Validity(begin=NOW - timedelta(hours=1), end=NOW + end)
        return keys.combined_file(keys.new_server(self.root, entries, validity, _EC))

    def row(self, **more: object) -> dict[str, object]:
        return {"user_id": str(uuid.uuid4()), "rotation_version": 1, "hash": secrets.token_hex(64), **more}

    def load(self) -> Loaded:
        kinds = {name: kind.options for name, kind in registry.kinds().items()}
        stores = {name: kind.options for name, kind in session_kinds().items()}
        return load(self.directory / "authproxy.yaml", catalog_kinds=kinds, session_kinds=stores, environ={})

    def prepare(self) -> Prepared:
        return prepare(self.workshop, read_inputs(self.workshop, self.load(), NOW, None), 1, None)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


class Clock:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Callable[[], float]:
    return Clock()
