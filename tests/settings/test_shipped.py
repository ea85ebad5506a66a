"""The files under config/ are valid, and the large one leaves nothing out."""

import copy
import functools
import itertools
import operator
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from authproxy.catalogs import registry
from authproxy.errors import ConfigError
from authproxy.options import Options
from authproxy.sessions.registry import kinds as session_kinds
from authproxy.settings import load
from authproxy.settings.model import model_for
from authproxy.settings.section import Section
from authproxy.settings.shape import fields_of, unwrap

CONFIG = Path(__file__).parents[2] / "config"
KINDS = {name: kind.options for name, kind in registry.kinds().items()}
SESSIONS = {name: kind.options for name, kind in session_kinds().items()}
SPEC_MINIMAL = """\
version: 1
keystores: {main: {file: server.pem}}
listeners: {public: {bind: 0.0.0.0:8443, keystore: main}}
catalogs:  {users: {kind: file, file: tokens.yaml}}
zones:     {api: {prefix: svc, peppers: [{file: pepper}], catalog: users}}
upstreams: {legacy: https://legacy.internal:9443}
routes:    [{path: /, upstream: legacy}]
"""


def models_in(annotation: object) -> Iterator[type[Options]]:
    """Yield every options model that a value of this type may hold, itself first."""
    for found in unwrap(annotation):
        if isinstance(found, type) and issubclass(found, BaseModel):
            assert issubclass(found, Options)
            yield found
            for inner in fields_of(found).values():
                yield from models_in(inner)
        elif get_origin(found) is not None:
            for argument in get_args(found):
                yield from models_in(argument)


MODELS = sorted(set(models_in(model_for({"catalogs": KINDS, "sessions": SESSIONS}))), key=lambda model: model.__name__)


def instances(value: object) -> Iterator[Options]:
    """Yield every options model under `value`, itself first."""
    if isinstance(value, Options):
        yield value
        yield from itertools.chain.from_iterable(instances(getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        yield from itertools.chain.from_iterable(map(instances, value.values()))
    elif isinstance(value, tuple):
        yield from itertools.chain.from_iterable(map(instances, value))


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_file_is_valid(path):
    """As it is, without any variable set, and without an unsafe wish."""
    loaded = load(path, catalog_kinds=KINDS, session_kinds=SESSIONS, environ={})

    assert loaded.notes == ()


def test_the_smallest_file_is_the_promised_one():
    """Operators copy it from the documents."""
    assert (CONFIG / "minimal.yaml").read_text() == SPEC_MINIMAL


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_large_file_leaves_no_key_out(model):
    """Every field of every model is written there at least once."""
    settings = load(CONFIG / "authproxy.yaml", catalog_kinds=KINDS, session_kinds=SESSIONS, environ={}).settings
    written = set[str]()
    for one in instances(settings):
        if isinstance(one, model):
            written |= one.model_fields_set

    # A key that is filled in counts only where the text has it.
    text = (CONFIG / "authproxy.yaml").read_text()
    assert set(model.model_fields) - written == set()
    assert [key for key in model.model_fields if f"{key}:" not in text] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_has_one_line_of_description(model):
    """It becomes the reference."""
    for name, field in model.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description, name
        assert field.description.endswith("."), name


def test_no_key_is_both_known_and_announced():
    """When a key arrives, it leaves the list of those that will."""
    sections = [model for model in MODELS if issubclass(model, Section)]

    assert [model for model in sections if model.LATER & model.model_fields.keys()] == []
    assert [model for model in sections if model.FILLED - model.model_fields.keys()] == []


def test_two_zones_share_nothing():
    """Neither prefix nor pepper nor catalog nor host."""
    settings = load(CONFIG / "two-zones.yaml", catalog_kinds=KINDS, session_kinds=SESSIONS, environ={}).settings
    one, other = settings.zones.values()

    assert one.prefix != other.prefix
    assert not {*one.peppers} & {*other.peppers}
    assert one.catalog != other.catalog
    assert {(route.host, route.zone) for route in settings.routes} == {
        ("acme.example.org", "acme"),
        ("globex.example.org", "globex"),
    }


def test_the_large_file_shows_defaults_where_the_others_leave_them_away():
    """A default that is written there is the real one, so that nobody who copies a line changes anything."""
    written = yaml.safe_load((CONFIG / "authproxy.yaml").read_text())
    large = load(CONFIG / "authproxy.yaml", catalog_kinds=KINDS, session_kinds=SESSIONS, environ={}).settings
    small = load(CONFIG / "minimal.yaml", catalog_kinds=KINDS, session_kinds=SESSIONS, environ={}).settings

    assert (large.limits, large.timeouts, large.logging, large.workers) == (
        small.limits,
        small.timeouts,
        small.logging,
        small.workers,
    )
    assert written["limits"].keys() == type(large.limits).model_fields.keys()
    assert written["timeouts"].keys() == type(large.timeouts).model_fields.keys()


def scalars(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield where each single value stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path
    else:
        yield from itertools.chain.from_iterable(scalars(one, (*path, key)) for key, one in inner)


# BaseLoader reads text only, in quotes or not, and quotes nothing when it is written again.
LARGE = yaml.load((CONFIG / "authproxy.yaml").read_text(), Loader=yaml.BaseLoader)
SECTIONS = sorted(LARGE)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_list_in_the_place_of_any_value_is_told_and_never_a_crash(section, tmp_path):
    """Wherever it stands: a line with place and key, or, where one value may be a list, nothing."""
    path = tmp_path / "authproxy.yaml"
    for place in scalars(LARGE[section]):
        changed = copy.deepcopy(LARGE[section])
        holder = {section: changed}
        *above, last = (section, *place)
        target = functools.reduce(operator.getitem, above, holder)
        target[last] = [[]]
        path.write_text(yaml.safe_dump({"version": 1, **holder}))

        with pytest.raises(ConfigError) as refused:
            load(path, catalog_kinds=KINDS, session_kinds=SESSIONS, environ={})

        # Quoted numbers and names of other sections are told too.
        assert any(section in line for line in refused.value.problems), place
