"""Which kinds of session store there are."""

from importlib.metadata import EntryPoint

import pytest

from authproxy import kinds
from authproxy.errors import ConfigError
from authproxy.options import Options
from authproxy.sessions import registry
from authproxy.sessions.memory import MemoryOptions, MemorySessions
from authproxy.sessions.sqlite import SqliteOptions
from tests.sessions.supplies import NOTHING


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


def test_a_plugin_is_a_kind_like_any_other(installed):
    """Under the name of its entry point."""
    installed(etcd="authproxy.sessions.memory:kind")

    kind = registry.kinds()["etcd"]

    assert isinstance(kind.open(MemoryOptions(kind="memory"), NOTHING), MemorySessions)


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
