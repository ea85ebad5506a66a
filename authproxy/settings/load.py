"""Files to checked settings, or every problem at once.

Validation runs twice when the first run finds anything: what is wrong is taken out (a misspelt key, else the named entry
around it) so that the rest is checked too, including what sections say about one another. The names that were taken out
still count as defined.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path as FilePath
from typing import Final

from pydantic import ValidationError

from authproxy.core.nearest import nearest
from authproxy.errors import ConfigError
from authproxy.options import Options
from authproxy.settings.checks import check
from authproxy.settings.checks.finding import Known
from authproxy.settings.defaults import fill
from authproxy.settings.document import BY_NAME, Document, read
from authproxy.settings.model import Kinds, Settings, kinds_of, model_for
from authproxy.settings.notes import notes
from authproxy.settings.problems import Translator
from authproxy.settings.prune import prune
from authproxy.settings.shape import child, empty_keys
from authproxy.settings.tree import Key, Path, Problem

# Nobody reads more; and a file of nothing but mistakes shall not keep anybody waiting.
MAX_TOLD: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings that are right, and where each of them stands."""

    settings: Settings
    """Every default filled in."""
    files: tuple[FilePath, ...]
    """The files that were read, the first one first."""
    notes: tuple[str, ...]
    """What is allowed but should be known, above all every unsafe wish: one line each."""
    document: Document = field(repr=False)

    def where(self, *path: Key) -> str:
        """Return `file:line:column: dotted.key` of a setting; what has its default stands where it would be."""
        return self.document.where(path)


def load(
    path: FilePath,
    *,
    catalog_kinds: Mapping[str, type[Options]],
    session_kinds: Mapping[str, type[Options]] | None = None,
    environ: Mapping[str, str],
) -> Loaded:
    """Return the checked settings of the file at `path`.

    Secrets, keys, catalogs and sessions that they name are not read here.

    Raises:
        ConfigError: with every problem, each `file:line:column: dotted.key: what is wrong (cure)`.
    """
    document, problems = read(path, environ)
    kinds = kinds_of(catalog_kinds, session_kinds)
    settings, found = _validate(document, kinds)
    # A value that could not be read is told once, not again as missing or as unfit for its key.
    found += _emptied(document, kinds, {problem.path for problem in [*problems, *found]})
    told = {(problem.mark, problem.path) for problem in problems}
    problems += [problem for problem in found if (problem.mark, problem.path) not in told]
    if problems or settings is None:
        raise ConfigError(*_lines(problems, document.files))
    return Loaded(settings=settings, files=document.files, notes=notes(settings, document), document=document)


def _validate(document: Document, kinds: Kinds) -> tuple[Settings | None, list[Problem]]:
    model, values = model_for(kinds), fill(document.values)
    context = {"base": document.files[0].absolute().parent}
    routes = document.values.get("routes")
    kept = tuple(range(len(routes))) if isinstance(routes, list) else ()
    translator = Translator(model, kinds, document, kept)
    try:
        settings = model.model_validate(values, context=context)
    except ValidationError as error:
        problems = list(islice(translator.problems(error), MAX_TOLD))
        pruned = prune(values, error)
    else:
        return settings, list(_found(settings, document, translator))
    translator = Translator(model, kinds, document, pruned.kept)
    try:
        settings = model.model_validate(pruned.values, context=context)
    except ValidationError as error:
        found = list(islice(translator.problems(error), MAX_TOLD))
    else:
        found = list(_found(settings, document, translator))
    return None, [*problems, *(problem for problem in found if not _is_echo(problem, pruned.maimed, document))]


def _emptied(document: Document, kinds: Kinds, told: Collection[Path]) -> list[Problem]:
    """Return the keys that are there and say nothing, but for those whose map is told to be wrong already."""
    found = islice(empty_keys(model_for(kinds), document.values), MAX_TOLD)
    return [
        Problem(document.mark(path, key=True), path, "is empty: give it a value, or take the key away")
        for path in found
        if path not in told and path[:-1] not in told
    ]


def _is_echo(problem: Problem, maimed: Collection[Path], document: Document) -> bool:
    """Return whether a problem may only follow from a misspelt key: it is about its map, or about a key that is absent."""
    if problem.path in maimed:
        return True
    value: object = document.values
    for part in problem.path:
        value = child(value, part)
    return value is None and problem.path[:-1] in maimed


def _found(settings: Settings, document: Document, translator: Translator) -> Iterator[Problem]:
    for finding in islice(check(settings, _known(document)), MAX_TOLD):
        path = translator.path(finding.path)
        yield Problem(document.mark(path, key=finding.key), path, finding.text)


def _known(document: Document) -> Known:
    return Known(names={section: _names(section, document.values) for section in (*BY_NAME, "routes")})


def _names(section: str, values: Mapping[str, object]) -> frozenset[str] | None:
    if section not in values:
        unknown = (key for key in values if key not in Settings.model_fields)
        return None if any(nearest(key, [section]) for key in unknown) else frozenset()
    match values[section]:
        case dict() as named if section in BY_NAME:
            return frozenset(named)
        case list() as listed if section not in BY_NAME:
            return frozenset(str(index) for index in range(len(listed)))
        case _:
            return None


def _lines(problems: Iterable[Problem], files: tuple[FilePath, ...]) -> list[str]:
    order = {str(file): index for index, file in enumerate(files)}
    ordered = sorted(set(problems), key=lambda one: (order[one.mark.file], one.mark.line, one.mark.column, one.text))
    lines = [problem.line() for problem in ordered[:MAX_TOLD]]
    return lines if len(ordered) < MAX_TOLD else [*lines, f"{files[0]}: these are the first {MAX_TOLD} problems"]
