"""What scanners found, what of it is excepted and why, and the table of both. Pure: texts in, verdict out."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

GOOD: Final = "ok"
EXCEPTED: Final = "excepted"
BAD: Final = "BAD"
MISSING: Final = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    tool: str
    what: str
    verdict: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excepted:
    """A finding that stays, exactly as it is written here; any other one of the same check is bad."""

    finding: str
    """A regular expression that the whole finding must match."""
    why: str


MOZILLA: Final[Mapping[str, Excepted]] = {
    "tls_curves": Excepted(
        finding=r"TLS curves \{('X448', 'secp521r1'|'secp521r1', 'X448')\} are supported, but should be rejected\.",
        why="Python cannot choose groups before 3.15; both are strong. OPENSSL_CONF can, see docs/scans.md",
    )
}
"""By the check of Mozilla's profile."""

TESTSSL: Final[Mapping[str, Excepted]] = {
    "cert_revocation": Excepted(
        finding="Neither CRL nor OCSP URI provided", why="about the certificate of this scan, not about the listener"
    ),
    "engine_problem": Excepted(finding="No engine or .* support via engine .*", why="about the scanner's own openssl"),
    "DNS_CAArecord": Excepted(finding="--", why="about the domain, which is localhost here"),
}
"""By testssl.sh's id."""

_QUIET: Final = frozenset({"OK", "INFO", "DEBUG"})
_COMPLIANCE: Final = re.compile(r"^ +\* ([a-z0-9_]+): (.+)$", re.MULTILINE)
_FAILED: Final = re.compile(r"^\t'?(.+?)'?$")


def judged(tool: str, check: str, finding: str, excepted: Mapping[str, Excepted]) -> Row:
    """Return the row of a finding: excepted if it is exactly what the exception says."""
    known = excepted.get(check)
    if known is not None and re.fullmatch(known.finding, finding):
        return Row(tool=tool, what=check, verdict=EXCEPTED, detail=f"{finding} ({known.why})")
    return Row(tool=tool, what=check, verdict=BAD, detail=finding)


def from_sslyze(where: str, text: str) -> list[Row]:
    """Return what `sslyze --mozilla_config` found, from what it printed."""
    _, found, compliance = text.partition("COMPLIANCE AGAINST")
    tool = f"sslyze {where}"
    if "OK - Compliant" in compliance:
        return [Row(tool=tool, what="Mozilla intermediate", verdict=GOOD)]
    rows = [judged(tool, check, finding, MOZILLA) for check, finding in _COMPLIANCE.findall(compliance)]
    if not found or not rows:
        return [Row(tool=tool, what="Mozilla intermediate", verdict=BAD, detail=f"no verdict: {text[-300:]!r}")]
    everything = GOOD if all(row.verdict == EXCEPTED for row in rows) else BAD
    return [*rows, Row(tool=tool, what="Mozilla intermediate, the rest", verdict=everything)]


def from_testssl(where: str, text: str) -> list[Row]:
    """Return what testssl.sh found, from its JSON file: everything above INFO, and how much was fine."""
    tool = f"testssl {where}"
    found: list[dict[str, str]] = json.loads(text)
    loud = [one for one in found if one["severity"] not in _QUIET]
    rows = [judged(tool, one["id"], one["finding"], TESTSSL) for one in loud]
    fine = sum(one["severity"] == "OK" for one in found)
    # A scan that was broken off has little to say.
    verdict = GOOD if fine >= _FINE else BAD
    return [*rows, Row(tool=tool, what="checks that are OK", verdict=verdict, detail=str(fine))]


_FINE: Final = 20
_SANITY: Final = "sanity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversations:
    """How the conversations of one tlsfuzzer script went."""

    passed: int
    failed: frozenset[str]

    @property
    def is_run(self) -> bool:
        """Whether there were any."""
        return bool(self.passed or self.failed)


def conversations(text: str) -> Conversations:
    """Read the end of what a tlsfuzzer script printed."""
    passed = re.search(r"^PASS: (\d+)$", text, re.MULTILINE)
    _, _, failed = text.partition("\nFAILED:\n")
    names = [found[1] for line in failed.splitlines() if (found := _FAILED.match(line))]
    return Conversations(passed=int(passed[1]) if passed else 0, failed=frozenset(names))


def fuzzer_row(script: str, ours: Conversations, baseline: Conversations, excepted: Mapping[str, Excepted]) -> Row:
    """Return whether the listener does as well as `openssl s_server`: what fails here must fail there too."""
    if not ours.is_run:
        return Row(tool="tlsfuzzer", what=script, verdict=BAD, detail="the script did not come to its end")
    if _SANITY in ours.failed & baseline.failed:
        detail = "it does not fit: its first conversation, an ordinary one, fails at openssl s_server too"
        return Row(tool="tlsfuzzer", what=script, verdict=BAD, detail=detail)
    own = sorted(ours.failed - baseline.failed)
    both = len(ours.failed & baseline.failed)
    told = f"{ours.passed} passed" + (f", {both} fail as they do with openssl s_server" if both else "")
    if not own:
        return Row(tool="tlsfuzzer", what=script, verdict=GOOD, detail=told)
    known = excepted.get(script)
    if known is not None and all(re.fullmatch(known.finding, name) for name in own):
        return Row(tool="tlsfuzzer", what=script, verdict=EXCEPTED, detail=f"{told}; {', '.join(own)} ({known.why})")
    return Row(tool="tlsfuzzer", what=script, verdict=BAD, detail=f"{told}; here alone: {', '.join(own)}")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as text, then how many there are of each verdict."""
    listed = list(rows)
    tools, checks = (
        max((len(text) for text in column), default=0)
        for column in zip(*((r.tool, r.what) for r in listed), strict=True)
    )
    lines = [f"{row.tool:<{tools}}  {row.what:<{checks}}  {row.verdict:<8}  {row.detail}".rstrip() for row in listed]
    counts = {verdict: sum(row.verdict == verdict for row in listed) for verdict in (GOOD, EXCEPTED, BAD, MISSING)}
    return "\n".join([*lines, "  ".join(f"{verdict} {count}" for verdict, count in counts.items())])
