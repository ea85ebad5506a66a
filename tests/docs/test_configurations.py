"""What a page shows of a configuration is right, in whole files and in pieces."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from authproxy.catalogs import registry
from authproxy.catalogs.rows import Row
from authproxy.options import Options
from authproxy.sessions.registry import kinds as session_kinds
from authproxy.settings import load
from authproxy.settings.defaults import fill
from authproxy.settings.model import model_for
from authproxy.settings.tree import parse
from authproxy.settings.values import Values
from tests.docs.reader import commands
from tests.docs.shown import Block, blocks, name_of, pages
from tests.settings.test_shipped import MODELS

CATALOGS = {name: kind.options for name, kind in registry.kinds().items()}
SESSIONS = {name: kind.options for name, kind in session_kinds().items()}
ROOT_MODEL: type[Options] = model_for({"catalogs": CATALOGS, "sessions": SESSIONS})
SHOWN = {
    f"{name_of(page)}:{block.line}": (page, block)
    for page in pages()
    if "deploy" not in page.parts
    for block in blocks(page)
    if block.language == "yaml"
}


def is_whole(text: str) -> bool:
    return bool(re.search(r"^version:", text, re.MULTILINE) and re.search(r"^(listeners|include):", text, re.MULTILINE))


def is_typed(page: Path, title: str) -> bool:
    """Whether the page tells to check or run that very file; tests/docs/test_commands.py does so."""
    typed = [command for block in blocks(page) if block.language == "sh" for command, _ in commands(block.text)]
    named = rf"authproxy (check|run)\b.* -c {re.escape(title)}( |$)"
    by_default = r"authproxy (check|run)\b(?!.* -c )" if title == "authproxy.yaml" else "(?!)"
    return any(re.search(f"{named}|{by_default}", command) for command in typed)


def problems(model: type[Options], values: object) -> list[str]:
    """Return what is wrong with a piece; that something is missing in it is not."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        return [f"{one['loc']}: {one['msg']}" for one in error.errors() if one["type"] != "missing"]
    return []


def fitting(values: object) -> list[type[Options]]:
    """Return the models that have all these keys."""
    keys = set(values) if isinstance(values, dict) else set()
    every: list[type[Options]] = [ROOT_MODEL, Row, *MODELS]
    return [model for model in every if keys and keys <= model.model_fields.keys()]


@pytest.mark.parametrize("name", SHOWN)
def test_it_is_right(name, tmp_path):
    """A whole file is run or checked by the page itself, or loaded here; a piece fits the sections that have its keys."""
    page, block = SHOWN[name]
    if is_whole(block.text):
        if block.title:
            assert is_typed(page, block.title), f"no command of the page checks or runs {block.title}"
        (tmp_path / "shown.yaml").write_text(block.text)
        if "include:" not in block.text:
            load(tmp_path / "shown.yaml", catalog_kinds=CATALOGS, session_kinds=SESSIONS, environ={})
        return
    node, mistakes = parse(block.text, name)
    assert node is not None
    assert mistakes == []
    values = Values({}).of(node, ())

    for one in values if isinstance(values, list) else [values]:
        assert isinstance(one, dict)
        found = fitting(one)
        assert found or is_certificate_row(one), f"no section has all of {set(one)}"
        if found:
            told = [problems(model, fill(one) if model is ROOT_MODEL else one) for model in found]
            assert [] in told, told


def is_certificate_row(one: object) -> bool:
    return (
        isinstance(one, dict)
        and "user_id" in one
        and one.keys() <= {"user_id", "uri", "spiffe", "dns", "email", "cn", "fingerprint"}
    )


def test_a_wrong_piece_is_found():
    """In a key, and in a value."""
    assert fitting({"listenres": {}}) == []
    assert problems(ROOT_MODEL, fill({"listeners": {"public": {"bind": "8443"}}}))
    assert problems(ROOT_MODEL, fill({"timeouts": {"drain": "30"}}))
    assert problems(ROOT_MODEL, fill({"zones": {"api": {"prefix": "svc", "pepper": "x"}}}))
    assert not is_typed(next(iter(SHOWN.values()))[0], "other.yaml")


def test_much_is_shown():
    """The test above has what to look at."""
    assert len([block for _, block in SHOWN.values() if is_whole(block.text)]) > 8
    assert len(SHOWN) > 20
    assert all(isinstance(block, Block) for _, block in SHOWN.values())
