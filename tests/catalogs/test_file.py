"""Token files in YAML: which rows count, and what happens while somebody edits them."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.catalogs.file import FileCatalog, FileOptions
from authproxy.catalogs.file import kind as file_kind
from authproxy.catalogs.interface import Catalog
from authproxy.catalogs.source import MAX_FILE_BYTES
from authproxy.catalogs.yaml_rows import read_yaml
from authproxy.core.record import UserId
from authproxy.errors import MaterialError

ALICE = "550e8400-e29b-41d4-a716-446655440000"
BOB = "123e4567-e89b-12d3-a456-426614174000"
HASH = "ab" * 64


def user(text: str) -> UserId:
    return UserId(UUID(text).bytes)


def row(user_id: str = ALICE, **more: object) -> str:
    keys = {"user_id": user_id, "rotation_version": 1, "hash": HASH} | more
    return "- " + "\n  ".join(f"{key}: {value}" for key, value in keys.items() if value is not None) + "\n"


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "tokens.yaml"


@pytest.fixture
def opened(file):
    """`opened(text)` is a catalog of a file with that text."""

    def open_(text: str) -> FileCatalog:
        file.write_text(text)
        return FileCatalog(file, timedelta(seconds=5))

    return open_


def lets_in(catalog: FileCatalog, user_id: str = ALICE, zone: str = "api") -> bool:
    found = catalog.peek(zone, user(user_id))
    return found is not None and not found.disabled


# ---------------------------------------------------------------- rows
def test_every_key_is_read(opened):
    """The example of the manual, whole."""
    catalog = opened(
        row(
            zone="api", name="billing-job", groups="[jobs, admins, jobs]", rotation_version=3,
            expires_at="2027-01-01T00:00:00Z", previous_hash="CD" * 64,
            grace_expires_at="2026-12-01T02:00:00+02:00", disabled="false",
        )
    )  # fmt: skip

    found = catalog.peek("api", user(ALICE))

    assert found is not None
    assert (found.zone, found.name, found.groups, found.disabled) == ("api", "billing-job", ("admins", "jobs"), False)
    assert (found.rotation_version, found.hash, found.previous_hash) == (3, b"\xab" * 64, b"\xcd" * 64)
    assert found.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert found.grace_expires_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert catalog.reload().problems == ()


def test_text_is_what_was_written(opened):
    """YAML 1.1's second spellings mean nothing here: a hash of decimal digits is text, and so is a name `no`."""
    catalog = opened(row(hash="1" * 128, name="no", groups="[no, 0x1F, 12:30:45]"))

    found = catalog.peek("api", user(ALICE))

    assert found is not None
    assert (found.hash, found.name, found.groups) == (b"\x11" * 64, "no", ("0x1F", "12:30:45", "no"))


