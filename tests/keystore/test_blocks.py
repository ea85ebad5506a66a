"""PEM text that somebody has put a hand on."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.errors import MaterialError
from authproxy.keystore import Keystore, Truststore, load_text
from authproxy.keystore.blocks import Block, decode, read_blocks
from authproxy.keystore.trust import load_truststore

LABELS = st.from_regex(r"[A-Z0-9]([A-Z0-9 ]{0,20}[A-Z0-9])?", fullmatch=True)
BLANKS = st.text(" \t\r\n\f", max_size=4)


@given(label=LABELS, der=st.binary(min_size=1, max_size=300))
def test_block_survives_the_round_trip(label, der):
    """What is written as PEM is read back."""
    block = Block(label=label, number=1, der=der)

    assert read_blocks(block.pem().decode(), "x").blocks == (block,)


@given(
    label=LABELS,
    der=st.binary(min_size=1, max_size=100),
    blanks=st.lists(BLANKS, min_size=1, max_size=9),
)
def test_white_space_in_a_body_never_counts(label, der, blanks):
    """Blanks of any kind anywhere in the body change nothing."""
    body = base64.b64encode(der).decode()
    spread = "".join(char + blanks[at % len(blanks)] for at, char in enumerate(body))
    text = f"-----BEGIN {label}-----{spread}-----END {label}-----"

    assert read_blocks(text, "x").blocks == (Block(label=label, number=1, der=der),)


@given(st.text(max_size=400) | st.binary(max_size=400).map(decode))
def test_any_text_is_read_or_refused(text):
    """Nothing but MaterialError comes out of text that is no PEM."""
    assert _outcome(read_blocks, text, "x") is not None


def _outcome(reader: Callable[..., object], *args: object) -> object:
    """What the reader returns, or its MaterialError; any other exception fails the test."""
    try:
        return reader(*args)
    except MaterialError as error:
        return error


@st.composite
def _mutation(draw: st.DrawFn) -> tuple[float, float, bytes]:
    return draw(st.floats(0, 1)), draw(st.floats(0, 1)), draw(st.binary(max_size=6))


def _mutate(data: bytes, mutations: list[tuple[float, float, bytes]]) -> bytes:
    for start, length, insert in mutations:
        at = int(start * len(data))
        # Mostly small wounds, now and then half the text.
        data = data[:at] + insert + data[at + int(length**8 * len(data)) :]
    return data


@given(mutations=st.lists(_mutation(), min_size=1, max_size=4))
def test_mutated_keys_file_is_read_or_refused(mutations, root, server):
    """A damaged keys file is either still good or refused with MaterialError; nothing else is ever raised."""
    text = root.cert_pem + server.cert_pem + server.key_pem()

    outcome = _outcome(load_text, "x", decode(_mutate(text.encode(), mutations)), "x", None)

    if isinstance(outcome, Keystore):
        assert outcome.leaf.public_key() == outcome.key.public_key()
    else:
        assert "MII" not in str(outcome)


@given(mutations=st.lists(_mutation(), min_size=1, max_size=3), which=st.sampled_from(["root", "own", "key"]))
def test_mutated_der_is_read_or_refused(mutations, which, root, server):
    """Damage below the base64, where the ASN.1 is, is met by the same error."""
    ders = {block: read_blocks(text, "x").blocks[0] for block, text in {
        "root": root.cert_pem, "own": server.cert_pem, "key": server.key_pem()}.items()}  # fmt: skip
    wounded = ders[which]
    ders[which] = Block(label=wounded.label, number=1, der=_mutate(wounded.der, mutations) or b"\0")
    text = b"".join(block.pem() for block in ders.values()).decode()

    outcome = _outcome(load_text, "x", text, "x", None)

    if isinstance(outcome, Keystore):
        assert outcome.covers("localhost") in (True, False)
        assert outcome.days_left(outcome.not_after) == 0


def test_every_single_bit_of_a_certificate(root, server, put):
    """Flipping any one bit of a certificate gives a truststore or a MaterialError, and never another exception."""
    der = bytearray(read_blocks(server.cert_pem, "x").blocks[0].der)
    outcomes = set()
    for at in range(0, len(der) * 8, 3):
        der[at // 8] ^= 1 << at % 8
        path = put("ca.pem", Block(label="CERTIFICATE", number=1, der=bytes(der)).pem(), 0o600)
        outcomes.add(type(_outcome(load_truststore, "t", path)))
        der[at // 8] ^= 1 << at % 8

    assert outcomes == {Truststore, MaterialError}


def test_many_beginnings_cost_little():
    """A text of nothing but BEGIN lines is refused at the second one, not after looking for each end."""
    with pytest.raises(MaterialError, match="BEGIN X without its END X"):
        read_blocks("-----BEGIN X-----\n" * 50_000, "x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-----END X-----", "END X without its BEGIN"),
        ("-----BEGIN X-----\nAAAA\n-----END Y-----", "END Y without its BEGIN"),
        ("-----BEGIN X-----\n-----END X-----", r"block 1 \(X\) is empty"),
        ("-----BEGIN X-----\nAAA\n-----END X-----", r"block 1 \(X\) is damaged: its body is not base64"),
        ("-----BEGIN X-----\nComment: hi\n\nAAAA\n-----END X-----", r"block 1 \(X\) is damaged"),
        ("-----BEGIN X-----\nAAAAé\n-----END X-----", r"block 1 \(X\) is damaged"),
    ],
)
def test_damaged_block_is_refused(text, problem):
    """Half a block, a wrong end, an empty or broken body: refused, naming the block."""
    with pytest.raises(MaterialError, match=problem):
        read_blocks(text, "x")


def test_error_about_a_key_holds_no_key():
    """The exception about a damaged body carries no cause, which would hold the body."""
    text = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0é\n-----END PRIVATE KEY-----"

    with pytest.raises(MaterialError) as caught:
        read_blocks(text, "x")

    assert caught.value.__cause__ is None
    assert "c2VjcmV0" not in str(caught.value)
