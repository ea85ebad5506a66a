"""Mutants that change nothing anybody could notice, by module and reason."""

from typing import Final

EQUIVALENT: Final[dict[str, dict[str, list[str]]]] = {}
