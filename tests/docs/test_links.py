"""No page leads nowhere. `make docs` says the same of docs/ alone, from the site that it builds."""

import re
import tomllib

import pytest

from tests.docs.shown import DOCS, ROOT, anchors, links, name_of, pages, prose

PAGES = {name_of(page): page for page in pages()}
SITE = tomllib.loads((ROOT / ".zensical.toml").read_text())["project"]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    """To a file of this project, and to a heading that is there; from docs/ to nothing outside, for the site ends there.

    What lies outside is named in backticks.
    """
    page = PAGES[name]
    border = DOCS if page.is_relative_to(DOCS) else ROOT
    lost = []

    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or not there.is_relative_to(border) or (anchor and anchor not in anchors(there)):
            lost.append(target)

    assert lost == []


def test_something_is_linked():
    """The test above has what to look at."""
    assert sum(len(links(page)) for page in PAGES.values()) > 30


def in_navigation(entries):
    for entry in entries:
        for leads in entry.values() if isinstance(entry, dict) else [entry]:
            yield from in_navigation(leads) if isinstance(leads, list) else [leads]


def test_every_page_is_in_the_navigation():
    """Once, and none that is not there."""
    assert sorted(in_navigation(SITE["nav"])) == sorted(path.name for path in DOCS.glob("*.md"))


@pytest.mark.parametrize("name", PAGES)
def test_lists_read_the_same_everywhere(name):
    """A blank line before a list: without it the site shows a paragraph."""
    lines = prose(PAGES[name]).splitlines()
    item = re.compile(r"(- |\d+\. )")

    joined = [
        now
        for before, now in zip(["", *lines], lines, strict=False)
        if item.match(now) and before and not item.match(before) and not before.startswith("  ")
    ]

    assert joined == []
