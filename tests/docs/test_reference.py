"""The reference says what the program says."""

import re

import pytest

from authproxy.errors import ConfigError
from authproxy.settings import load
from authproxy.settings.shape import fields_of
from tests.docs.keys import LATER_OTHERWISE, configuration_page
from tests.docs.reference import PAGES
from tests.docs.shown import DOCS
from tests.settings.test_shipped import KINDS, MODELS, SESSIONS


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_made_one(name):
    """After a change of keys or commands: `make reference`."""
    made = PAGES[name]()

    assert (DOCS / name).read_text() == made, "run `make reference` and commit what it writes"


def test_every_key_is_explained():
    """Each key of each model has its row, with its own words."""
    page = configuration_page().replace("\\|", "|").replace("&lt;", "<")
    rows = re.findall(r"^\| \[?`(?:[\w\[\].]*\.)?(\w+)`.* \| (.+) \|$", page, re.MULTILINE)

    told = {(key, model.model_fields[key].description) for model in MODELS for key in fields_of(model)}

    assert len(told) > 100
    assert told <= set(rows)


def test_examples_come_from_the_large_file():
    """Every key that is no map of its own has one, but for empty lists."""
    without = re.findall(r"^\| `([^`]+)` \| (?!map)[^|]* \| [^|]* \| - \|", configuration_page(), re.MULTILINE)

    assert set(without) <= {"include", "require", "unusual_path", "users", "allow"}


@pytest.mark.parametrize(
    ("line", "said"),
    [("workers: 2", "only 1 is available"), ("ops: {bind: systemd:x}", "not available in this version")],
)
def test_what_no_model_knows_of_is_not_there(line, said, tmp_path):
    """The page's last two entries are true."""
    path = tmp_path / "authproxy.yaml"
    path.write_text(f"version: 1\n{line}\n")

    with pytest.raises(ConfigError) as raised:
        load(path, catalog_kinds=KINDS, session_kinds=SESSIONS, environ={})

    assert len(LATER_OTHERWISE) == 2
    assert any(said in problem for problem in raised.value.problems)