@pytest.mark.parametrize(
    ("more", "line", "problem"),
    [
        ({"hash": "ab" * 63}, 4, "hash: must be 128 hex digits, has 126 characters"),
        ({"hash": "zz" * 64}, 4, "hash: must be 128 hex digits"),
        ({"hash": None}, 2, "hash: is needed"),
        ({"hash": "[]"}, 4, "hash: must be 128 hex digits"),
        ({"hash": ""}, 4, "hash: must be 128 hex digits"),
        ({"rotation_version": -1}, 3, "rotation_version: must be a whole number from 0 to 65535"),
        ({"rotation_version": 65536}, 3, "rotation_version: must be a whole number from 0 to 65535"),
        ({"rotation_version": "1.0"}, 3, "rotation_version: must be a whole number from 0 to 65535"),
        ({"rotation_version": "010"}, 3, "rotation_version: must be a whole number from 0 to 65535"),
        ({"rotation_version": "true"}, 3, "rotation_version: must be a whole number from 0 to 65535"),
        ({"expires_at": "2027-01-01T00:00:00"}, 5, "expires_at: must be a time with its offset, such as"),
        ({"expires_at": "2027-01-01"}, 5, "expires_at: must be a time with its offset, such as"),
        ({"expires_at": ""}, 5, "expires_at: must be a time with its offset, such as"),
        ({"expires_at": "null"}, 5, "expires_at: must be a time with its offset, such as"),
        ({"expires_at": "2027-02-30T00:00:00Z"}, 5, "expires_at: there is no such time"),
        ({"expires_at": "9999-12-31T23:59:59-01:00"}, 5, "expires_at: there is no such time"),
        ({"expires": "2027-01-01T00:00:00Z"}, 5, 'expires: unknown key (did you mean "expires_at"?)'),
        ({"expires-at": "2027-01-01T00:00:00Z"}, 5, 'expires-at: unknown key (did you mean "expires_at"?)'),
        ({"previous_hash": HASH}, 2, "previous_hash needs grace_expires_at: give both or neither"),
        ({"grace_expires_at": "2027-01-01T00:00:00Z"}, 2, "grace_expires_at needs previous_hash: give both or neither"),
        ({"name": '"a\\nb"'}, 5, "name: must not contain control characters or line ends"),
        ({"name": "x" * 257}, 5, "name: must have at most 256 characters, has 257"),
        ({"groups": "jobs"}, 5, "groups: must be a list, such as [jobs, admins]"),
        ({"groups": '["a,b"]'}, 5, "groups: a group is text of visible ASCII without blanks and commas"),
        ({"groups": "[[jobs]]"}, 5, "groups: a group is text of visible ASCII without blanks and commas"),
        ({"disabled": "yes"}, 5, "disabled: must be true or false, unquoted"),
        ({"zone": '"a b"'}, 5, "zone: must be the name of a zone"),
        ({"zone": ""}, 5, "zone: must be the name of a zone"),
        ({"name": "!secret a"}, 5, "name: tags (!) have no use here"),
        ({"name": "*anchor"}, 5, "name: aliases (*) are not read"),
        ({"name": "a\n  name: b"}, 6, "name: stands twice, first in line 5: keep one"),
        ({"<<": "{}"}, 5, "<<: unknown key"),
    ],
)  # fmt: skip
def test_a_bad_row_disables_its_user_alone(opened, file, more, line, problem):
    """File, line, key and cure are told; the others come in; the user is known and refused."""
    catalog = opened("# people\n" + row(**more) + row(BOB))

    reloaded = catalog.reload()

    assert [text for text in reloaded.problems if text.startswith(f"{file}:{line}: {problem}")]
    assert reloaded.records == 1
    assert not lets_in(catalog)
    assert lets_in(catalog, BOB)


def test_problems_repeat_no_value(opened):
    """What stands in a file may have been put there by mistake: a token, a pepper."""
    secret = "hunter2-hunter2"

    catalog = opened(row(hash=secret, name=f"[{secret}]", expires_at=secret, zone=f'"{secret} "', groups=secret))

    assert len(catalog.reload().problems) == 5
    assert secret not in "".join(catalog.reload().problems)


@pytest.mark.parametrize("bad", ["- 3\n", "- [a]\n", "-\n", "- {}\n", "- user_id: somebody\n"])
def test_a_row_without_a_user_harms_nobody(opened, bad):
    """It is told, and that is all."""
    catalog = opened(row() + bad + row(BOB))

    assert catalog.reload().records == 2
    assert catalog.reload().problems


def test_of_two_rows_neither_counts(opened, file):
    """Nobody can tell which was meant, even where they stand on one line."""
    twice = f"{{user_id: {ALICE}, rotation_version: 1, hash: {HASH}}}"
    for text, lines in ((row() + row(BOB) + row(), (1, 7)), (f"[{twice}, {twice}]", (1, 1))):
        catalog = opened(text)

        problem = f"{file}:{lines[1]}: user_id: has a row in line {lines[0]} already: neither counts, keep one"
        assert catalog.reload().problems == (problem,)
        assert not lets_in(catalog)


def test_a_bad_row_for_a_zone_does_not_leave_the_general_one(opened):
    """The row that cannot be used was perhaps to keep the user out of this zone."""
    catalog = opened(row() + row(zone="api", disabled="ture"))

    assert not lets_in(catalog, zone="api")
    assert lets_in(catalog, zone="web")


def test_a_bad_row_for_an_unknown_zone_bars_the_user_everywhere(opened):
    """When even the zone cannot be read, no zone lets the user in."""
    catalog = opened(row() + row(zone='"?"') + row(zone="web") + row(BOB))

    assert not lets_in(catalog, zone="api")
    assert not lets_in(catalog, zone="web")
    assert lets_in(catalog, BOB)


