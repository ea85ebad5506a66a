"""Adding a row to a token file that people keep by hand."""

import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.catalogs.append import append, row_text
from authproxy.catalogs.contract import ALICE, BOB, NIL, ROOT
from authproxy.catalogs.yaml_rows import read_yaml
from authproxy.core.record import TokenRecord, UserId
from authproxy.errors import MaterialError


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "tokens.yaml"


def rows(file: Path) -> set[TokenRecord]:
    return set(read_yaml(file.read_bytes(), "tokens.yaml").records)


def left_overs(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path != file)


@pytest.mark.parametrize(
    "before",
    [
        "# people\n\n" + row_text(ALICE) + "# the end\n",
        row_text(ALICE).rstrip("\n"),
        "---\n" + row_text(ALICE),
        "".join(f"  {line}\n" for line in row_text(ALICE).splitlines()),
        row_text(ALICE).replace("\n", "\r\n"),
        "\ufeff" + row_text(ALICE),
        row_text(ALICE) + "- {user_id: 5}\n",
    ],
    ids=["comments", "no line end", "document", "indented", "CRLF", "BOM", "a bad row"],
)
def test_what_stands_there_stays(file, before):
    """Every byte, with the new row behind it."""
    file.write_bytes(before.encode())

    append(file, ROOT)

    assert file.read_bytes().startswith(before.encode())
    assert rows(file) == {ALICE, ROOT}
    assert b"\r\n" in file.read_bytes() or "\r\n" not in before
    assert file.read_bytes().count(b"\r\n") in {0, file.read_bytes().count(b"\n")}
    assert left_overs(file) == []


@pytest.mark.parametrize("before", ["", "# people\n", "---\n# people\n", "[]\n", "# people\n[]  # none yet\n", "[ ]"])
def test_the_first_row(file, before):
    """A file without rows takes one, and keeps its comments."""
    file.write_text(before)

    append(file, ALICE)

    assert rows(file) == {ALICE}
    assert "# people" in file.read_text() or "# people" not in before


def test_a_file_that_is_not_there_is_made(file):
    """Readable as the umask has it: hashes are no secrets."""
    append(file, ALICE)
    append(file, BOB)

    assert rows(file) == {ALICE, BOB}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_mode_and_link_stay(file, mode):
    """Who could read the file can read it still, and a link still leads there."""
    target = file.with_name("real.yaml")
    target.write_text(row_text(ALICE))
    target.chmod(mode)
    file.symlink_to(target.name)

    append(file, BOB)

    assert file.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert rows(target) == {ALICE, BOB}


def test_owner_stays(file):
    """The file is still that of the account that the proxy runs under; who is not root can give away the group only."""
    owner = (1234, 2345) if os.geteuid() == 0 else (os.geteuid(), min(os.getgroups(), default=os.getegid()))
    file.write_text("[]")
    os.chown(file, *owner)

    append(file, ALICE)

    assert (file.stat().st_uid, file.stat().st_gid) == owner


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        (BOB, BOB, True),
        (BOB, replace(BOB, rotation_version=5), True),
        (BOB, replace(BOB, zone="web"), True),
        (replace(BOB, zone="web"), BOB, True),
        (replace(BOB, zone="web"), replace(BOB, zone="web"), True),
        (replace(BOB, zone="web"), replace(BOB, zone="api"), False),
    ],
)
def test_a_user_has_one_row_for_a_zone(file, old, new, refused):
    """Nor does a row for one zone come beside a row for every zone: that token would stop working there."""
    before = row_text(old)
    file.write_text(before)

    if refused:
        with pytest.raises(MaterialError, match="has a row already"):
            append(file, new)
        assert file.read_text() == before
    else:
        append(file, new)
        assert rows(file) == {old, new}


def test_a_user_whose_row_is_bad_has_a_row_all_the_same(file):
    """Two rows would be one too many when the bad one is mended."""
    file.write_text(row_text(BOB).replace("rotation_version: 0", "rotation_version: x"))

    with pytest.raises(MaterialError, match="has a row already"):
        append(file, BOB)


@pytest.mark.parametrize(
    ("before", "problem"),
    [
        ("[{a: b}]\n", "add the row by hand"),
        ("[\n]\n# x\n", None),
        (row_text(ALICE) + "...\n", "add the row by hand"),
        ("a: b\n", "must be a list of rows"),
        ("- {", "is not YAML"),
    ],
)
def test_a_file_that_cannot_take_a_row_stays_as_it_is(file, before, problem):
    """What would not be read back right is not written."""
    file.write_text(before)

    if problem is None:
        append(file, BOB)
        assert rows(file) == {BOB}
        return
    with pytest.raises(MaterialError, match=problem):
        append(file, BOB)

    assert file.read_text() == before
    assert left_overs(file) == []


def test_edn_is_not_written(tmp_path):
    """Those files are turvata's."""
    with pytest.raises(MaterialError, match="YAML files only"):
        append(tmp_path / "tokens.edn", BOB)


def test_a_directory_that_is_not_there(tmp_path):
    """The message names the file."""
    with pytest.raises(MaterialError, match=r"no/tokens\.yaml: cannot be written: no such file or directory"):
        append(tmp_path / "no" / "tokens.yaml", BOB)


def test_a_failing_disk_leaves_the_old_file(file, monkeypatch):
    """Nothing is replaced before the new file is safe."""
    file.write_text(row_text(ALICE))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MaterialError, match="cannot be written: no space left"):
        append(file, BOB)

    assert rows(file) == {ALICE}
    assert left_overs(file) == []


def test_several_at_once_wait_for_one_another(file):
    """No row gets lost."""
    users = [replace(NIL, user_id=UserId(number.to_bytes(16, "big"))) for number in range(8)]
    threads = [threading.Thread(target=append, args=(file, each)) for each in users]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rows(file) == set(users)


@given(st.text("# -\n:[]{}a\t'\"") | st.text())
def test_any_file_is_added_to_or_left(tmp_path_factory, text):
    """Either the rows of before and the new one are there, or nothing has changed."""
    file = tmp_path_factory.mktemp("append") / "tokens.yaml"
    before = text.encode("utf-8", "surrogatepass")
    file.write_bytes(before)

    try:
        append(file, BOB)
    except MaterialError:
        assert file.read_bytes() == before
    else:
        assert BOB in rows(file)
