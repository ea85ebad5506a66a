"""What scanners say is read as it is meant, and an exception excepts that one finding only."""

import json

import pytest

from tests.scan.findings import (
    BAD,
    EXCEPTED,
    GOOD,
    MISSING,
    Conversations,
    Excepted,
    Row,
    conversations,
    from_sslyze,
    from_testssl,
    fuzzer_row,
    judged,
    table,
)

CURVES = "        * tls_curves: TLS curves {'X448', 'secp521r1'} are supported, but should be rejected."
HEAD = " COMPLIANCE AGAINST TLS CONFIGURATION\n    localhost:1: "
SUMMARY = """\
Test end
====================
TOTAL: 4
PASS: 1
FAIL: 3
====================
FAILED:
\t'sanity'
\t'it's'
\t'length: 1'
"""


def verdicts(rows):
    return {row.what: row.verdict for row in rows}


def test_a_compliant_listener_is_one_good_row():
    """For sslyze."""
    assert verdicts(from_sslyze("ec", f"{HEAD}OK - Compliant.\n")) == {"Mozilla intermediate": GOOD}


def test_an_excepted_finding_leaves_the_rest_good():
    """With the reason beside it."""
    [curves, rest] = from_sslyze("ec", f"{HEAD}FAILED - Not compliant.\n{CURVES}\n")

    assert (curves.verdict, rest.verdict) == (EXCEPTED, GOOD)
    assert "Python" in curves.detail


@pytest.mark.parametrize(
    "line",
    [
        CURVES.replace("'X448'", "'X448', 'secp192r1'"),
        "        * ciphers: Cipher suites {'TLS_RSA_WITH_RC4_128_SHA'} are supported, but should be rejected.",
    ],
)
def test_any_other_finding_is_bad(line):
    """One more curve is not the excepted finding."""
    rows = from_sslyze("ec", f"{HEAD}FAILED - Not compliant.\n{line}\n")

    assert [row.verdict for row in rows] == [BAD, BAD]


@pytest.mark.parametrize("text", ["", "Traceback", f"{HEAD}FAILED - Not compliant.\n"])
def test_a_scan_without_a_verdict_is_bad(text):
    """Nothing found is not nothing wrong."""
    assert [row.verdict for row in from_sslyze("ec", text)] == [BAD]


def found(*loud, fine=30):
    every = [{"id": f"ok{number}", "severity": "OK", "finding": ""} for number in range(fine)]
    return json.dumps([*every, {"id": "a", "severity": "INFO", "finding": ""}, *loud])


def test_testssl_tells_what_is_above_info():
    """Excepted by id and text, else bad."""
    rows = from_testssl("ec", found(
        {"id": "cert_revocation", "severity": "HIGH", "finding": "Neither CRL nor OCSP URI provided"},
        {"id": "BREACH", "severity": "MEDIUM", "finding": "potentially VULNERABLE"},
    ))  # fmt: skip

    assert verdicts(rows) == {"cert_revocation": EXCEPTED, "BREACH": BAD, "checks that are OK": GOOD}


def test_a_scan_that_was_broken_off_is_bad():
    """It has little to say."""
    assert verdicts(from_testssl("ec", found(fine=3))) == {"checks that are OK": BAD}
    assert verdicts(from_testssl("ec", "[]")) == {"checks that are OK": BAD}


def test_the_end_of_a_script_is_read():
    """Names as they are, quotes within included."""
    assert conversations(SUMMARY) == Conversations(passed=1, failed=frozenset({"sanity", "it's", "length: 1"}))
    assert not conversations("Traceback (most recent call last):").is_run


@pytest.mark.parametrize(
    ("ours", "baseline", "verdict"),
    [
        (set(), set(), GOOD),
        ({"a"}, {"a", "b"}, GOOD),
        ({"a", "b"}, {"a"}, BAD),
        ({"known"}, set(), EXCEPTED),
        ({"known", "b"}, set(), BAD),
        ({"sanity", "a"}, {"sanity", "a"}, BAD),
        ({"sanity"}, set(), BAD),
    ],
)
def test_what_fails_here_must_fail_there(ours, baseline, verdict):
    """A script whose ordinary conversation fails everywhere shows nothing."""
    excepted = {"script": Excepted(finding="known", why="because")}
    own, other = (Conversations(passed=3, failed=frozenset(failed)) for failed in (ours, baseline))

    assert fuzzer_row("script", own, other, excepted).verdict == verdict


def test_a_script_that_did_nothing_is_bad():
    """It may have ended with a stack."""
    nothing = Conversations(passed=0, failed=frozenset())

    assert fuzzer_row("script", nothing, nothing, {}).verdict == BAD


def test_an_unknown_check_is_bad():
    """There is no exception by default."""
    assert judged("tool", "check", "finding", {}).verdict == BAD


def test_the_table_counts():
    """Each verdict, at the end."""
    rows = [Row(tool="t", what="w", verdict=verdict) for verdict in (GOOD, GOOD, BAD, MISSING)]

    assert table(rows).splitlines()[-1] == "ok 2  excepted 0  BAD 1  not run 1"
