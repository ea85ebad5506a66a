"""What a page tells to type works as it says, against the real process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.docs.reader import PRINTS, TERMINAL, Reader
from tests.docs.shown import ROOT, Block, before, blocks, name_of, pages

PAGES = {name_of(page): list(blocks(page)) for page in pages() if "deploy" not in page.parts}

# Blocks that no test here can type, by page and a word of theirs, and why.
NOT_RUN = {
    ("README.md", "make demo"): "tests/promises/test_demo.py runs it",
    ("README.md", "@DIR/bearer"): "the requests of the demo, which sends them itself: tests/promises/test_demo.py",
    ("docs/performance.md", "make bench"): "takes minutes, and both cores; tests/bench/test_smoke.py runs it in small",
    (
        "docs/upstreams.md",
        "legacy.pem",
    ): "names the certificate of a service that is not here; tests/keystore/test_pins.py compares what this prints",
}


def reason_not_to_run(page: str, block: Block) -> str | None:
    return next((why for (name, word), why in NOT_RUN.items() if name == page and word in block.text), None)


def to_type(page: str) -> list[Block]:
    return [block for block in PAGES[page] if block.language == "sh" and reason_not_to_run(page, block) is None]


@pytest.fixture
def reader(tool: Callable[[str], str]) -> Iterator[Reader]:
    # A short path: that of a unix socket has 107 characters.
    with TemporaryDirectory(prefix="authproxy-") as folder:
        one = Reader(Path(folder), tool("curl"))
        try:
            yield one
        finally:
            one.close()


@pytest.mark.promise
@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", [name for name in PAGES if to_type(name)])
def test_what_is_shown_works(page, reader):
    """Every block in its order, in a fresh folder."""
    for block in PAGES[page]:
        if block.language != "sh" or reason_not_to_run(page, block) is None:
            reader.follow(block)


def test_exceptions_are_needed():
    """Each names one block that is there, and says why it cannot be typed here."""
    named = {
        (page, word): [block for block in PAGES[page] if block.language == "sh" and word in block.text]
        for page, word in NOT_RUN
    }

    assert {key for key, found in named.items() if len(found) != 1} == set()
    assert all(NOT_RUN.values())


@pytest.mark.parametrize("page", PAGES)
def test_titles_are_told_in_words_too(page):
    """Not everything that shows Markdown shows the title of a block."""
    titled = [block for block in PAGES[page] if block.title not in {"", PRINTS}]

    untold = [
        f"{block.line}: {block.title}"
        for block in titled
        if ("terminal" if block.title.startswith(TERMINAL) else f"`{block.title}`") not in before(ROOT / page, block)
    ]

    assert untold == []
