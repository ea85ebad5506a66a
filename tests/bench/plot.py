"""The results as bars in an SVG file that reads well on light and on dark pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from tests.bench.report import OWN, Row, summarize
from tests.bench.results import Result
from tests.bench.sample import TRIALS

_PANELS: Final = {
    "requests": "CPU time per request, microseconds",
    "handshakes": "CPU time per new TLS connection with one request, microseconds",
    "latency": "99 % of answers at 64 connections, milliseconds",
    "memory": "Memory per idle TLS connection, KiB",
}
_FLOOR: Final = "tunnel"
_WIDTH: Final = 760
_LEFT: Final = 170
_RIGHT: Final = 110
_BAR: Final = 16
_STEP: Final = 24
_TITLE: Final = 34
_CUT: Final = 2.5
"""A bar longer than so many times authproxy's is cut, or it would leave no length to the others."""
_STYLE: Final = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.other { fill: #8c959f; } .own { fill: #0969da; } .floor { fill: #d0d7de; }
.range { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .other { fill: #6e7681; } .own { fill: #4493f8; } .floor { fill: #3d444d; }
  .range { stroke: #e6edf3; }
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Figures to lengths."""

    most: float

    def length(self, figure: float) -> float:
        return min(figure / self.most, 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def is_cut(self, figure: float) -> bool:
        return figure > self.most


def svg(results: Mapping[str, Result]) -> str:
    """Return the drawing: for each trial that was made a panel, the cheapest target at its top."""
    parts: list[str] = []
    top = 8
    for name, title in _PANELS.items():
        rows = summarize(TRIALS[name], results[name].samples) if name in results else []
        if rows:
            parts += _panel(title, TRIALS[name].columns[0].key, TRIALS[name].columns[0].digits, rows, top)
            top += _TITLE + _STEP * len(rows) + 12
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}">'
    return "\n".join([head, f"<style>\n{_STYLE}\n</style>", *parts, "</svg>"]) + "\n"


def _panel(title: str, key: str, digits: int, rows: Sequence[Row], top: int) -> list[str]:
    own = next((row.medians[key] for row in rows if row.target == OWN), None)
    most = max(row.most for row in rows)
    scale = _Scale(most=most if own is None else min(most, own * _CUT))
    lines = [f'<text class="title" x="8" y="{top + 18}">{escape(title)}</text>']
    for number, row in enumerate(rows):
        lines += _bar(row, row.medians[key], digits, scale, top + _TITLE + number * _STEP)
    return lines


def _bar(row: Row, figure: float, digits: int, scale: _Scale, top: int) -> list[str]:
    kind = {OWN: "own", _FLOOR: "floor"}.get(row.target, "other")
    length, middle = scale.length(figure), top + _BAR / 2
    begin, end = _LEFT + scale.length(row.least), _LEFT + scale.length(row.most)
    lines = [
        f'<text x="{_LEFT - 8}" y="{top + 13}" text-anchor="end">{escape(row.target)}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{length:.1f}" height="{_BAR}"/>',
    ]
    if end > begin:
        lines.append(f'<line class="range" x1="{begin:.1f}" y1="{middle}" x2="{end:.1f}" y2="{middle}"/>')
    sign = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} " if scale.is_cut(figure) else ""
    place = max(end, _LEFT + length) + 6
    return [*lines, f'<text x="{place:.1f}" y="{top + 13}">{sign}{figure:.{digits}f}</text>']
