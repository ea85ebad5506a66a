"""Chunked bodies in, payload out, however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.http1.chunked import LAST_CHUNK, BadChunk, ChunkedReader, chunk


def read(*pieces: bytes) -> tuple[bytes, bytes, bool] | None:
    """The payload, what is behind it and whether it ended; None for broken framing."""
    reader = ChunkedReader()
    payload = rest = b""
    try:
        for piece in pieces:
            if reader.done:
                rest += piece
                continue
            got, rest = reader.feed(piece)
            payload += got
    except BadChunk:
        return None
    return payload, rest, reader.done


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in pieces."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(places)]


PAYLOADS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
CUTS = st.lists(st.integers(0, 10_000), max_size=8)
NOISE = st.lists(
    st.sampled_from(
        [b"0", b"5", b"a", b"F", b"\r\n", b"\r", b"\n", b";", b"x=y", b" ", b"\t", b"hello", b"X: 1", b":", b"\x00", b"0\r\n\r\n",
         b"5\r\nhello\r\n", b"00005", b"\xff", b"5;a\r\nhello\r\n"]
    ),
    max_size=12,
).map(b"".join)  # fmt: skip


@given(PAYLOADS, st.binary(max_size=20), CUTS)
def test_what_is_framed_is_read_back(payloads, behind, cuts):
    """The writer's inverse; bytes behind the end are given back untouched."""
    framed = b"".join(map(chunk, payloads)) + LAST_CHUNK + behind
    pieces = split(framed, cuts)
    reader = ChunkedReader()
    payload = b""
    rest = b""
    for index, piece in enumerate(pieces):
        got, rest = reader.feed(piece)
        payload += got
        if reader.done:
            rest += b"".join(pieces[index + 1 :])
            break

    assert payload == b"".join(payloads)
    assert reader.done
    assert rest == behind


@given(NOISE, CUTS)
def test_any_split_of_the_bytes_means_the_same(data, cuts):
    """Good or broken: where the bytes are cut decides nothing."""
    whole = read(data)
    in_pieces = read(*split(data, cuts))
    one_by_one = read(*[data[index : index + 1] for index in range(len(data))])

    # A piece that is broken further on gives up no payload when it comes at once, some when it comes apart.
    assert (whole is None) == (in_pieces is None) == (one_by_one is None)
    if whole is not None and whole[2]:
        assert in_pieces is not None
        assert one_by_one is not None
        assert whole[0] == in_pieces[0] == one_by_one[0]
        assert whole[1] == in_pieces[1] == one_by_one[1]


@given(NOISE)
def test_nothing_raises_anything_else(data):
    """Broken framing is `BadChunk` and nothing else."""
    read(data)


@given(PAYLOADS, st.integers(0, 200))
def test_a_cut_body_is_not_done(payloads, cut):
    """Only the empty line behind the last chunk ends it."""
    framed = b"".join(map(chunk, payloads)) + LAST_CHUNK
    got = read(framed[: min(cut, len(framed) - 1)])

    assert got is not None
    assert not got[2]


def test_an_empty_payload_is_no_chunk():
    """It would end the body."""
    assert chunk(b"") == b""


@pytest.mark.parametrize("digits", [b"5", b"05", b"0" * 14 + b"5", b"00000000000000005"[-15:]])
def test_a_size_has_1_to_15_digits(digits):
    """Leading zeros count."""
    assert read(digits + b"\r\nhello\r\n0\r\n\r\n") == (b"hello", b"", True)
    assert read(b"0" * (16 - len(digits)) + digits + b"\r\nhello\r\n0\r\n\r\n") is None


