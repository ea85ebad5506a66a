"""How long tests wait. None of this is measured: a machine that runs tests is busy with others, at times for seconds."""

from typing import Final

PATIENCE: Final = 40.0
"""Seconds for what has no time of its own; no test waits so long when all is well."""
SOON: Final = 6.0
"""Seconds for what is promised within one: what is broken takes longer still, or never comes."""
