"""What a run found out, for each trial, and its file: one JSON document, a line for every turn."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from tests.bench.sample import Sample

_INNERMOST: Final = re.compile(r"\{[^{}]*\}")


@dataclass(slots=True, kw_only=True)
class Result:
    """Of one trial."""

    facts: dict[str, str] = field(default_factory=dict)
    """When, where and with what it was measured."""
    samples: list[Sample] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Targets that are not installed."""
    failed: dict[str, str] = field(default_factory=dict)
    """Targets that did not start, or gave wrong answers, or none."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Read what `plain` has made."""
        return cls(
            facts=told["facts"],
            samples=[
                Sample(target=one.pop("target"), round=one.pop("round"), failed=one.pop("failed"), figures=one)
                for one in map(dict, told["samples"])
            ],
            left_out=told["left_out"],
            failed=told["failed"],
        )

    def plain(self) -> dict[str, Any]:
        """Return it in lists and dicts."""
        samples = [
            {"target": one.target, "round": one.round, "failed": one.failed}
            | {key: round(value, 4) for key, value in one.figures.items()}
            for one in self.samples
        ]
        return {"facts": self.facts, "left_out": self.left_out, "failed": self.failed, "samples": samples}


def read(path: Path) -> dict[str, Result]:
    """Return the results in a file by trial; none when there is no file."""
    return {name: Result.of(told) for name, told in json.loads(path.read_text()).items()} if path.exists() else {}


def write(path: Path, results: Mapping[str, Result]) -> None:
    """Put `results` into a file; trials in it that were not made now stay as they are."""
    kept = {**read(path), **results}
    text = json.dumps({name: result.plain() for name, result in kept.items()}, indent=1)
    path.write_text(_INNERMOST.sub(lambda found: re.sub(r"\s*\n\s*", " ", found[0]), text) + "\n")