@pytest.mark.parametrize("byte", range(256))
def test_a_size_is_hex_digits_and_nothing_else(byte):
    """Of all bytes; what `int` would take besides is refused, not raised."""
    digit = bytes([byte])
    size = int(digit, 16) if digit in b"0123456789abcdefABCDEF" else 0
    good = read(digit + b"\r\n" + (b"x" * size + b"\r\n0\r\n\r\n" if size else b"\r\n"))

    assert good == ((b"x" * size, b"", True) if size or digit == b"0" else None)
    # The same with an extension, and byte by byte: such chunks are read with more care.
    careful = digit + b";\r\n" + (b"x" * size + b"\r\n0;\r\n\r\n" if size else b"\r\n")
    if digit != b";":
        assert read(careful) == good
    assert read(*[careful[at : at + 1] for at in range(len(careful))]) == read(careful)


LOOKS = b"5\r\nhello\r\n"
"""What is a chunk only where one may begin."""


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((b"f\r\n", LOOKS + b"abcde", b"\r\n0\r\n\r\n"), (LOOKS + b"abcde", b"", True)),
        ((b"1", LOOKS + b"x" * 14, b"\r\n0\r\n\r\n"), (LOOKS[3:] + b"x" * 14, b"", True)),
        ((b"1\r\nx", LOOKS), None), ((b"1\r\nx\r", LOOKS), None), ((b"0\r\n", LOOKS), None),
        ((b"0\r\n\r\n", LOOKS), (b"", LOOKS, True)), ((b"0\r\n\r\n" + LOOKS,), (b"", LOOKS, True)),
        ((LOOKS, LOOKS, b"0\r\n\r\n"), (b"hello" * 2, b"", True)), ((LOOKS * 3 + b"0\r\n\r\n" + LOOKS,), (b"hello" * 3, LOOKS, True)),
        ((LOOKS[:-2] + b"xx\r\n",), None), ((LOOKS[:-2] + b"\r\r\n",), None), ((LOOKS[:-1], b"x"), None),
    ],
)  # fmt: skip
def test_a_chunk_begins_only_where_one_may(pieces, expected):
    """Not within the data of another, nor behind half a size, nor among trailers, nor behind the end."""
    assert read(*pieces) == expected


def test_a_finished_reader_gives_everything_back():
    """What comes behind the end is somebody else's."""
    reader = ChunkedReader()
    assert reader.feed(b"0\r\n\r\n") == (b"", b"")

    assert reader.feed(LOOKS) == (b"", LOOKS)
    assert reader.feed(b"") == (b"", b"")


@pytest.mark.parametrize(
    ("size", "good"), [(0, True), (1, True), (255, True), (256, True), (257, False), (1000, False)]
)
def test_an_extension_has_256_bytes(size, good):
    """Behind the semicolon; more is refused."""
    assert (read(b"5;" + b"x" * size + b"\r\nhello\r\n0\r\n\r\n") is not None) is good


def test_limits_of_size_and_extension_add_up():
    """15 digits and 256 bytes of extension are two limits, not one."""
    assert read(b"000000000000005;" + b"x" * 256 + b"\r\nhello\r\n0\r\n\r\n") == (b"hello", b"", True)


@pytest.mark.parametrize("byte", range(256))
def test_extensions_are_visible_ascii(byte):
    """21 to 7E: no blank either, in the midst of it or at its ends."""
    for extension in (b"a%cb", b"%cb", b"a%c"):
        framed = b"5;" + extension % byte + b"\r\nhello\r\n0\r\n\r\n"

        assert (read(framed) is not None) is (0x21 <= byte < 0x7F)


@pytest.mark.parametrize(("count", "good"), [(0, True), (16, True), (17, False)])
def test_trailers_are_counted(count, good):
    """At most 16."""
    assert (read(b"0\r\n" + b"X: 1\r\n" * count + b"\r\n") is not None) is good


@pytest.mark.parametrize(("size", "good"), [(4096, True), (4097, False), (100_000, False)])
def test_trailers_are_measured(size, good):
    """At most 4 KiB, line ends included; in one field or in several."""
    one = b"X: " + b"a" * (size - 5) + b"\r\n"
    half = size // 2
    two = b"X: " + b"a" * (half - 5) + b"\r\n" + b"Y: " + b"a" * (size - half - 5) + b"\r\n"

    assert (read(b"0\r\n" + one + b"\r\n") is not None) is good
    assert (read(b"0\r\n" + two + b"\r\n") is not None) is good


