"""Colours of a page, and which text can be read on them.

Source: WCAG 2.2, relative luminance and contrast ratio.
"""

import re
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

READABLE: Final = 4.5
"""The least contrast of text (WCAG 2.2, 1.4.3). Black or white reaches it on every colour."""

_shape: Final = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})").fullmatch


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour of the sRGB space."""

    red: int
    """0 to 255, as are the others."""
    green: int
    blue: int

    @staticmethod
    def parse(text: str) -> "Colour | None":
        """Return the colour that `#rrggbb` names, or None."""
        found = _shape(text)
        return None if found is None else Colour(*(int(part, 16) for part in found.groups()))

    @override
    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def luminance(self) -> float:
        """How bright it looks: 0 for black, 1 for white."""
        return 0.2126 * _linear(self.red) + 0.7152 * _linear(self.green) + 0.0722 * _linear(self.blue)

    def contrast(self, other: "Colour") -> float:
        """Return the contrast ratio of two colours: 1 to 21."""
        dark, bright = sorted((self.luminance, other.luminance))
        return (bright + 0.05) / (dark + 0.05)

    @property
    def text(self) -> "Colour":
        """The colour of text on this one: black or white, whichever can be read better."""
        return max(WHITE, BLACK, key=self.contrast)


def _linear(part: int) -> float:
    share = part / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004  # as in the source


BLACK: Final = Colour(0, 0, 0)
WHITE: Final = Colour(255, 255, 255)