def test_rows_for_different_zones_stand_side_by_side(opened):
    """One user, three rows: the zone's own wins."""
    catalog = opened(row() + row(zone="api", rotation_version=2) + row(zone="web", rotation_version=3))

    versions = {zone: catalog.peek(zone, user(ALICE)) for zone in ("api", "web", "other")}

    assert {zone: found and found.rotation_version for zone, found in versions.items()} == {
        "api": 2, "web": 3, "other": 1,
    }  # fmt: skip


# ---------------------------------------------------------------- the file as a whole
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty: write [] when there shall be no rows"),
        ("# nothing\n", "is empty: write [] when there shall be no rows"),
        ("---\n", "is empty: write [] when there shall be no rows"),
        ("user_id: a\n", ":1: must be a list of rows, each beginning with `- user_id:`"),
        ("- user_id: a\n hash: b\n", ":2: is not YAML"),
        ("- {user_id: a", ":2: is not YAML"),
        ('- name: "abc', ":1: is not YAML"),
        ("[]\n---\n[]\n", ":2: a second document begins here"),
        ("[" * 100_000, ":1: nested deeper than 4 levels"),
        ("- a: {b: {c: {d: {e: {}}}}}", ":1: nested deeper than 4 levels"),
        ("- \0", "is not YAML"),
    ],
)  # fmt: skip
def test_a_garbled_file_leaves_the_old_rows(opened, file, text, problem):
    """It was probably half written; the message says where it breaks off."""
    catalog = opened(row())
    file.write_text(text)

    with pytest.raises(MaterialError) as refusal:
        catalog.reload()

    assert str(file) in str(refusal.value)
    assert problem in str(refusal.value)
    assert lets_in(catalog)


def test_bytes_that_are_no_text_leave_the_old_rows(opened, file):
    """The line is told."""
    catalog = opened(row())
    file.write_bytes(b"- name: a\n  user_id: \xff\n")

    with pytest.raises(MaterialError, match=r":2: is not UTF-8 text"):
        catalog.reload()

    assert lets_in(catalog)


def test_a_torn_file_never_shows_another_hash(opened, file):
    """Cut anywhere, a file is refused, or its users are refused, or they have the hash and version of the whole file."""
    whole = row(previous_hash="cd" * 64, grace_expires_at="2026-12-01T00:00:00Z") + row(BOB, zone="web")
    allowed = {(1, b"\xab" * 64)}

    for length in range(len(whole)):
        file.write_text(whole[:length])
        try:
            catalog = FileCatalog(file, None)
        except MaterialError:
            continue
        for user_id in (ALICE, BOB):
            for zone in ("api", "web"):
                found = catalog.peek(zone, user(user_id))
                assert found is None or found.disabled or (found.rotation_version, found.hash) in allowed


@given(st.text() | st.text("-:[]{}\"'\n #&*!|>?,ab0"))
def test_any_text_is_read_or_refused(text):
    """Nothing but `MaterialError` comes out of a file."""
    try:
        sheet = read_yaml(text.encode("utf-8", "surrogatepass"), "tokens.yaml")
    except MaterialError:
        return
    assert sheet.good <= len(sheet.records)


def test_missing_file_is_refused_at_the_start_and_survived_later(opened, file):
    """Without rows there is nothing to go on with; with rows they stay."""
    with pytest.raises(MaterialError, match="there is no such file"):
        FileCatalog(file, None)
    catalog = opened(row())
    file.unlink()

    with pytest.raises(MaterialError, match="there is no such file"):
        catalog.reload()

    assert lets_in(catalog)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_what_is_no_file_is_not_waited_for(file, make):
    """A pipe without a writer does not hold the start up."""
    make(file)

    with pytest.raises(MaterialError, match=r"is (not )?a (file|directory)"):
        FileCatalog(file, None)


def test_a_huge_file_is_not_read(file):
    """A mistaken path does not fill the memory."""
    with file.open("wb") as out:
        out.truncate(MAX_FILE_BYTES + 1)

    with pytest.raises(MaterialError, match="is larger than"):
        FileCatalog(file, None)


def test_a_byte_order_mark_is_no_part_of_the_text(file):
    """Some editors write one."""
    file.write_bytes(b"\xef\xbb\xbf" + row().encode())

    assert lets_in(FileCatalog(file, None))


