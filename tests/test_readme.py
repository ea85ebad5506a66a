"""What README and docs say exists, exists; what they show, works."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from authproxy.cli import cli
from authproxy.cli.demo_asks import ASKS
from authproxy.cli.demo_files import Place
from tests.docs.shown import blocks

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}
BLOCKS = re.findall(r"^```(\w*)[^\n`]*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
MADE_BY_HAND = {"server.pem", "tokens.yaml", "authproxy.yaml", "ca.pem", "certificate-users.yaml"}


def shown(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def code(page: str) -> list[str]:
    """What stands between backticks in running text."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL))


# The reference of keys is made of an operator's examples, whose files are nowhere.
@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"docs/configuration.md"}))
def test_files_that_are_named_exist(name):
    """Every path in backticks leads to a file or directory of this project."""
    paths = {
        word
        for word in code(PAGES[name])
        if re.fullmatch(r"\.?[\w.-]+/([\w.-]+/?)*|[\w-]+\.(md|yaml|toml|py|pem)", word)
    }

    made = (
        MADE_BY_HAND | {".venv/bin/authproxy", "try/", "build/site/"} | {block.title for block in blocks(ROOT / name)}
    )
    assert {path for path in paths - made if not (ROOT / path).exists()} == set()


def test_every_room_is_on_the_map():
    """Each package stands in the map's table, and each layer in its list, and nothing that is not there."""
    rooms = {path.parent.name for path in (ROOT / "authproxy").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "authproxy").glob("*.py") if not path.stem.startswith("_")}

    layers = re.search(r"```\n(cli\n.*?)```", PAGES["docs/map.md"], re.DOTALL)

    table = PAGES["docs/map.md"].partition("## The rooms")[2].partition("\n## ")[0]

    assert layers is not None
    assert set(re.findall(r"`authproxy/(\w+)/`", table)) == rooms
    assert set(re.findall(r"[a-z0-9]+", re.sub(r"\(.*\)", "", layers[1]))) == rooms | modules


def commands() -> list[str]:
    """Every call of the program, in text and in blocks."""
    words = [word for page in PAGES.values() for word in code(page)]
    lines = [line.partition("  #")[0] for text in shown("sh") for line in text.splitlines()]
    calls = [
        call for line in (*words, *lines) for call in re.findall(r"(?:^|; )(?:\S*/)?authproxy ([a-z][^>)]*)", line)
    ]
    return sorted({call.strip() for call in calls} | {word for word in words if word == "keys generate"})


@pytest.mark.parametrize("call", commands())
def test_commands_that_are_named_exist(call):
    """The command answers to --help, and knows each option."""
    names = [word for word in call.partition(" -")[0].split() if re.fullmatch(r"[a-z]+", word)]

    result = CliRunner().invoke(cli, [*names, "--help"])

    options = set(re.findall(r"(?<!\S)(--?[a-z-]+)", call))
    assert result.exit_code == 0, result.output
    assert options <= set(re.findall(r"--?[a-z-]+", result.output))


def test_most_commands_are_named():
    """A newcomer hears of every command."""
    first = {call.split()[0] for call in commands()}

    assert first == set(cli.list_commands(click.Context(cli)))


def test_targets_that_are_named_exist():
    """`make` knows them."""
    words = [word for page in PAGES.values() for word in (*code(page), *"\n".join(shown("sh")).splitlines())]

    named = {word.removeprefix("make ") for word in words if re.fullmatch(r"make [a-z]+", word)}

    known = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= known


def test_the_smallest_configuration_is_the_shipped_one():
    """What the README shows is config/minimal.yaml to the letter, and each of its lines is explained."""
    (configuration,) = shown("yaml")

    explained = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)

    assert configuration == (ROOT / "config/minimal.yaml").read_text()
    assert explained == [line.partition(":")[0] for line in configuration.splitlines()]


def test_the_requests_are_those_of_the_demo(monkeypatch):
    """The three commands differ from what the demo prints by its directory alone."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    place = Place(root=Path("DIR"), port=8443, ops_port=9901, legacy_port=9443)
    (block,) = [text for text in shown("sh") if "DIR/" in text]

    lines = [line.partition("  #")[0].split() for line in re.sub(r"\\\n", " ", block).splitlines()]

    assert lines == [re.sub(r"\\\n", " ", ask.curl(place)).split() for ask in ASKS]


def test_the_readme_is_short():
    """It can be read in one sitting."""
    assert len(README.splitlines()) < 200
