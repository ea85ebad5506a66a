"""Bad credentials by source: a minute each, a bounded table, no timer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.failures import Failures, source_of

LIMIT = 3


def noted(failures, count, address="192.0.2.1", now=100.0):
    return [failures.note(address, LIMIT, now) for _ in range(count)]


def test_failures_within_the_limit_are_told_apart_from_those_beyond():
    """The third is the last that is only a failure; then the rest of the minute is too much."""
    failures = Failures()

    assert noted(failures, 5) == [0, 0, 0, 60, 60]
    assert failures.note("192.0.2.1", LIMIT, 159.5) == 1


def test_a_minute_ends():
    """With its last instant; the next begins with the next failure."""
    failures = Failures()
    noted(failures, 4)

    assert failures.note("192.0.2.1", LIMIT, 159.999) == 1
    assert noted(failures, 4, now=160.0) == [0, 0, 0, 60]


def test_sources_do_not_count_for_one_another():
    """An IPv4 address is one; of IPv6 the /64 is."""
    failures = Failures()
    noted(failures, 4, "192.0.2.1")
    noted(failures, 4, "2001:db8:0:1::1")

    assert noted(failures, 1, "192.0.2.2") == [0]
    assert noted(failures, 1, "2001:db8:0:2::1") == [0]
    assert noted(failures, 1, "2001:db8:0:1:ffff:ffff:ffff:ffff") == [60]
    assert noted(failures, 1, "::ffff:192.0.2.1") == [60]


def test_a_limit_counts_from_the_moment_it_is_set():
    """What was counted under another one stays counted."""
    failures = Failures()
    noted(failures, 3)

    assert failures.note("192.0.2.1", 10, 101.0) == 0
    assert failures.note("192.0.2.1", 1, 101.0) == 59


@pytest.mark.parametrize("address", ["", "unknown", "fe80::1%eth0"])
def test_what_is_no_address_is_a_source_too(address):
    """All clients of a Unix socket are one."""
    assert noted(Failures(), 4, address) == [0, 0, 0, 60]


def test_the_table_is_bounded_and_the_oldest_minute_goes():
    """Whoever makes room for himself is counted anew, no more."""
    failures = Failures(most=100)
    for number in range(1000):
        noted(failures, 4, f"192.0.{number // 250}.{number % 250}", now=100.0 + number / 100)
        assert len(failures) <= 100

    assert noted(failures, 1, "192.0.3.249", now=110.0) != [0]
    assert noted(failures, 1, "192.0.0.0", now=110.0) == [0]


def test_the_table_shrinks_again():
    """What is over goes when others come."""
    failures = Failures()
    for number in range(200):
        noted(failures, 1, f"198.51.100.{number}")
    for number in range(200):
        noted(failures, 1, f"203.0.113.{number}", now=160.0)

    assert len(failures) == 200


@given(st.ip_addresses(), st.ip_addresses())
def test_only_addresses_of_one_64_share_a_source(one, other):
    """An IPv4 address never shares with an IPv6 one, unless it is the same, mapped."""
    mapped = [getattr(address, "ipv4_mapped", None) or address for address in (one, other)]
    same = mapped[0] == mapped[1] or (
        mapped[0].version == mapped[1].version == 6 and int(mapped[0]) >> 64 == int(mapped[1]) >> 64
    )

    assert (source_of(str(one)) == source_of(str(other))) == same


def test_a_hundred_thousand_sources_are_remembered():
    """And no more: the oldest makes room."""
    failures = Failures()
    failures.note("first", 1, 0.0)
    # The same as noting each of them, without the time that takes.
    failures._minutes |= {f"source {number}": (60.0, 1) for number in range(99_998)}
    failures.note("last", 1, 0.0)
    assert len(failures) == 100_000
    assert failures.note("first", 1, 0.0) == 60
    failures.note("one more", 1, 0.0)

    assert len(failures) == 100_000
    assert failures.note("source 0", 1, 0.0) == 60
    assert failures.note("first", 1, 0.0) == 0


def test_two_minutes_that_are_over_go_for_each_that_comes():
    """So that the table shrinks, and no request pays for all of them."""
    failures = Failures()
    for number in range(10):
        failures.note(f"{number}", 1, 0.0)
    lengths = []
    for number in range(4):
        failures.note(f"new {number}", 1, 60.0)
        lengths.append(len(failures))

    assert lengths == [9, 8, 7, 6]


def test_a_new_minute_stands_behind_those_that_end_before_it():
    """A source that fails again is not the next to make room."""
    failures = Failures(most=4)
    for source in "abc":
        failures.note(source, 1, 0.0)
    failures.note("d", 1, 50.0)
    failures.note("c", 1, 61.0)
    assert len(failures) == 2
    for source in "efg":
        failures.note(source, 1, 62.0)

    assert len(failures) == 4
    assert failures.note("c", 1, 62.0) == 59
    assert failures.note("d", 1, 62.0) == 0


def test_sources_are_networks_of_customers():
    """An IPv4 address, a /64 of IPv6, or whatever else somebody is called; none is ever taken for another."""
    whole = source_of("2001:db8:0:1::")
    assert source_of("2001:db8:0:1:ffff:ffff:ffff:ffff") == whole
    assert source_of("2001:db8::ffff:ffff:ffff:ffff") != whole
    assert source_of("2001:db8:0:2::") != whole
    assert source_of("2001:db8:0:3::") != source_of("2001:db8:0:2::")
    assert source_of("::ffff:192.0.2.7") == source_of("192.0.2.7") != source_of("192.0.2.6")
    assert source_of("unknown") == "unknown"
    assert source_of("") == ""
    # Numbers below 0 are IPv4's.
    assert source_of("::") == 0
    assert [int(source_of(address)) < 0 for address in ("0.0.0.0", "0.0.0.1", "255.255.255.255")] == [True] * 3
