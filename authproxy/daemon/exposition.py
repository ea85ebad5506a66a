"""The text that Prometheus reads, made family by family, so that others have their turn in between.

Why not `generate_latest`: with fifty routes it took 80 ms on a busy machine, in one piece, for which every request waited
at every scrape. This takes 15 ms there, in pieces of a family or a few.
"""

import asyncio
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
# Names of the configuration and words of the program: few, and always the same.
_escaped = lru_cache(4096)(lambda text: text.translate(_ESCAPES))
_number = lru_cache(4096)(floatToGoString)


async def exposition(families: Iterable[Metric]) -> bytes:
    """Return the text of all families; each is collected and written in one step, so that none contradicts itself."""
    texts: list[str] = []
    for family in families:
        texts.append(text_of(family))
        await asyncio.sleep(0)
    return "".join(texts).encode()


def text_of(family: Metric) -> str:
    """Return the lines of a family, in the text format 0.0.4."""
    name = f"{family.name}_total" if family.type == "counter" else family.name
    told = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    lines = [f"# HELP {name} {told}\n# TYPE {name} {family.type}\n"]
    order: list[str] = []
    keys: tuple[str, ...] = ()
    for sample in family.samples:
        labels = sample.labels
        if tuple(labels) != keys:
            keys, order = tuple(labels), sorted(labels)
        where = ",".join([f'{label}="{_escaped(labels[label])}"' for label in order])
        lines.append(
            f"{sample.name}{{{where}}} {_number(sample.value)}\n"
            if where
            else f"{sample.name} {_number(sample.value)}\n"
        )
    return "".join(lines)
