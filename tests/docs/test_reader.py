"""The reader notices when a page is wrong."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.docs.reader import Reader, commands
from tests.docs.shown import Block


@pytest.fixture
def reader(tool):
    with TemporaryDirectory(prefix="authproxy-") as folder:
        yield Reader(Path(folder), tool("curl"))


def typed(text, title=""):
    return Block(language="sh", title=title, text=text, line=1)


def printed(text):
    return Block(language="text", title="prints", text=text, line=1)


def test_commands_of_several_lines_are_one():
    """With the comment behind the last."""
    assert [*commands("one \\\n  two    # 200: yes\n# alone\nthree\n")] == [("one two", "200: yes"), ("three", "")]


@pytest.mark.parametrize(
    "text", ["false", "true    # exits 3", "curl http://127.0.0.1:8443/    # exits 0", "echo 1    # 200"]
)
def test_an_outcome_that_is_not_as_shown_fails(reader, text):
    """Exit codes and statuses."""
    with pytest.raises(AssertionError):
        reader.follow(typed(text))


def test_what_is_not_printed_fails(reader):
    """Each line must be there; three dots are anything, blanks are blanks."""
    reader.follow(typed("echo the   answer is 42; echo really"))
    reader.follow(printed("the answer ... 42\nreally\n"))

    with pytest.raises(AssertionError, match="not printed: 43"):
        reader.follow(printed("43\n"))


def test_a_terminal_that_ends_at_once_fails(reader):
    """A service that does not start is no service."""
    with pytest.raises(AssertionError):
        reader.follow(typed("false", title="another terminal"))


def test_files_and_ports_are_the_pages_own(reader):
    """A port is the same free one on the whole page; nothing else is changed."""
    reader.follow(
        Block(language="yaml", title="a/b.yaml", text="bind: 127.0.0.1:8443\nbits: 4096 in 20248443\n", line=1)
    )
    reader.follow(typed("grep -v 8443 a/b.yaml; cat a/b.yaml; echo :8443"))
    port = reader._printed.split(":")[-1].strip()

    assert port != "8443"
    reader.follow(printed(f"bind: 127.0.0.1:{port}\nbits: ... in 20248443\n"))
