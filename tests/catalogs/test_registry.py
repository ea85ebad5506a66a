"""Which kinds of catalog there are."""

import importlib.util
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from authproxy import kinds
from authproxy.catalogs import registry
from authproxy.catalogs.inline import InlineOptions
from authproxy.errors import CatalogUnavailable, ConfigError
from authproxy.options import Options

PLUGIN = Path(__file__).parents[1] / "typing" / "plugin_author.py"


@pytest.fixture
def installed(monkeypatch):
    """`installed(name=value)` registers entry points as an installed package would."""

    def install(**points: str) -> None:
        found = [EntryPoint(name, value, registry.FAMILY.group) for name, value in points.items()]
        monkeypatch.setattr(kinds, "entry_points", lambda group: found if group == registry.FAMILY.group else [])

    return install


@pytest.fixture
def plugin(monkeypatch):
    """The example of a plug-in, importable as `plugin_author`."""
    spec = importlib.util.spec_from_file_location("plugin_author", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "plugin_author", module)
    spec.loader.exec_module(module)
    return module


def nobody(name):
    raise AssertionError(name)


def test_built_in_kinds_are_there(installed):
    """Without any plug-in: inline, file, composite."""
    installed()

    assert set(registry.kinds()) == {"inline", "file", "composite"}
    assert all(kind.bounded for kind in registry.kinds().values())


async def test_a_plugin_is_a_kind_like_any_other(installed, plugin):
    """Its options model and its catalog are used; it is not bounded unless it says so."""
    installed(ldap="plugin_author:kind")

    kind = registry.kinds()["ldap"]
    catalog = kind.open(kind.options.model_validate({"kind": "ldap", "host": "directory.internal"}), nobody)

    assert not kind.bounded
    with pytest.raises(CatalogUnavailable, match=r"directory\.internal"):
        await catalog.look_up("api", plugin.UserId(bytes(16)))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no_such_module:kind", "cannot be imported: ModuleNotFoundError"),
        ("authproxy.catalogs.file:no_such_name", "cannot be imported: AttributeError"),
        ("authproxy.catalogs.file:FileCatalog", "names no CatalogKind"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named(installed, value, problem):
    """The configuration's problem names the plug-in and says why."""
    installed(ldap=value)

    with pytest.raises(ConfigError, match=problem) as refusal:
        registry.kinds()

    assert refusal.value.problems[0].startswith(f"catalog plug-in ldap ({value}): ")


def test_all_unusable_plugins_are_told_at_once(installed):
    """Two broken ones are two problems."""
    installed(one="no_such_module:kind", two="no_such_module:kind")

    with pytest.raises(ConfigError) as refusal:
        registry.kinds()

    assert len(refusal.value.problems) == 2


def test_a_plugin_cannot_take_a_built_in_name(installed):
    """What `kind: file` means is not for an installed package to change."""
    installed(file="authproxy.catalogs.inline:kind")

    with pytest.raises(ConfigError, match="the name is taken"):
        registry.kinds()


def test_options_of_another_kind_are_refused(installed):
    """A mistake of the program, not of the operator, hence a TypeError."""
    installed()

    class Other(Options):
        """Options of no kind."""

    with pytest.raises(TypeError, match="InlineOptions expected, Other given"):
        registry.kinds()["inline"].open(Other(), nobody)


def test_inline_options_open(installed):
    """The kind's own options are accepted."""
    installed()

    assert registry.kinds()["inline"].open(InlineOptions(kind="inline", users=()), nobody) is not None
