"""The page of configuration keys: type, default, example and meaning of each, from the models and `config/authproxy.yaml`."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import NoneType
from typing import Annotated, Literal, get_args, get_origin
from uuid import UUID

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from authproxy.catalogs.registry import FAMILY as CATALOGS
from authproxy.core.record import UserId
from authproxy.options import Options, SecretRef
from authproxy.sessions.registry import FAMILY as SESSIONS
from authproxy.settings.model import LATER_KINDS, OneOf, model_for
from authproxy.settings.peers import ClientCertificates
from authproxy.settings.shape import fields_of, filled_keys, later_keys, unwrap
from authproxy.settings.words import Several
from tests.docs.shown import ROOT

EXAMPLES = ROOT / "config/authproxy.yaml"
NONE = "-"
LONGEST_EXAMPLE = 72

PREFACE = """\
# Configuration reference

Every key, with its type, default and meaning, and as an example what stands in `config/authproxy.yaml`. The page is made from the
program's own models (`make reference`), as `authproxy schema` is for editors; `authproxy config show` prints what a file means
once every default is filled in.

- **YAML**, `version: 1`. Unknown and repeated keys are mistakes; all mistakes are told at once, each with file, line and column.
- **`${VAR}`**, `${VAR:-default}` and `${VAR:?message}` take text from the environment, after the file has been read, so that a
  value cannot add YAML. `$$` is a plain `$`.
- **Paths** that are relative start at the directory of the file that names them.
- **Names** of keystores, zones and so on are yours. Where one is needed and there is only one, it is the default.
- **Unsafe wishes** begin with `unsafe_`; every start logs those that are set, and a `proxy_protocol.from` that is the whole
  world; `authproxy_unsafe_settings` counts them.

