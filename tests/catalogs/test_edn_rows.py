"""turvata's own file, read as turvata 0.4 reads it, and where not."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from authproxy.catalogs.edn_rows import read_edn
from authproxy.catalogs.file import FileCatalog
from authproxy.core.match import Match, match
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.secret import Secret
from authproxy.core.token import parse
from authproxy.errors import MaterialError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "turvata-v2.json").read_text())
EDN = VECTORS["edn_catalog"]
HASH = EDN["hash_hex"]
USER = UserId(UUID(VECTORS["malformed"]["user_id"]).bytes)
UUID_TEXT = VECTORS["malformed"]["user_id"]
PEPPERS = (Pepper(Secret(bytes.fromhex(VECTORS["malformed"]["pepper_hex"]))),)
NOW = datetime(2026, 7, 13, 12, tzinfo=UTC)

REFUSED = "a bad row disables its user; turvata fails, or finds a row that nothing matches"
GARBLED = "a file that cannot be read leaves the old rows; turvata fails at every request"
DEVIATIONS = {
    "hash-hex odd length": REFUSED,
    "hash-hex absent": REFUSED,
    "rotation-version absent": REFUSED,
    "unknown tag": GARBLED,
    "UTF-8 BOM": GARBLED,
    "empty file": "a file without rows is taken for half written, not for a wish to lock everybody out",
    "expires-at as #inst in the future: read as java.util.Date, ClassCastException at verification": "#inst works",
}


def found(text: str) -> TokenRecord | None:
    rows = {record.user_id: record for record in reversed(read_edn(text.encode(), "tokens.edn").records)}
    return rows.get(USER)


def authenticated(record: TokenRecord | None) -> bool:
    token = parse(EDN["token"].encode())
    assert token is not None
    return match(PEPPERS, token, record, NOW) is not None


def cases(*, deviating: bool):
    chosen = [case for case in EDN["cases"] if (case["note"] in DEVIATIONS) == deviating]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case["note"])


def text_of(case) -> str:
    return case["text"].replace("<HASH>", HASH)


@cases(deviating=False)
def test_finds_and_authenticates_as_turvata_does(case):
    """The same row, and the same answer to the token."""
    record = found(text_of(case))

    wanted = case["lookup"]["result"]
    assert (record is None) == (wanted is None)
    assert authenticated(record) == (case["authenticate"]["result"] is not None)
    if record is not None:
        assert record.hash.hex() == wanted["hash"]["bytes_hex"]
        assert record.rotation_version == wanted["rotation-version"]
        assert record.expires_at is None


@cases(deviating=True)
def test_deviates_on_purpose(case):
    """Each deviation as listed above."""
    text, reason = text_of(case), DEVIATIONS[case["note"]]

    if reason is REFUSED:
        record = found(text)
        assert record is not None
        assert record.disabled
        assert not authenticated(record)
    elif reason == "#inst works":
        record = found(text)
        assert record is not None
        assert record.expires_at == datetime(2099, 1, 1, tzinfo=UTC)
        assert authenticated(record)
    else:
        with pytest.raises(MaterialError):
            found(text)


def row(*more: str, user_id: str = f'#uuid "{UUID_TEXT}"', digest: str = f'"{HASH}"', version: str = "1") -> str:
    return f"{{:user-id {user_id} :hash-hex {digest} :rotation-version {version} {' '.join(more)}}}"


def test_a_rotation_in_an_example_file():
    """Two users, one of them with a previous hash without an end: current tokens pass, the previous one does not."""
    other = UserId(UUID("123e4567-e89b-12d3-a456-426614174000").bytes)
    current, previous = (PEPPERS[0].digest(other, version, bytes(32)).hex() for version in (3, 2))
    text = f"""
    ;; tokens.edn - one vector, one map per user
    [{row()}
     ;; in the middle of a rotation
     {{:user-id          #uuid "123e4567-e89b-12d3-a456-426614174000"
       :rotation-version 3
       :hash-hex         "{current.upper()}"
       :prev-hash-hex    "{previous}"
       :note             "unknown keys are carried along and ignored"}}]
    """
    sheet = read_edn(text.encode(), "tokens.edn")
    record = next(each for each in sheet.records if each.user_id == other)
    shown = parse(EDN["token"].encode())
    assert shown is not None

    outcomes = [
        match(PEPPERS, shown._replace(user_id=other, rotation_version=version, secret=bytes(32)), record, NOW)
        for version in (3, 2)
    ]

    assert outcomes == [(Match.PRIMARY, PEPPERS[0]), None]
    assert (sheet.good, sheet.problems) == (2, ())
    assert sorted(sheet.notes) == [
        "tokens.edn:8: prev-hash-hex: there is no grace without both a previous hash and its end",
        "tokens.edn:9: note: unknown key: it has no effect",
    ]


def test_grace_with_its_end_is_grace():
    """Both ends can be written, and count."""
    previous = f':prev-hash-hex "{HASH}"'
    end = ':grace-period-expires-at #inst "2026-07-13T14:00:00.000001+02:00"'
    record = found(f"[{row(previous, end, version='2')}]")

    assert record is not None
    assert record.previous_hash == bytes.fromhex(HASH)
    assert record.grace_expires_at == datetime(2026, 7, 13, 12, 0, 0, 1, tzinfo=UTC)
    assert authenticated(record)


def test_nil_is_absent():
    """`nil` ends never and has no predecessor, as in turvata."""
    record = found(f"[{row(':expires-at nil', ':prev-hash-hex nil', ':grace-period-expires-at nil')}]")

    assert record is not None
    assert (record.expires_at, record.previous_hash, record.grace_expires_at) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (row(digest='"zz"'), "hash-hex: must be 128 hex digits, has 2 characters"),
        (row(digest=":x"), "hash-hex: must be 128 hex digits"),
        (row(digest="nil"), "hash-hex: is needed"),
        (row(version="65536"), "rotation-version: must be a whole number from 0 to 65535"),
        (row(version="-1"), "rotation-version: must be a whole number from 0 to 65535"),
        (row(version="1.0"), "rotation-version: must be a whole number from 0 to 65535"),
        (row(version="true"), "rotation-version: must be a whole number from 0 to 65535"),
        (row(version='"1"'), "rotation-version: must be a whole number from 0 to 65535"),
        (row(':expires-at #inst "2099-01-01T00:00:00"'), "expires-at: must be a time with its offset"),
        (row(':expires-at #inst "2099"'), "expires-at: must be a time with its offset"),
        (row(':expires-at "2099-01-01T00:00:00Z"'), "expires-at: must be #inst"),
        (row(":expires-at 0"), "expires-at: must be #inst"),
        (row(':prev-hash-hex "abc"'), "prev-hash-hex: must be 128 hex digits"),
    ],
)  # fmt: skip
def test_a_bad_row_disables_its_user_alone(text, problem):
    """Line and key are told, the rest of the file counts."""
    other = row(user_id='#uuid "123e4567-e89b-12d3-a456-426614174000"')

    sheet = read_edn(f"[\n{text}\n{other}]".encode(), "tokens.edn")

    assert sheet.good == 1
    assert len(sheet.problems) == 1
    assert sheet.problems[0].startswith(f"tokens.edn:2: {problem}")
    refused = found(f"[{text}]")
    assert refused is not None
    assert refused.disabled


@pytest.mark.parametrize("user_id", [f'"{UUID_TEXT}"', "nil", '#uuid "1-1-1-1-1"', '#inst "x"'])
def test_a_row_of_nobody_is_told(user_id):
    """Only a #uuid ever matches; a row without one harms nobody."""
    sheet = read_edn(f"[{row(user_id=user_id)} {row()}]".encode(), "tokens.edn")

    assert sheet.good == 1
    assert sheet.problems[0].startswith("tokens.edn:1: user-id: ")


