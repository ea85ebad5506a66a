"""What is shown of the settings: the effective ones, and their schema."""

import json
import re

import pytest
import yaml

from authproxy.settings import effective, effective_values, json_schema

TEXT = """\
version: 1
keystores: {main: {file: server.pem, password: {env: PASSWORD}}}
listeners: {public: {bind: 0.0.0.0:8443}}
catalogs: {users: {kind: file, file: tokens.yaml}}
zones: {api: {prefix: svc, peppers: [{file: pepper}, {credential: old}], catalog: users}}
upstreams: {legacy: https://legacy.internal:9443}
routes:
  - path: /
    upstream: legacy
    headers: {request: {X-Api-Key: "${KEY}", X-Other: {file: key}, X-Gone: null}, response: {X-Frame-Options: DENY}}
"""


def test_the_effective_settings_have_every_default(load_text):
    """Spelt as an operator would, filled in as the program sees them."""
    shown = yaml.safe_load(effective(load_text(TEXT, KEY="hunter2")))

    assert shown["listeners"]["public"]["keystore"] == "main"
    assert shown["listeners"]["public"]["tls"] == {"minimum": "1.2"}
    assert shown["limits"] == {
        "head": "32KiB",
        "line": 8190,
        "fields": 100,
        "connections": "auto",
        "connections_per_source": "auto",
        "handshakes": 200,
        "requests_per_connection": 1000,
        "body_rate": 500,
        "failures_per_minute": 20,
        "websockets_per_user": 64,
    }
    assert shown["timeouts"]["tunnel_idle"] == "10m"
    assert shown["upstreams"]["legacy"]["urls"] == ["https://legacy.internal:9443"]
    assert shown["routes"][0]["zone"] == "api"
    assert shown["catalogs"]["users"]["poll"] == "5s"


def test_secrets_are_shown_as_references_and_header_values_not_at_all(load_text, tmp_path):
    """What `${KEY}` stood for is a secret more often than not."""
    loaded = load_text(TEXT, KEY="hunter2", PASSWORD="hunter3")
    shown = yaml.safe_load(effective(loaded))

    assert "hunter" not in effective(loaded)
    assert shown["keystores"]["main"]["password"] == {"env": "PASSWORD"}
    assert shown["zones"]["api"]["peppers"] == [{"file": f"{tmp_path}/pepper"}, {"credential": "old"}]
    assert shown["routes"][0]["headers"] == {
        "request": {"X-Api-Key": "(masked)", "X-Other": {"file": f"{tmp_path}/key"}, "X-Gone": None},
        "response": {"X-Frame-Options": "DENY"},
    }


def test_the_effective_settings_mean_the_same(load_text):
    """What is shown can be loaded, and then shows the same."""
    text = TEXT.replace('"${KEY}"', "a")
    shown = effective(load_text(text))

    assert effective(load_text(shown)) == shown
    assert yaml.safe_load(shown) == effective_values(load_text(text))


def test_what_is_shown_is_plain_json(load_text):
    """For `--json`."""
    shown = effective_values(load_text(TEXT, KEY="x"))

    assert json.loads(json.dumps(shown)) == shown


@pytest.fixture(scope="module")
def schema(kinds):
    return json_schema(kinds)


def refs(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from [inner] if key == "$ref" else refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from refs(inner)


def test_the_schema_is_whole(schema):
    """Of the year that editors know, every reference leads somewhere, unknown keys are told."""
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {ref.removeprefix("#/$defs/") for ref in refs(schema)} <= schema["$defs"].keys()
    assert schema["additionalProperties"] is False
    assert all(one["additionalProperties"] is False for one in schema["$defs"].values() if one["type"] == "object")


def test_the_schema_asks_only_for_what_has_no_default(schema):
    """What the only keystore or zone stands for may be left away."""
    required = {name: one.get("required", []) for name, one in schema["$defs"].items()}

    assert schema["required"] == ["version", "listeners", "upstreams", "routes"]
    assert required["Listener"] == ["bind"]
    assert required["Tls"] == []
    assert required["Route"] == ["path", "upstream"]
    assert required["Zone"] == ["catalog"]


def test_the_schema_describes_every_key(schema):
    """With the attribute's docstring."""
    zone = schema["$defs"]["Zone"]["properties"]

    assert zone["max_grace"]["description"] == "The longest time that a replaced token may go on working."
    assert zone["max_grace"]["default"] == "30d"
    assert "10s" in zone["max_grace"]["examples"]
    assert not any("title" in one for one in zone.values())


def test_the_schema_knows_short_forms_and_kinds(schema):
    """A URL alone, one address alone, each kind of catalog."""
    listener = schema["$defs"]["Listener"]["properties"]

    assert [one.get("type") for one in listener["bind"]["anyOf"]] == ["string", "array"]
    assert schema["properties"]["upstreams"]["additionalProperties"]["anyOf"][0]["type"] == "string"
    assert len(schema["properties"]["catalogs"]["additionalProperties"]["oneOf"]) == 2


@pytest.mark.parametrize(
    ("text", "fits"), [("10s", True), ("250ms", True), ("0", True), ("10", False), ("10 s", False)]
)
def test_the_schema_s_pattern_of_a_duration_is_the_reader_s(schema, text, fits):
    """Editors and program agree."""
    [pattern] = [
        one["pattern"] for one in schema["$defs"]["Zone"]["properties"]["max_grace"]["anyOf"] if "pattern" in one
    ]

    assert bool(re.search(pattern, text)) is fits
