"""The JSON Schema of a configuration file, for editors and for the reference."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeAlias

from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import override

from authproxy.options import Options, duration_text
from authproxy.settings.model import Settings, kinds_of, model_for
from authproxy.settings.section import Section

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

_NEEDED = ["version", "listeners", "upstreams", "routes"]


def json_schema(
    catalog_kinds: Mapping[str, type[Options]], session_kinds: Mapping[str, type[Options]] | None = None
) -> dict[str, Json]:
    """Return the schema (2020-12) of files with these kinds of catalogs and sessions; descriptions are the attribute docstrings.

    It knows shapes and spellings; what sections say about one another, only `load` knows.
    """
    schema: dict[str, Json] = model_for(kinds_of(catalog_kinds, session_kinds)).model_json_schema(
        schema_generator=_Generator
    )
    definitions = _map(schema, "$defs")
    for model in _sections(Section):
        if model.__name__ in definitions:
            _relax(_map(definitions, model.__name__), model)
    upstreams = _map(_map(schema, "properties"), "upstreams")
    short: Json = {"type": "string", "examples": ["https://legacy.internal:9443"]}
    upstreams["additionalProperties"] = {"anyOf": [short, {"$ref": "#/$defs/Upstream"}]}
    schema["required"] = [*_NEEDED]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "authproxy.yaml"}


class _Generator(GenerateJsonSchema):
    """Defaults as an operator writes them, and no titles that only repeat the key."""

    @override
    def encode_default(self, dft: object) -> object:
        return duration_text(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    @override
    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def _sections(model: type[Section]) -> list[type[Section]]:
    return [model, *(found for below in model.__subclasses__() if below is not Settings for found in _sections(below))]


def _relax(definition: dict[str, Json], model: type[Section]) -> None:
    """Take out of `required` what has its default outside of the model."""
    required = definition.get("required")
    left = [key for key in required if key not in model.FILLED] if isinstance(required, list) else []
    if left:
        definition["required"] = left
    else:
        definition.pop("required", None)


def _map(schema: dict[str, Json], key: str) -> dict[str, Json]:
    found = schema.setdefault(key, {})
    if not isinstance(found, dict):  # pydantic writes maps here
        raise AssertionError(key)  # noqa: TRY004  not a question of types to any caller
    return found