# ---------------------------------------------------------------- reloading
def test_an_edit_counts_at_the_next_reload(opened, file):
    """New rows come, and what was said about bad ones goes when they are mended."""
    catalog = opened(row(hash="short"))
    assert catalog.reload().problems
    file.write_text(row() + row(BOB))

    reloaded = catalog.reload()

    assert (reloaded.changed, reloaded.records, reloaded.problems) == (True, 2, ())
    assert lets_in(catalog)
    assert lets_in(catalog, BOB)


@pytest.mark.parametrize("beside", ["", row(hash="short")], ids=["", "although another row is bad"])
def test_removing_a_row_always_takes_effect(opened, file, beside):
    """A mistake elsewhere in the file does not keep a removed user in."""
    catalog = opened(row(BOB) + beside)
    assert lets_in(catalog, BOB)
    file.write_text(beside or "[]")

    catalog.reload()

    assert catalog.peek("api", user(BOB)) is None


def test_an_unchanged_file_is_not_parsed_again(opened, file, monkeypatch):
    """Touched or rewritten with the same bytes, it is unchanged; today's problems are told all the same."""
    catalog = opened(row(hash="short"))
    problems = catalog.reload().problems
    monkeypatch.setattr("authproxy.catalogs.file.read_yaml", None)
    file.write_text(row(hash="short"))

    reloaded = catalog.reload()

    assert (reloaded.changed, reloaded.problems) == (False, problems)


def test_an_edit_within_one_clock_tick_is_seen(opened, file):
    """Same size, same time stamps: only the bytes differ, and they decide."""
    catalog = opened(row())
    before = file.stat()
    file.write_text(row(hash="cd" * 64))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert catalog.reload().changed
    found = catalog.peek("api", user(ALICE))
    assert found is not None
    assert found.hash == b"\xcd" * 64


def test_a_file_swapped_behind_a_link_is_seen(tmp_path):
    """Kubernetes changes a mounted file by turning a link."""
    for name, text in (("one", row()), ("two", row(BOB))):
        (tmp_path / name).write_text(text)
    link = tmp_path / "tokens.yaml"
    link.symlink_to("one")
    catalog = FileCatalog(link, None)
    link.unlink()
    link.symlink_to("two")

    catalog.reload()

    assert catalog.peek("api", user(ALICE)) is None
    assert lets_in(catalog, BOB)


def test_two_thousand_rows_load_at_once(opened):
    """Half a second is allowed on a small machine; a fifth is usual."""
    rows = "".join(
        row(
            f"550e8400-e29b-41d4-a716-{index:012x}", name="job", groups="[jobs, more]",
            expires_at="2027-01-01T00:00:00Z", previous_hash=HASH, grace_expires_at="2026-12-01T00:00:00Z",
        )
        for index in range(2000)
    )  # fmt: skip

    def load():
        begun = time.process_time()
        catalog = opened(rows)
        took = time.process_time() - begun
        assert catalog.reload().records == 2000
        return took

    # Cores that are shared make it dearer, and not each time.
    assert min(load() for _ in range(3)) < 0.5


def test_poll_of_zero_is_no_poll(file):
    """`poll: 0s` leaves it to reloads."""
    file.write_text("[]")

    def nobody(name: str) -> Catalog:
        raise AssertionError(name)

    opened = [
        file_kind.open(FileOptions.model_validate({"kind": "file", "file": str(file), **more}), nobody)
        for more in ({}, {"poll": "0s"}, {"poll": "1m"})
    ]

    assert [getattr(catalog, "poll", None) for catalog in opened] == [timedelta(seconds=5), None, timedelta(minutes=1)]


def test_a_file_that_everybody_can_write_is_refused(opened, file):
    """Else anybody on the machine lets himself in; the rows of before stay."""
    catalog = opened(row())
    file.chmod(0o666)

    with pytest.raises(MaterialError, match="chmod o-w"):
        catalog.reload()
    assert lets_in(catalog)


def test_a_rejected_row_says_so(opened):
    """Refused like a disabled user, and told apart in the log."""
    catalog = opened(row(hash="short"))
    record = catalog.peek("api", user(ALICE))

    assert record is not None
    assert record.disabled
    assert record.rejected
