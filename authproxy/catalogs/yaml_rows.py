"""A YAML file of rows."""

from pydantic import ValidationError

from authproxy.catalogs.rows import Row, parse_user_id, parse_zone, row_problems
from authproxy.catalogs.sheet import Sheet, SheetWriter
from authproxy.catalogs.yaml_entries import Entry, read_entries
from authproxy.core.record import UserId


def read_yaml(data: bytes, source: str) -> Sheet:
    """Return the rows of `data`; `source` is how lines name the file.

    Raises:
        MaterialError: It is not a YAML list, so no row can be told from another.
    """
    writer = SheetWriter(source)
    for entry in read_entries(data, source):
        _add(entry, writer)
    return writer.sheet()


def _add(entry: Entry, writer: SheetWriter) -> None:
    row = None
    try:
        # What is no map has been told; that it lacks every key need not be.
        row = Row.model_validate(entry.values) if entry.is_map else None
    except ValidationError as error:
        for key, text in row_problems(error):
            entry.problems.append((entry.lines.get(key, entry.line), key, text))
    if row is not None and not entry.problems:
        writer.add(row.record(), entry.line)
        return
    for problem in sorted(entry.problems, key=lambda problem: problem[0]):
        writer.problem(*problem)
    _refuse(entry, writer)


def _refuse(entry: Entry, writer: SheetWriter) -> None:
    user_id: UserId | None = None
    try:
        user_id = parse_user_id(entry.values.get("user_id"))
        zone = parse_zone(entry.values["zone"]) if "zone" in entry.values else None
    except ValueError:
        if user_id is not None:
            writer.bar(user_id)
        return
    writer.refuse(user_id, zone, entry.line)