def in_steps(data: bytes, step: int) -> list[bytes]:
    """The data in pieces of this size."""
    return [data[at : at + step] for at in range(0, len(data), step)]


@pytest.mark.parametrize("size", [*range(1, 70), 255, 256, 257, 4095, 4096, 65_535, 65_536])
def test_a_chunk_has_the_size_that_its_hex_digits_say(size):
    """In capitals or not, at once or in pieces."""
    payload = b"-" * size
    framed = b"%x\r\n" % size + payload + b"\r\n" + LAST_CHUNK

    assert read(framed) == read(framed.upper()) == read(*in_steps(framed, size)) == (payload, b"", True)


@pytest.mark.parametrize("blanks", [b" ", b"\t", b" \t", b"\t "])
def test_blanks_stand_nowhere(blanks):
    """Neither before a size nor behind one, whether it has an extension or not."""
    assert read(b"5" + blanks + b";a\r\nhello\r\n0\r\n\r\n") is None
    assert read(b"5;a\r\nhello\r\n0" + blanks + b";\r\n\r\n") is None
    assert read(b"5" + blanks + b"\r\nhello\r\n0\r\n\r\n") is None
    assert read(blanks + b"5;a\r\nhello\r\n0\r\n\r\n") is None


@pytest.mark.parametrize(
    "framed",
    [
        b"5\nhello\r\n0\r\n\r\n", b"05\nhello\r\n0\r\n\r\n", b"5x\nhello\r\n0\r\n\r\n", b"5;a\nhello\r\n0\r\n\r\n",
        b"5;\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhellox\n0\r\n\r\n", b"5\r\nhello\r\n0\n\r\n",
        b"5\r\nhello\r\n00\n\r\n", b"0\r\n\n", b"0\r\nx\n", b"0\r\nX: 1\n\r\n", b"0\r\nX: 1\r\n\n",
        b"5\r\r\nhello\r\n0\r\n\r\n", b"5;a\r\r\nhello\r\n0\r\n\r\n", b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\r\n0\r\n\r\n", b"0\r\n\r\r\n", b"0\r\nX: 1\r\r\n\r\n",
    ],
)  # fmt: skip
def test_a_line_ends_with_one_crlf_and_nothing_else(framed):
    """A reader that took LF alone, or a CR more, would see another body (RFC 9112, 2.2)."""
    assert read(framed) is None
    assert read(*in_steps(framed, 1)) is None


@pytest.mark.parametrize("step", [1, 100, 272, 1000])
@pytest.mark.parametrize("begin", [b"", b"1\r\nx\r\n"])
def test_a_line_that_does_not_end_is_not_collected_without_end(begin, step):
    """The longest with its CR may wait for its LF; a byte more is refused at once, in one piece or in several."""
    longest = b"000000000000005;" + b"x" * 256 + b"\r"
    payload = b"x" if begin else b""

    assert read(*in_steps(begin + longest, step)) == (payload, b"", False)
    assert read(*in_steps(begin + longest[:-1] + b"xx", step)) is None


@pytest.mark.parametrize("line", [b"X-A: 1", b"X:", b"a: \xff", b"a:\tb\t"])
def test_well_formed_trailers_are_dropped(line):
    """They give no payload."""
    assert read(b"1\r\nx\r\n0\r\n" + line + b"\r\n\r\n") == (b"x", b"", True)


@pytest.mark.parametrize(
    "line", [b"X", b": 1", b"X : 1", b" X: 1", b"X\x00: 1", b"X: \x00", b"X: a\rb", b"X: \x7f", b"(: 1"]
)
def test_malformed_trailers_are_refused(line):
    """By the grammar of fields."""
    assert read(b"0\r\n" + line + b"\r\n\r\n") is None
