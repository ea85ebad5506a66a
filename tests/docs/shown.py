"""What the pages of this project show: their text, their blocks, their links. Nothing is judged here."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_INFO = re.compile(r'(?P<language>\w*)(?: title="(?P<title>[^"]*)")?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, the title above it, its text without the indentation of a list."""

    language: str
    title: str
    text: str
    line: int


def pages() -> list[Path]:
    """Return every page that a reader of this project may open."""
    return [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return how a page is called from the top of the project."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        info = _INFO.fullmatch(found["info"])
        assert info is not None, f"{name_of(page)}: what is ```{found['info']}?"
        indent = len(found["indent"])
        lines = [line[indent:] for line in found["text"].splitlines()]
        yield Block(
            language=info["language"],
            title=info["title"] or "",
            text="".join(f"{line}\n" for line in lines),
            line=text.count("\n", 0, found.start()) + 1,
        )


def before(page: Path, block: Block) -> str:
    """Return the paragraph that leads to a block."""
    paragraphs = "\n".join(page.read_text().splitlines()[: block.line - 1]).rstrip().split("\n\n")
    return paragraphs[-1]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Return where a page leads: links and pictures, without those to other sites."""
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    found = re.findall(r"\]\(([^()\s]+)\)", text)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the headings of a page that have one address, in the built site and where Markdown is shown as it is."""
    titles = re.findall(r"^#{1,6} +(.+?) *$", prose(page), re.MULTILINE)
    texts = [re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {_built(text) for text in texts} & {_as_it_is(text) for text in texts}


def _built(title: str) -> str:
    # As Python-Markdown's table of contents does.
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())


def _as_it_is(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
