"""Colours, and which text can be read on them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.colour import BLACK, READABLE, WHITE, Colour

part = st.integers(0, 255)


@pytest.mark.parametrize(
    "text", ["", "#fff", "1b5e9e", "#1b5e9", "#1b5e9ee", "#1b5e9g", "red", "#1b5e9e\n", "#\uff11b5e9e"]
)
def test_only_six_digits_are_a_colour(text):
    """What goes into a stylesheet is nothing else."""
    assert Colour.parse(text) is None


@given(part, part, part)
def test_a_colour_is_written_as_it_is_read(red, green, blue):
    """In lower case."""
    colour = Colour(red, green, blue)

    assert Colour.parse(str(colour)) == colour
    assert Colour.parse(str(colour).upper()) == colour


@given(part, part, part)
def test_text_can_be_read_on_every_colour(red, green, blue):
    """Black or white has a contrast of 4.5 on whatever an operator chooses."""
    colour = Colour(red, green, blue)

    assert colour.text in {BLACK, WHITE}
    assert colour.contrast(colour.text) >= READABLE


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#0000ff", "#ffffff", 8.59),
        ("#123456", "#123456", 1.0),
    ],
)
def test_contrast_is_what_the_standard_says(one, other, ratio):
    """Known pairs, in either order."""
    first, second = Colour.parse(one), Colour.parse(other)
    assert first is not None
    assert second is not None

    assert first.contrast(second) == pytest.approx(ratio, abs=0.01)
    assert first.contrast(second) == second.contrast(first)
