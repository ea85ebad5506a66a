"""Deny lists: one entry to a line, read strictly."""

import base64

import pytest

from authproxy.errors import MaterialError, SecretError
from authproxy.keystore import Denied, Refusals, load_truststore, with_refusals
from authproxy.keystore.deny import load_denied
from authproxy.keystore.names import certificate_names
from tests.keystore.revocation import NOW, der

HEX = "ab" * 32
PIN = base64.b64encode(bytes.fromhex(HEX)).decode()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (HEX, Denied(certificates=frozenset({HEX}))),
        (":".join(["AB"] * 32), Denied(certificates=frozenset({HEX}))),
        (f"  {HEX.upper()}  # who and why\r", Denied(certificates=frozenset({HEX}))),
        (f"spki:{HEX}", Denied(keys=frozenset({HEX}))),
        (f"spki:{PIN}", Denied(keys=frozenset({HEX}))),
        (f"sha256/{PIN}", Denied(keys=frozenset({HEX}))),
        ("# nobody", Denied()),
        ("", Denied()),
    ],
)
def test_every_spelling_is_read(line, expected, put):
    """Fingerprints as openssl prints them, keys as pins; comments and blank lines count for nothing."""
    assert load_denied(put("denied.txt", f"# ours\n\n{line}\n", 0o644)) == expected


@pytest.mark.parametrize(
    "line",
    [
        HEX[:-1], HEX + "0", HEX[:-1] + "g", HEX[:-2] + ":ab", "sha256/", f"sha256/{PIN[:-1]}", f"sha256/{HEX}", f"sha1/{PIN}",
        f"spki: {PIN[:-2]}==", "spki:", f"{HEX} {HEX}", "CN=somebody", f"sha256/{PIN[:-2]}t=",
    ],
)  # fmt: skip
def test_what_is_no_entry_is_told_by_its_line(line, put):
    """A slip of the pen must not let in whoever was to be denied."""
    path = put("denied.txt", f"{HEX}\n\n{line}\n", 0o644)
    with pytest.raises(MaterialError, match=r"denied\.txt:3: "):
        load_denied(path)


def test_all_slips_are_told_at_once(put):
    """Five by their lines, the rest by their number."""
    with pytest.raises(MaterialError) as told:
        load_denied(put("denied.txt", "x\n" * 8, 0o644))

    assert [f"denied.txt:{line}: " in str(told.value) for line in range(1, 9)] == [True] * 5 + [False] * 3
    assert str(told.value).endswith("; and 3 more")


def test_a_list_that_everybody_can_write_is_refused(put, tmp_path):
    """Else anybody could take his own name off it; and a missing one is no empty one."""
    with pytest.raises(SecretError, match="chmod o-w"):
        load_denied(put("denied.txt", "", 0o646))
    with pytest.raises(MaterialError, match="no such file"):
        load_denied(tmp_path / "absent.txt")


def test_a_truststore_carries_it(put, root, client):
    """And is another one with it."""
    anchors = load_truststore("t", put("ca.pem", root.cert_pem, 0o644))
    names = certificate_names(der(client)[0])
    made = with_refusals(anchors, Refusals(deny=put("denied.txt", names.fingerprint, 0o644)), NOW)

    assert made.denied.names(names)
    assert made.crls is None
    assert made.fingerprint != anchors.fingerprint