def test_the_first_row_of_a_user_counts():
    """As turvata searches; the later one is noted. If the first is bad, the user is refused all the same."""
    first, second = row(version="1"), row(version="2")
    sheet = read_edn(f"[{first}\n{second}]".encode(), "tokens.edn")
    refused = found(f"[{row(version='-1')} {second}]")

    assert [record.rotation_version for record in sheet.records] == [1]
    assert sheet.notes == ("tokens.edn:2: user_id: has a row in line 1 already, and that one counts",)
    assert refused is not None
    assert refused.disabled


@pytest.mark.parametrize("text", ["nil", row(), '"text"', "; nothing", "[", "]", "\ufeff[]"])
def test_what_is_no_list_of_rows_is_refused(text):
    """Nobody gets in with turvata, silently; here the old rows stay, and it is told."""
    with pytest.raises(MaterialError):
        read_edn(text.encode(), "tokens.edn")


def test_mistake_names_its_line():
    """The line of the form that cannot be read."""
    with pytest.raises(MaterialError, match=r"^tokens\.edn:3: is not EDN: unknown tag #foo$"):
        read_edn(b"[\n{:a 1}\n#foo 1]", "tokens.edn")
    with pytest.raises(MaterialError, match=r"^tokens\.edn:2: is not UTF-8 text$"):
        read_edn(b"[\n\xff]", "tokens.edn")


def test_a_second_form_is_noted():
    """Only the first counts, as in turvata; comments behind it are nothing to speak of."""
    assert read_edn(b"[]\n[]", "tokens.edn").notes == (
        "tokens.edn:2: only the first form of the file counts, and here begins another",
    )
    assert read_edn(b"[]\n; the end\n ,", "tokens.edn").notes == ()


def test_what_is_no_map_is_told():
    """A member that is no row does not spoil the others."""
    sheet = read_edn(f"[{row()}\n 5]".encode(), "tokens.edn")

    assert (sheet.good, len(sheet.problems)) == (1, 1)


def test_two_thousand_rows_load_at_once(tmp_path):
    """Half a second is allowed on a small machine; a seventh is usual."""
    path = tmp_path / "tokens.edn"
    ids = (f'#uuid "550e8400-e29b-41d4-a716-{index:012x}"' for index in range(2000))
    ends = ':expires-at #inst "2099-01-01T00:00:00Z"'
    path.write_text("[" + "\n ".join(row(ends, user_id=each) for each in ids) + "]")

    def load():
        begun = time.process_time()
        catalog = FileCatalog(path, None)
        took = time.process_time() - begun
        assert catalog.reload().records == 2000
        return took

    # Cores that are shared make it dearer, and not each time.
    assert min(load() for _ in range(3)) < 0.5


def test_yaml_under_a_name_of_edn_is_told_why_it_is_read_so():
    """The ending alone says what a token file is."""
    with pytest.raises(MaterialError, match=r"^tokens.edn: must begin with a vector .* \(read as EDN, for its name"):
        read_edn(b"- user_id: a\n", "tokens.edn")
