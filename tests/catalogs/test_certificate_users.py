"""Map files: whose names are whose; every mistake has its line, and costs no other row."""

import re
from pathlib import Path
from uuid import UUID

import pytest

from authproxy.catalogs.certificate_users import parse_certificate_users, read_certificate_users
from authproxy.catalogs.yaml_rows import read_yaml
from authproxy.core.client_name import ClientName, Source
from authproxy.errors import MaterialError

A, B = "550e8400-e29b-41d4-a716-446655440000", "660e8400-e29b-41d4-a716-446655440000"


def read(text):
    return parse_certificate_users(text.encode(), "users.yaml")


def test_names_of_every_kind_are_read():
    """One or several of each; the same user may have more than one row."""
    found = read(f"""
- user_id: {A}
  uri: [https://a.example/, https://b.example/]
  dns: A.Example
- {{user_id: {A}, spiffe: spiffe://example.org/a, cn: [alice], email: Alice@Example.org}}
- {{user_id: {B}, fingerprint: '{"AB:" * 31}AB'}}
- {{user_id: {B}, cn: 0123}}
""")

    assert found.problems == ()
    assert {name: user.hex() for name, user in found.users.items()} == {
        ClientName(Source.URI, "https://a.example/"): UUID(A).hex,
        ClientName(Source.URI, "https://b.example/"): UUID(A).hex,
        ClientName(Source.DNS, "a.example"): UUID(A).hex,
        ClientName(Source.URI, "spiffe://example.org/a"): UUID(A).hex,
        ClientName(Source.CN, "alice"): UUID(A).hex,
        ClientName(Source.EMAIL, "Alice@example.org"): UUID(A).hex,
        ClientName(Source.FINGERPRINT, "ab" * 32): UUID(B).hex,
        ClientName(Source.CN, "0123"): UUID(B).hex,
    }


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{user_id: bob, cn: x}", "users.yaml:2: user_id: must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000"),
        ("{cn: x}", "users.yaml:2: user_id: is needed"),
        (f"{{user_id: {B}}}", "users.yaml:2: a row needs a name: uri, spiffe, dns, email, cn, fingerprint"),
        (f"{{user_id: {B}, SPIFE: x, cn: y}}", 'users.yaml:2: SPIFE: unknown key (did you mean "spiffe"?)'),
        (f"{{user_id: {B}, cm: x, cn: y}}", "users.yaml:2: cm: unknown key (known: cn, dns, email, fingerprint, spiffe, uri, user_id)"),
        (f"{{user_id: {B}, spiffe: 'https://x/'}}", "users.yaml:2: spiffe: must be a SPIFFE id such as spiffe://example.org/billing, or a list of such"),
        (f"{{user_id: {B}, dns: '*.example.org'}}", "users.yaml:2: dns: must be a host such as billing.example.org, without *, or a list of such"),
        (f"{{user_id: {B}, email: bob}}", "users.yaml:2: email: must be an address such as billing@example.org, or a list of such"),
        (f"{{user_id: {B}, fingerprint: abc}}", "users.yaml:2: fingerprint: must be the SHA-256 of a certificate in 64 hex digits, or a list of such"),
        (f'{{user_id: {B}, cn: "a\\nb"}}', "users.yaml:2: cn: must be text of at most 256 bytes without control characters, or a list of such"),
        (f"{{user_id: {B}, cn: }}", "users.yaml:2: cn: must be text of at most 256 bytes without control characters, or a list of such"),
        (f"{{user_id: {B}, cn: {{a: b}}}}", "users.yaml:2: cn: must be text of at most 256 bytes without control characters, or a list of such"),
        (f"{{user_id: {B}, cn: [[x]]}}", "users.yaml:2: cn: must be text of at most 256 bytes without control characters, or a list of such"),
        (f"{{user_id: {B}, cn: x, cn: y}}", "users.yaml:2: cn: stands twice, first in line 2: keep one"),
        ("x", "users.yaml:2: a row is a map of keys, such as user_id"),
    ],
)  # fmt: skip
def test_a_bad_row_is_told_and_names_nobody(row, problem):
    """The others count."""
    found = read(f"- {{user_id: {A}, cn: alice}}\n- {row}\n- {{user_id: {A}, cn: carol}}\n")

    assert found.problems == (problem,)
    assert list(found.users) == [ClientName(Source.CN, "alice"), ClientName(Source.CN, "carol")]


def test_none_of_a_bad_rows_names_counts():
    """What else it says may be as wrong."""
    found = read(f"- {{user_id: {A}, cn: alice, dns: '*', uri: 'https://a/'}}\n")

    assert found.users == {}
    assert len(found.problems) == 1


def test_two_users_of_one_name_are_both_nobody():
    """However it is spelt, and wherever the other stands; the same user twice is no harm."""
    found = read(f"- {{user_id: {A}, dns: [a.example, b.example]}}\n- {{user_id: {B}, dns: A.EXAMPLE}}\n- {{user_id: {A}, dns: b.example}}\n")  # fmt: skip

    assert found.problems == ("users.yaml:2: dns: is another user's name in line 1: it counts for neither",)
    assert list(found.users) == [ClientName(Source.DNS, "b.example")]


def test_an_empty_list_is_good():
    """Nobody has a name; an empty file is a mistake."""
    assert read("[]").users == {}
    with pytest.raises(MaterialError, match="is empty"):
        read("")


@pytest.mark.parametrize("text", ["{a: b}", "- [", "\udc80", "alice"])
def test_what_is_no_list_is_refused_whole(text):
    """So that what was read before stays."""
    with pytest.raises(MaterialError):
        parse_certificate_users(text.encode("utf-8", "surrogateescape"), "users.yaml")


def test_a_file_that_everybody_can_write_is_refused(tmp_path):
    """Anybody could let himself in."""
    path = tmp_path / "users.yaml"
    path.write_text(f"- {{user_id: {A}, cn: alice}}\n")
    assert len(read_certificate_users(path).users) == 1
    path.chmod(0o666)

    with pytest.raises(MaterialError, match="everybody can write it"):
        read_certificate_users(path)


def test_the_documented_map_is_good():
    """Operators copy it."""
    page = (Path(__file__).parents[2] / "docs/certificates.md").read_text()
    (shown,) = [text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "fingerprint:" in text]

    found = read(shown)

    assert found.problems == ()
    assert len(found.users) == 4


def test_the_documented_row_without_a_token_is_good():
    """It is known, enabled, and no token meets it."""
    page = (Path(__file__).parents[2] / "docs/certificates.md").read_text()
    (shown,) = [text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "hash:" in text]

    sheet = read_yaml(shown.encode(), "tokens.yaml")

    assert sheet.problems == ()
    assert [(record.disabled, record.hash) for record in sheet.records] == [(False, bytes(64))]
