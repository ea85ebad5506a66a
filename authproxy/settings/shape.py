"""Which options models may stand at a path: what a misspelt key is compared with, and what a test walks."""

from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Final, Union, get_args, get_origin

from authproxy.options import Options
from authproxy.settings.model import OneOf
from authproxy.settings.section import Section
from authproxy.settings.tree import Key, Path

_UNIONS: Final = (Union, UnionType)


def models_at(model: type[Options], path: Path, values: object) -> tuple[type[Options], ...]:
    """Return the models that `path` may hold; `values`, what the file says, tells kinds apart."""
    types: tuple[object, ...] = (model,)
    for part in path:
        types = tuple(inner for outer in types for inner in _step(outer, part))
        values = child(values, part)
        types = tuple(chosen for found in types for chosen in unwrap(found, values))
    return tuple(found for found in types if isinstance(found, type) and issubclass(found, Options))


def child(values: object, part: Key) -> object:
    """Return what stands under `part`, or None."""
    match values:
        case dict() if part in values:
            return values[part]
        case list() if isinstance(part, int) and part < len(values):
            return values[part]
        case _:
            return None


def empty_keys(model: type[Options], values: object) -> Iterator[Path]:
    """Yield where a key stands without a value that would mean the same if it were not there.

    Most such keys say who may pass: a list that was commented out would leave the door open.
    """
    known: dict[Path, frozenset[str]] = {}
    for path in _empty(values, ()):
        above, key = path[:-1], path[-1]
        if above not in known:
            known[above] = frozenset(
                name
                for holder in models_at(model, above, values)
                for name, field in holder.model_fields.items()
                if NoneType in get_args(field.annotation)
            )
        if key in known[above]:
            yield path


def _empty(values: object, path: Path) -> Iterator[Path]:
    inner: Iterable[tuple[Key, object]] = ()
    if isinstance(values, dict):
        inner = values.items()
    elif isinstance(values, list):
        inner = enumerate(values)
    for key, value in inner:
        if value is None and isinstance(key, str):
            yield (*path, key)
        yield from _empty(value, (*path, key))


def without_tags(location: Path, values: object) -> Path:
    """Return a location of pydantic's without what is no key of the file: `<kind>` of a union, `[key]` of a bad key."""
    path: list[Key] = []
    for part in location:
        if isinstance(part, str) and part[:1] in {"<", "["} and not (isinstance(values, dict) and part in values):
            continue
        path.append(part)
        values = child(values, part)
    return tuple(path)


def unwrap(annotation: object, values: object = None) -> Iterator[object]:
    """Yield what an annotation may be, without Annotated, Optional and kinds that `values` rules out."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        kinds = [kind for note in arguments[1:] if isinstance(note, OneOf) for kind in _kinds(note, values)]
        yield from kinds or unwrap(arguments[0], values)
    elif origin in _UNIONS:
        for argument in arguments:
            yield from unwrap(argument, values)
    elif annotation is not NoneType:
        yield annotation


def fields_of(model: type[Options]) -> Mapping[str, object]:
    """Return the keys of a model with their full annotations."""
    return {name: _annotation(field.annotation, field.metadata) for name, field in model.model_fields.items()}


def later_keys(model: type[Options]) -> frozenset[str]:
    """Return the keys of `model` that only a later version knows."""
    return model.LATER if issubclass(model, Section) else frozenset()


def filled_keys(model: type[Options]) -> frozenset[str]:
    """Return the keys of `model` that have their default outside of it."""
    return model.FILLED if issubclass(model, Section) else frozenset()


def _annotation(annotation: object, metadata: list[object]) -> object:
    return Annotated[annotation, *metadata] if metadata else annotation


def _kinds(note: OneOf, values: object) -> tuple[type[Options], ...]:
    named = values.get("kind") if isinstance(values, dict) else None
    if isinstance(named, str) and named in note.kinds:
        return (note.kinds[named],)
    return tuple(note.kinds.values())


def _step(outer: object, part: Key) -> Iterator[object]:
    origin, arguments = get_origin(outer), get_args(outer)
    if isinstance(outer, type) and origin is None and issubclass(outer, Options):
        if part in outer.model_fields:
            yield fields_of(outer)[str(part)]
    elif isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(part, str):
        yield arguments[1]
    elif origin in {tuple, list} and isinstance(part, int):
        yield arguments[0]