| Type | Is written |
|---|---|
| duration | `250ms`, `10s`, `5m`, `4h`, `7d`, or a bare 0 |
| size | `32KiB`, `1MiB`, `2GiB`, or a number of bytes |
| path | `server.pem`, `/run/secrets/pepper` |
| secret | [where it is](#secrets), never what it is |
| name | 1 to 64 letters, digits, `.`, `_` and `-` |
| URL path | `/admin`, as it reads once decoded, without query |
| network | `10.0.0.0/8`, `fd00::/8`, or an address |
| time | `2030-01-01T00:00:00Z`, always with its offset |

A dash under "Default" says that there is none, or that it depends on other keys, as the meaning tells.
"""

# What no model knows of, as its own validator says it.
LATER_OTHERWISE = ["`workers`: any number but 1", "`bind: systemd:NAME`"]

# What a validator lets pass, in one word; the type alone says the rest.
WORDS = {
    "parse_path": "path", "parse_duration": "duration", "parse_size": "size", "parse_bind": "address",
    "parse_target": "address", "parse_control": "unix socket", "parse_url": "URL", "parse_network": "network",
    "_name": "name", "check_host": "host", "check_path": "URL path", "_method": "method", "_header": "header name",
    "_header_text": "text", "_prefix": "prefix", "_origin": "origin", "_upgrade": "protocol", "_alias": "alias",
    "check_server_name": "host", "check_pin": "pin", "_env_name": "variable", "_group": "group", "_colour": "colour",
    "_parse_count": "`auto` or whole number", "_parse_cap": "`off` or whole number", "_parse_access": "`stdout`, `stderr`, `off` or path",
    "parse_user_id": "UUID", "parse_rotation_version": "whole number", "parse_hash": "128 hex digits",
    "parse_time": "time", "parse_zone": "name", "_parse_name": "text", "_parse_groups": "list of group",
    "_parse_flag": "true or false",
}  # fmt: skip
PLAIN: dict[object, str] = {
    bool: "true or false", int: "whole number", str: "text", Path: "path", UUID: "UUID", UserId: "UUID",
    datetime: "time", IPv4Network: "network", IPv6Network: "network",
}  # fmt: skip
SHARED: dict[type[Options], str] = {ClientCertificates: "client_certificates", SecretRef: "secrets"}


def configuration_page() -> str:
    """Return the page."""
    return "\n".join([PREFACE, *_sections()])


@cache
def _root() -> type[Options]:
    catalogs = {name: kind.options for name, kind in CATALOGS.built_in.items()}
    return model_for({"catalogs": catalogs, "sessions": {n: kind.options for n, kind in SESSIONS.built_in.items()}})


@cache
def _written() -> object:
    written: object = yaml.safe_load(EXAMPLES.read_text())
    return written


def _sections() -> Iterator[str]:
    root = _root()
    yield _table("## The file\n", _top_rows(root))
    for name, annotation in fields_of(root).items():
        found = [*unwrap(annotation)]
        kinds = _kinds(annotation)
        described = root.model_fields[name].description
        if kinds:
            yield f"## {name}\n\n{described}\n"
            for kind, model in kinds.items():
                of_kind = [one for one in _below([_written()], name) if one.get("kind") == kind]
                yield _section(f"### {name} of kind {kind}", model, of_kind)
        else:
            for model in _models(found):
                yield _section(f"## {name}", model, _below([_written()], name), described)
    yield _section("## client_certificates", ClientCertificates, _everywhere(_written(), "client_certificates"))
    yield _section(
        "## Secrets", SecretRef, [one for key in ("peppers", "password") for one in _everywhere(_written(), key)]
    )
    yield "## Not in this version\n\nKeys and kinds that are refused with a sentence, for a later version will know them.\n"
    yield "\n".join(f"- {one}" for one in [*_later(root), *LATER_OTHERWISE]) + "\n"


def _top_rows(root: type[Options]) -> Iterator[str]:
    for name, annotation in fields_of(root).items():
        if _kinds(annotation) or _models([*unwrap(annotation)]):
            yield _row(f"[`{name}`](#{name})", _shape(annotation), NONE, "below", root.model_fields[name])
        else:
            yield from _rows(root, [_written()], only=name)


def _section(heading: str, model: type[Options], written: Sequence[object], described: str | None = None) -> str:
    told = " ".join((described or model.__doc__ or "").split())
    return _table(f"{heading}\n\n{_escaped(told)}\n", _rows(model, written))


def _table(head: str, rows: Iterator[str]) -> str:
    return "\n".join([head, "| Key | Type | Default | Example | Meaning |", "|---|---|---|---|---|", *rows, ""])


def _rows(model: type[Options], written: Sequence[object], prefix: str = "", only: str = "") -> Iterator[str]:
    for name, annotation in fields_of(model).items():
        if only and name != only:
            continue
        field = model.model_fields[name]
        inner = [one for one in _models([*unwrap(annotation)]) if one not in SHARED]
        example = NONE if inner else _example(written, name)
        yield _row(f"`{prefix}{name}`", _shape(annotation), _default(model, name, field), example, field)
        for one in inner:
            several = "[]." if _is_list(annotation) else "."
            yield from _rows(one, _below(written, name), f"{prefix}{name}{several}")


def _row(key: str, shape: str, default: str, example: str, field: FieldInfo) -> str:
    cells = [key, shape, default, example, _escaped(field.description or "")]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _escaped(text: str) -> str:
    parts = text.split("`")
    return "`".join(part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(parts))


def _default(model: type[Options], name: str, field: FieldInfo) -> str:
    if name in filled_keys(model):
        return NONE
    if field.is_required():
        return "needed"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default in (None, (), {}, "", PydanticUndefined) or isinstance(default, Options):
        return NONE
    shown = model.model_construct(**{name: default}).model_dump(mode="json", include={name}, warnings=False)[name]
    return f"`{_flow(shown)}`"


def _example(written: Sequence[object], name: str) -> str:
    for one in written:
        if isinstance(one, dict) and one.get(name) not in (None, [], {}):
            value = one[name]
            text = _flow(value)
            if len(text) > LONGEST_EXAMPLE:
                first = _flow(dict([*value.items()][:1]))[:-1] if isinstance(value, dict) else text[:20]
                return f"`{first}, ...}}`" if isinstance(value, dict) else f"`{first}...`"
            return f"`{text}`"
    return NONE


def _flow(value: object) -> str:
    if isinstance(value, str | bool | int | None.__class__):
        text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()
        return text.replace("'", '"')
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False).strip().replace("'", '"')


def _shape(annotation: object) -> str:
    """Return the type in words."""
    found = [one for one in [annotation, *_arguments(annotation)] if one is not NoneType]
    for one in found:
        if word := _word(one):
            return ", ".join(filter(None, [word, _bounds(annotation)]))
    (plain, *_) = [*unwrap(annotation)]
    if bounds := _bounds(annotation):
        return f"{PLAIN.get(plain, 'text')}, {bounds}"
    if isinstance(plain, type) and get_origin(plain) is None and issubclass(plain, Options):
        return f"[{'secret' if plain is SecretRef else 'map'}](#{SHARED[plain]})" if plain in SHARED else "map"
    origin, arguments = get_origin(plain), get_args(plain)
    if origin is Literal:
        return " or ".join(f"`{_flow(one)}`" for one in arguments)
    if origin is tuple:
        of = _shape(arguments[0])
        return f"{of}, or a list" if _is_several(annotation) else f"list of {of}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner = _shape(arguments[1])
        return f"maps by {_shape(arguments[0])}" if inner == "map" else f"map: {_shape(arguments[0])} to {inner}"
    return PLAIN.get(plain, "text")


def _arguments(annotation: object) -> Iterator[object]:
    """Yield what stands in a union, and in the type that notes stand beside."""
    if get_origin(annotation) is Annotated:
        yield get_args(annotation)[0]
        yield from _arguments(get_args(annotation)[0])
    elif get_origin(annotation) not in {tuple, Literal} and not _is_mapping(annotation):
        for one in get_args(annotation):
            yield one
            yield from _arguments(one)


def _word(annotation: object) -> str:
    if get_origin(annotation) is not Annotated:
        return ""
    notes = get_args(annotation)[1:]
    functions = [getattr(note, "func", None) for note in notes]
    return next((WORDS[one.__name__] for one in functions if one is not None and one.__name__ in WORDS), "")


def _closures(annotation: object, factory: str) -> Iterator[Mapping[str, object]]:
    """Yield what the checks that `factory` made have in mind: their bounds, or their words."""
    for one in _deep(annotation):
        for note in get_args(one)[1:] if get_origin(one) is Annotated else ():
            check = getattr(note, "func", None)
            if inspect.isfunction(check) and check.__qualname__.startswith(f"{factory}."):
                yield inspect.getclosurevars(check).nonlocals


def _deep(annotation: object) -> Iterator[object]:
    yield annotation
    for one in get_args(annotation) if get_origin(annotation) is not Literal else ():
        yield from _deep(one)


def _bounds(annotation: object) -> str:
    for known in _closures(annotation, "bounded"):
        text = known["text"]
        assert callable(text)
        return f"{text(known['low'])} to {text(known['high'])}"
    return ""


def _is_mapping(annotation: object) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _is_several(annotation: object) -> bool:
    notes = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return any(isinstance(note, Several) for note in notes)


def _is_list(annotation: object) -> bool:
    return any(get_origin(one) is tuple for one in unwrap(annotation))


def _kinds(annotation: object) -> dict[str, type[Options]]:
    """Return the models by kind, where the value of a map is of kinds."""
    for argument in get_args(annotation):
        for note in get_args(argument)[1:] if get_origin(argument) is Annotated else ():
            if isinstance(note, OneOf):
                return dict(note.kinds)
    return {}


def _models(found: list[object]) -> list[type[Options]]:
    """Return the models that are the value, or that a list or map holds."""
    models = []
    for one in found:
        if isinstance(one, type) and get_origin(one) is None and issubclass(one, Options):
            models.append(one)
        elif get_origin(one) is tuple or _is_mapping(one):
            held = get_args(one)[1 if _is_mapping(one) else 0]
            models += [below for below in unwrap(held) if isinstance(below, type) and issubclass(below, Options)]
    return [model for model in dict.fromkeys(models) if model is not SecretRef]


def _below(written: Sequence[object], name: str) -> list[dict[str, object]]:
    """Return the maps that stand under a key: itself, those of a list, or those of a map by name."""
    found: list[dict[str, object]] = []
    for one in written:
        value = one.get(name) if isinstance(one, dict) else None
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, dict)]
        elif isinstance(value, dict):
            found += [value, *(item for item in value.values() if isinstance(item, dict))]
    return found


def _everywhere(value: object, name: str) -> list[dict[str, object]]:
    """Return the maps under every key of that name."""
    if isinstance(value, list):
        return [found for one in value for found in _everywhere(one, name)]
    if not isinstance(value, dict):
        return []
    return _below([value], name) + [found for one in value.values() for found in _everywhere(one, name)]


def _later(root: type[Options]) -> Iterator[str]:
    for section, kinds in LATER_KINDS.items():
        if kinds:
            yield f"`{section}` of kind {', '.join(f'`{kind}`' for kind in sorted(kinds))}"
    for name, annotation in fields_of(root).items():
        for model in _models([*unwrap(annotation)]):
            yield from (f"`{name}`: the key `{key}`" for key in sorted(later_keys(model)))
            for key, inner in fields_of(model).items():
                for known in _closures(inner, "later"):
                    values = known["values"]
                    assert isinstance(values, tuple)
                    yield from (f"`{name}`: `{key}: {value}`" for value in values)
