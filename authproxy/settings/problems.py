"""What pydantic complains about, as one line for a person: where it stands, what is wrong, what cures it.

Pydantic's own text is hardly ever shown: it repeats values, which may be secrets, and speaks of types.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from authproxy.core.nearest import did_you_mean, nearest
from authproxy.options import Options, SecretRef
from authproxy.settings.document import Document
from authproxy.settings.model import LATER_KINDS
from authproxy.settings.shape import child, fields_of, filled_keys, later_keys, models_at, without_tags
from authproxy.settings.tree import Path, Problem, dotted

_NOT_YET: Final = "is not available in this version"
_REFERENCE: Final = "a secret is not written here but referred to: {file: PATH}, {env: NAME} or {credential: NAME}"
_WANTED: Final[Mapping[str, str]] = {
    "model_type": "a map of keys",
    "model_attributes_type": "a map of keys",
    "dict_type": "a map of keys",
    "mapping_type": "a map of keys",
    "tuple_type": "a list, as in [a, b]",
    "list_type": "a list, as in [a, b]",
    "string_type": "text",
    "bool_type": "true or false, unquoted",
    "int_type": "a whole number, unquoted",
    "is_instance_of": "of another type",
}
# Where the names stand that a key means, if not under its own in the plural.
_SECTIONS: Final[Mapping[str, str]] = {"trust": "truststores"}
_FIXED: Final[Mapping[str, str]] = {
    "uuid_parsing": "must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000",
    "uuid_type": "must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000",
    "none_required": "must be null",
}


_TRUTHS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("yes", "on", "y", "true", "1"), "true"),
    **dict.fromkeys(("no", "off", "n", "false", "0"), "false"),
}


class Translator:
    """Turns errors of one validation into problems of one document."""

    def __init__(
        self,
        model: type[Options],
        kinds: Mapping[str, Mapping[str, type[Options]]],
        document: Document,
        kept: Sequence[int],
    ) -> None:
        """`kept` holds, for each route that was validated, its index in the file."""
        self._model = model
        self._kinds = {section: ", ".join(sorted(found)) for section, found in kinds.items()}
        self._document = document
        self._kept = kept

    def problems(self, error: ValidationError) -> Iterator[Problem]:
        """Yield one problem for each error, but for those that only follow from another."""
        found = [(self.path(one["loc"]), one) for one in error.errors(include_url=False, include_input=False)]
        unknown: dict[Path, list[str]] = {}
        for path, details in found:
            if details["type"] == "extra_forbidden":
                unknown.setdefault(path[:-1], []).append(str(path[-1]))
        for path, details in found:
            if details["type"] != "missing" or not self._is_echo(path, unknown):
                yield self._problem(details, path)

    def _is_echo(self, missing: Path, unknown: Mapping[Path, Sequence[str]]) -> bool:
        """Return whether a missing key is told already: as a misspelt one, or by there being no listener at all."""
        key = str(missing[-1])
        if missing[:1] == ("routes",) and key == "listeners" and not self._document.values.get(key):
            return True
        return (
            nearest(key, unknown.get(missing[:-1], ())) is not None
            or nearest(f"{key}s", unknown.get((), ())) is not None
        )

    def _problem(self, details: ErrorDetails, path: Path) -> Problem:
        match details["type"]:
            case "extra_forbidden":
                return self._at(path, self._unknown(path), key=True)
            case "missing":
                return self._at(path, self._missing(path), key=True)
            case "union_tag_invalid" | "union_tag_not_found" if path[0] in self._kinds:
                return self._kind(path)
            case _ if details["loc"][-1:] == ("[key]",):
                return self._at(path, _own_words(details) or "is no name", key=True)
            case _:
                return self._at(path, self._wrong(details, path))

    def _at(self, path: Path, text: str, *, key: bool = False) -> Problem:
        return Problem(self._document.mark(path, key=key), path, text)

    def path(self, location: Path) -> Path:
        """Return the path in the file: without pydantic's tags, with the file's own index of a route."""
        if location[:1] == ("routes",) and len(location) > 1 and isinstance(location[1], int):
            location = ("routes", self._kept[location[1]], *location[2:])
        parts = without_tags(location, self._document.values)
        values: object = self._document.values
        for length, part in enumerate(parts):
            if not isinstance(values, list if isinstance(part, int) else dict):
                # A short form: what pydantic calls `urls[0]` or `bind[0]` is the value itself.
                return parts[:length]
            values = child(values, part)
        return parts

    def _value(self, path: Path) -> object:
        value: object = self._document.values
        for part in path:
            value = child(value, part)
        return value

    def _models(self, path: Path) -> tuple[type[Options], ...]:
        return models_at(self._model, path, self._document.values)

    def _unknown(self, path: Path) -> str:
        key = str(path[-1])
        models = self._models(path[:-1])
        if any(key in later_keys(model) for model in models):
            return _NOT_YET
        known = {name for model in models for name in model.model_fields}
        if nearest(key, known) is None and (home := self._home(key, path[:-1], models)):
            return f"unknown key here: it belongs under {home}"
        return f"unknown key{did_you_mean(key, known)}"

    def _home(self, key: str, path: Path, models: tuple[type[Options], ...]) -> str | None:
        """Return where a key that stands in the wrong map belongs: one level down, or up."""
        for model in models:
            for name in fields_of(model):
                if any(key in below.model_fields for below in self._models((*path, name))):
                    return dotted((*path, name))
        for length in range(len(path) - 1, -1, -1):
            if any(key in above.model_fields for above in self._models(path[:length])):
                return dotted(path[:length]) or "no other key: take its indentation away"
        return None

    def _missing(self, path: Path) -> str:
        key = str(path[-1])
        if path == ("version",):
            return "is needed: begin the file with `version: 1`"
        for model in self._models(path[:-1]):
            if key == "listeners" and key in filled_keys(model):
                return "is needed, and there is no listener of mode http that could serve it"
            if key in filled_keys(model):
                name = _SECTIONS.get(key, f"{key}s")
                section = child(self._document.values, name)
                names = sorted(section) if isinstance(section, dict) else []
                if names:
                    return f"is needed where there is more than one: {' or '.join(names)}"
                return f"is needed, and none is defined: add `{name}: {{NAME: {{file: PATH}}}}`"
            if key in model.model_fields:
                return f"is needed: {_sentence(model.model_fields[key].description or '')}"
        return "is needed"

    def _kind(self, path: Path) -> Problem:
        kind, section = child(self._value(path), "kind"), str(path[0])
        known = self._kinds[section]
        if not isinstance(kind, str):
            return self._at((*path, "kind"), f"is needed: one of {known}", key=True)
        if kind in LATER_KINDS[section]:
            return self._at((*path, "kind"), f"{kind} {_NOT_YET} (known: {known})")
        return self._at((*path, "kind"), f"unknown kind{did_you_mean(kind, known.split(', '))}")

    def _wrong(self, details: ErrorDetails, path: Path) -> str:
        kind, value = details["type"], self._value(path)
        if (
            kind in {"model_type", "model_attributes_type"}
            and details.get("ctx", {}).get("class_name") == SecretRef.__name__
        ):
            return _REFERENCE
        if kind in _WANTED:
            return self._type(kind, path, value)
        if kind == "literal_error":
            return _choice(str(details.get("ctx", {}).get("expected", "")), value)
        return _own_words(details) or _FIXED.get(kind) or _lower(details["msg"])

    def _type(self, kind: str, path: Path, value: object) -> str:
        wanted = f"must be {_WANTED[kind]}"
        if value is None:
            return f"{wanted}, is empty"
        if kind == "string_type" and isinstance(value, bool | int | float):
            return "must be text: put it in quotes"
        if kind == "bool_type" and str(value).lower() in _TRUTHS:
            return f"write {_TRUTHS[str(value).lower()]}, unquoted"
        if kind == "model_type" and path and any(str(path[-1]) in model.model_fields for model in self._models(path)):
            above = dotted(path[:-1])
            one = f"a key of a {above.removesuffix('s')}, which needs a name"
            return f"{wanted}: it looks like {one}: {above}: {{NAME: {{{path[-1]}: ...}}}}"
        return f"{wanted}, is {_is_a(value)}"


def _own_words(details: ErrorDetails) -> str | None:
    error = details.get("ctx", {}).get("error")
    return str(error) if isinstance(error, ValueError) else None


def _choice(expected: str, value: object) -> str:
    words = [word.strip("'\" ") for word in expected.replace(" or ", ", ").split(",")]
    wanted = f"must be {words[0]}" if len(words) == 1 else f"must be one of {', '.join(words)}"
    if isinstance(value, str) and value[:1].isalpha() and value not in words and (meant := nearest(value, words)):
        return f'{wanted} (did you mean "{meant}"?)'
    if str(value) in words:
        return f"{wanted}, unquoted" if isinstance(value, str) else f"{wanted}: put it in quotes"
    return wanted


def _is_a(value: object) -> str:
    match value:
        case dict():
            return "a map"
        case list():
            return "a list"
        case str():
            return "text"
        case bool():
            return "true or false"
        case _:
            return "a number"


def _sentence(description: str) -> str:
    return _lower(description.rstrip("."))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
