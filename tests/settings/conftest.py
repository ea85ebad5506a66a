"""What the tests of the settings share: two kinds of catalogs, and loading a text as a file."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from authproxy.errors import ConfigError
from authproxy.options import Duration, LocalPath, Options
from authproxy.settings import Loaded, load

CONFIG = Path(__file__).parents[2] / "config"


class FileKind(Options):
    """Rows in a file."""

    kind: Literal["file"]
    """Where the rows are."""
    file: LocalPath
    """The token file."""
    poll: Duration = timedelta(seconds=5)
    """How often to look."""


class CompositeKind(Options):
    """Several catalogs."""

    kind: Literal["composite"]
    """Where the rows are."""
    of: tuple[str, ...]
    """The members."""


KINDS: Mapping[str, type[Options]] = {"file": FileKind, "composite": CompositeKind}


@pytest.fixture(scope="session")
def kinds():
    return KINDS


@pytest.fixture(scope="session")
def minimal():
    """The smallest useful file."""
    return (CONFIG / "minimal.yaml").read_text()


@pytest.fixture
def load_text(tmp_path) -> Callable[..., Loaded]:
    """`load_text(text, VAR="...")` loads `text` as authproxy.yaml with these variables."""

    def loaded(text: str, **environ: str) -> Loaded:
        path = tmp_path / "authproxy.yaml"
        path.write_text(text)
        return load(path, catalog_kinds=KINDS, environ=environ)

    return loaded


@pytest.fixture
def problems(load_text, tmp_path) -> Callable[..., list[str]]:
    """`problems(text)` is what is wrong with it, line by line, without the directory; empty if nothing is."""

    def told(text: str, **environ: str) -> list[str]:
        try:
            load_text(text, **environ)
        except ConfigError as error:
            return [line.replace(f"{tmp_path}/", "") for line in error.problems]
        return []

    return told
