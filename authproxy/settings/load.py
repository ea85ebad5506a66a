"""Files to checked settings, or every problem at once.

Validation runs twice when the first run finds anything: what is wrong is taken out (a misspelt key, else the named entry
around it) so that the rest is checked too, including what sections say about one another. The names that were taken out
still count as defined.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from pydantic import ValidationError

from authproxy.errors import ConfigError
from authproxy.options import Options
from authproxy.settings.checks import check
from authproxy.settings.checks.finding import Known
from authproxy.settings.defaults import fill
from authproxy.settings.document import BY_NAME, Document, read
from authproxy.settings.model import Settings, model_for
from authproxy.settings.nearest import nearest
from authproxy.settings.notes import notes
from authproxy.settings.problems import Translator
from authproxy.settings.prune import prune
from authproxy.settings.tree import Key, Problem


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


def load(path: FilePath, *, catalog_kinds: Mapping[str, type[Options]], environ: Mapping[str, str]) -> Loaded:
    """Return the checked settings of the file at `path`.

    Secrets, keys and catalogs that they name are not read here.

    Raises:
        ConfigError: with every problem, each `file:line:column: dotted.key: what is wrong (cure)`.
    """
    document, problems = read(path, environ)
    settings, found = _validate(document, catalog_kinds)
    # A value that could not be read is told once, not again as unfit for its key.
    told = {(problem.mark, problem.path) for problem in problems}
    problems += [problem for problem in found if (problem.mark, problem.path) not in told]
    if problems or settings is None:
        raise ConfigError(*_lines(problems, document.files))
    return Loaded(settings=settings, files=document.files, notes=notes(settings, document), document=document)


def _validate(document: Document, kinds: Mapping[str, type[Options]]) -> tuple[Settings | None, list[Problem]]:
    model, values = model_for(kinds), fill(document.values)
    context = {"base": document.files[0].absolute().parent}
    routes = document.values.get("routes")
    everything = tuple(range(len(routes))) if isinstance(routes, list) else ()
    problems: list[Problem] = []
    translator = Translator(model, kinds, document, everything)
    try:
        settings = model.model_validate(values, context=context)
    except ValidationError as error:
        problems += translator.problems(error)
        values, kept = prune(values, error)
        translator = Translator(model, kinds, document, kept)
        try:
            settings = model.model_validate(values, context=context)
        except ValidationError as second:
            return None, [*problems, *translator.problems(second)]
    for finding in check(settings, _known(document)):
        problem_path = translator.path(finding.path)
        problems.append(Problem(document.mark(problem_path, key=finding.key), problem_path, finding.text))
    return settings, problems


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
    return [problem.line() for problem in ordered]
