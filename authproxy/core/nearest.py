"""The name that somebody meant."""

import difflib
from collections.abc import Iterable
from itertools import islice
from typing import Final

_MAX_NAMES: Final = 200
_MAX_SHOWN: Final = 24


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that `word` most likely misspells, or None: letter case, `-` and `_` count little."""
    # A file may hold thousands of names, and this is asked for each mistake.
    folded = {_fold(name): name for name in sorted(islice(known, _MAX_NAMES))}
    close = difflib.get_close_matches(_fold(word), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "name"?)`, or ` (known: a, b)` when nothing is near and there is anything at all."""
    names = sorted(known)
    found = nearest(word, names)
    if found is not None:
        return f' (did you mean "{found}"?)'
    more = ["..."] if len(names) > _MAX_SHOWN else []
    return f" (known: {', '.join([*names[:_MAX_SHOWN], *more])})" if names else ""


def _fold(name: str) -> str:
    # Long words cost difflib quadratic time; no name that is known here is longer.
    return name[:100].lower().replace("-", "_")
