"""Frame boundaries in a stream that passes by (RFC 6455, 5.2)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.http1.websocket import GOING_AWAY, POLICY_VIOLATION, FrameTracker, close_frame, ends_in_close


def frame(size: int, *, masked: bool, form: int, first: int) -> bytes:
    """A frame with so much payload; `form` 0 is the shortest way to say how much."""
    bit = 0x80 if masked else 0
    if form == 2 or size > 0xFFFF:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    elif form == 1 or size > 125:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | size))
    return head + (b"mask" if masked else b"") + b"x" * size


FRAMES = st.lists(
    st.builds(
        frame,
        st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 65_535, 65_536])),
        masked=st.booleans(), form=st.integers(0, 2), first=st.integers(0, 255),
    ),
    max_size=4,
)  # fmt: skip


@given(FRAMES, st.lists(st.integers(0, 10**6), max_size=10))
def test_it_stands_at_a_boundary_exactly_between_frames(frames, cuts):
    """Wherever the bytes are cut."""
    data = b"".join(frames)
    boundaries = {0}
    for one in frames:
        boundaries.add(max(boundaries) + len(one))
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)} | boundaries)
    tracker = FrameTracker()
    assert tracker.at_boundary

    for begin, end in pairwise(places):
        tracker.feed(data[begin:end])
        assert tracker.at_boundary == (end in boundaries)


def stands(tracker: FrameTracker) -> bool:
    """Whether it stands between two frames, asked anew."""
    return tracker.at_boundary


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(
    ("size", "form"),
    [
        (0, 0),
        (1, 0),
        (2, 0),
        (124, 0),
        (125, 0),
        (0, 1),
        (5, 1),
        (126, 1),
        (127, 1),
        (128, 1),
        (300, 1),
        (0, 2),
        (5, 2),
        (300, 2),
    ],
)
def test_every_byte_of_a_frame_is_followed(size, form, masked):
    """One by one, or all but the last so many at once; then the next frame begins."""
    one = frame(size, masked=masked, form=form, first=0x81)
    for cut in range(1, len(one)):
        tracker = FrameTracker()
        tracker.feed(one[:cut])
        assert not stands(tracker)
        tracker.feed(one[cut:])
        assert stands(tracker)
        tracker.feed(b"")
        assert stands(tracker)
    tracker = FrameTracker()
    for byte in one[:-1]:
        tracker.feed(bytes([byte]))
        assert not stands(tracker)
    tracker.feed(one[-1:] + one)
    assert stands(tracker)
    tracker.feed(one + b"\x81")
    assert not stands(tracker)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("size", "form"), [(65_535, 1), (65_535, 2), (65_536, 2), (70_000, 2)])
def test_long_frames_are_counted(size, form, masked):
    """To the last byte, and no further."""
    one = frame(size, masked=masked, form=form, first=0x82)
    tracker = FrameTracker()
    tracker.feed(one[:-1])
    assert not stands(tracker)
    tracker.feed(one[-1:])
    assert stands(tracker)
    tracker.feed(one + one[:-1])
    assert not stands(tracker)


def test_the_longest_frame_is_waited_for():
    """63 bits of length (RFC 6455, 5.2)."""
    tracker = FrameTracker()
    tracker.feed(b"\x82\x7f\x7f" + b"\xff" * 7 + b"x" * 100_000)

    assert not stands(tracker)


def test_a_close_frame_is_a_whole_frame():
    """Unmasked, final, with its code; the tracker takes it for one frame."""
    assert close_frame(GOING_AWAY) == b"\x88\x02\x03\xe9"
    assert close_frame(POLICY_VIOLATION) == b"\x88\x02\x03\xf0"
    tracker = FrameTracker()
    tracker.feed(close_frame(GOING_AWAY))

    assert tracker.at_boundary


@pytest.mark.parametrize("payload", [b"", b"\x03\xf0", b"\x03\xf0" + b"r" * 123])
@pytest.mark.parametrize("before", [b"", b"\x81\x81\1\2\3\4x", b"z" * 500])
def test_an_answer_to_a_close_frame_is_seen(payload, before):
    """Whatever came before it; not when it is cut short, nor when something follows."""
    frame = bytes((0x88, 0x80 | len(payload))) + b"mask" + payload

    assert ends_in_close(before + frame)
    assert not ends_in_close(before + frame[:-1])
    assert not ends_in_close(before + frame + b"x")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x88", b"\x88\x80mas", b"\x88\x02\x03\xf0xx", b"\x89\x80mask", b"hello there",
        # Its first byte is the last one, its length the first.
        b"\x81mask\x88",
        # A length of 126 says that the length follows.
        b"\x88\xfemask" + b"r" * 126,
    ],
)  # fmt: skip
def test_what_is_no_close_frame_of_a_client_is_none(data):
    """Unmasked, too short, of another kind, too long for one."""
    assert not ends_in_close(data)
