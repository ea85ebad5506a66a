"""Bodies of a known length."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from authproxy.http1.body import LengthReader


@given(st.binary(max_size=200), st.binary(max_size=50), st.lists(st.integers(0, 300), max_size=6))
def test_any_split_gives_the_same_payload(body, behind, cuts):
    """Exactly so many bytes are the body; what is behind them is given back."""
    data = body + behind
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    reader = LengthReader(len(body))
    payload = rest = b""
    for begin, end in pairwise(places):
        got, more = reader.feed(data[begin:end])
        payload += got
        rest += more

    assert (payload, rest) == (body, behind)
    assert reader.done
    assert reader.left == 0


@given(st.integers(1, 1000), st.integers(0, 999))
def test_a_short_body_is_not_done(length, came):
    """Not before its last byte."""
    came = min(came, length - 1)
    reader = LengthReader(length)
    reader.feed(b"x" * came)

    assert not reader.done
    assert reader.left == length - came
