"""Which kinds of session store there are."""

import importlib.util
import ssl
import sys
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from authproxy import kinds
from authproxy.errors import ConfigError, SessionStoreUnavailable
from authproxy.kinds import ClientTls
from authproxy.options import Options, references
from authproxy.sessions import registry
from authproxy.sessions.sqlite import SqliteOptions
from tests.sessions.supplies import NOTHING, Given

PLUGIN = Path(__file__).parents[1] / "typing" / "session_store_author.py"


@pytest.fixture
def installed(monkeypatch):
    """`installed(name=value)` registers entry points as an installed package would."""

    def install(**points: str) -> None:
        found = [EntryPoint(name, value, registry.FAMILY.group) for name, value in points.items()]
        monkeypatch.setattr(kinds, "entry_points", lambda group: found if group == registry.FAMILY.group else [])

    return install


def test_built_in_kinds_are_there(installed):
    """Without any plug-in: memory, which never waits, and those that do."""
    installed()

    assert {name: kind.bounded for name, kind in registry.kinds().items()} == {
        "memory": True,
        "sqlite": False,
        "redis": False,
    }


async def test_a_plugin_is_a_kind_like_any_other(installed, monkeypatch):
    """Under the name of its entry point: its options, its deadline, and what it is given when it is opened."""
    spec = importlib.util.spec_from_file_location("session_store_author", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "session_store_author", module)
    spec.loader.exec_module(module)
    installed(etcd="session_store_author:kind")

    kind = registry.kinds()["etcd"]
    options = kind.options.model_validate({"kind": "etcd", "host": "etcd", "password": {"env": "X"}, "trust": "mine"})
    tls = ClientTls(context=ssl.create_default_context(), refusal=lambda _: "")

    assert list(references(options)) == [("trust", "truststores", "mine")]
    assert kind.deadline(options) == timedelta(milliseconds=300)
    with pytest.raises(SessionStoreUnavailable, match="etcd: not connected"):
        await kind.open(options, Given(b"x", tls)).get(bytes(32))
    assert kind.deadline(options) != registry.kinds()["sqlite"].deadline(SqliteOptions(kind="sqlite", file=PLUGIN))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no_such_module:kind", "cannot be imported: ModuleNotFoundError"),
        ("authproxy.sessions.memory:no_such_name", "cannot be imported: AttributeError"),
        ("authproxy.sessions.memory:MemorySessions", "names no SessionKind"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named(installed, value, problem):
    """The configuration's problem names the plug-in and says why; all of them at once."""
    installed(etcd=value, other=value)

    with pytest.raises(ConfigError, match=problem) as refusal:
        registry.kinds()

    assert [line.partition(": ")[0] for line in refusal.value.problems] == [
        f"session store plug-in etcd ({value})",
        f"session store plug-in other ({value})",
    ]


def test_a_plugin_cannot_take_a_built_in_name(installed):
    """What `kind: sqlite` means is not for an installed package to change."""
    installed(sqlite="authproxy.sessions.memory:kind")

    with pytest.raises(ConfigError, match="the name is taken"):
        registry.kinds()


def test_options_of_another_kind_are_refused(installed, tmp_path):
    """A mistake of the program, not of the operator, hence a TypeError."""
    installed()
    other: Options = SqliteOptions(kind="sqlite", file=tmp_path / "sessions.db")

    with pytest.raises(TypeError, match="MemoryOptions expected, SqliteOptions given"):
        registry.kinds()["memory"].open(other, NOTHING)
