"""How many may come in: both sides of every limit, and nothing left counted at the end."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.door.caps import TOO_MANY, TOO_MANY_OF_SOURCE, Caps, source_of


class Shaking:
    """A handshake under way."""

    def __init__(self, caps):
        self.caps = caps
        self.reasons = []

    def give_up(self, reason):
        self.reasons.append(reason)
        self.caps.settle(self)


@pytest.mark.parametrize(
    ("limit", "spare"), [(0, 8), (1, 8), (71, 8), (72, 9), (100, 12), (511, 63), (512, 64), (10_000, 64)]
)
def test_a_few_more_are_let_in_to_be_told(limit, spare):
    """An eighth of the limit, 8 at least and 64 at most; behind them the door is closed."""
    caps = Caps()
    caps.connections = limit
    assert [caps.enter() for _ in range(limit)] == [""] * limit
    assert not caps.is_full
    for _ in range(spare):
        assert caps.enter() == ""
        assert caps.is_full

    assert caps.enter() == TOO_MANY
    assert caps.open == limit + spare
    caps.leave("")
    assert caps.enter() == ""


def test_one_source_has_so_many():
    """Another one has its own; one that leaves makes room for one."""
    caps = Caps()
    caps.per_source = 2
    assert [caps.enter_from("192.0.2.1") for _ in range(3)] == ["", "", TOO_MANY_OF_SOURCE]
    assert caps.enter_from("192.0.2.2") == ""
    caps.leave("192.0.2.1")

    assert [caps.enter_from("192.0.2.1") for _ in range(2)] == ["", TOO_MANY_OF_SOURCE]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("2001:db8::1", "2001:DB8:0::1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_an_ipv6_source_is_a_network_of_64_bits(one, other, same):
    """A client has as many addresses as it likes within it; IPv4 in IPv6 clothes is IPv4."""
    caps = Caps()
    caps.per_source = 1
    assert caps.enter_from(one) == ""

    assert caps.enter_from(other) == (TOO_MANY_OF_SOURCE if same else "")


def test_a_source_without_an_address_is_not_counted():
    """A Unix socket's."""
    caps = Caps()
    caps.per_source = 1

    assert [caps.enter_from("") for _ in range(3)] == ["", "", ""]
    assert source_of("") == ""
    assert source_of("fe80::1%eth0") == ""


def test_exempt_networks_have_no_limit():
    """They are counted all the same, so that a change of the configuration finds the truth."""
    caps = Caps()
    caps.per_source = 1
    caps.exempt = (ip_network("192.0.2.0/24"),)
    assert [caps.enter_from("192.0.2.1") for _ in range(3)] == ["", "", ""]
    caps.exempt = ()
    assert caps.enter_from("192.0.2.1") == TOO_MANY_OF_SOURCE
    for _ in range(3):
        caps.leave("192.0.2.1")

    assert caps.enter_from("192.0.2.1") == ""


SOURCES = ["", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]


@given(st.lists(st.sampled_from(SOURCES), max_size=30), st.randoms(use_true_random=False))
def test_the_counters_return_to_zero(sources, random):
    """Whoever came in, in whatever order they leave."""
    caps = Caps()
    caps.per_source = 3
    inside = []
    for source in sources:
        assert caps.enter() == ""
        if caps.enter_from(source):
            caps.leave("")
        else:
            inside.append(source)
    assert caps.open == len(inside)
    random.shuffle(inside)
    for source in inside:
        caps.leave(source)

    assert caps.open == 0
    assert caps._sources == {}


def test_the_oldest_handshake_gives_way():
    """One more than the limit ends the one that has been at it the longest, not the newcomer."""
    caps = Caps()
    caps.handshakes = 2
    first, second, third = (Shaking(caps) for _ in range(3))
    for one in (first, second, third):
        caps.arrive(one, 10.0)

    assert [one.reasons for one in (first, second, third)] == [["too-many-handshakes"], [], []]
    caps.settle(second)
    fourth = Shaking(caps)
    caps.arrive(fourth, 10.0)
    assert third.reasons == []


def test_no_handshakes_at_all_is_no_crash():
    """A limit of none lets the newest be."""
    caps = Caps()
    caps.handshakes = 0
    one, other = Shaking(caps), Shaking(caps)
    caps.arrive(one, 1.0)
    caps.arrive(other, 1.0)

    assert (one.reasons, other.reasons) == (["too-many-handshakes"], [])


def test_handshakes_expire_at_their_instant():
    """Not before it."""
    caps = Caps()
    early, late = Shaking(caps), Shaking(caps)
    caps.arrive(early, 10.0)
    caps.arrive(late, 11.0)

    assert caps.expire(9.999) == 2
    assert caps.expire(10.0) == 1
    assert (early.reasons, late.reasons) == (["timeout"], [])
    assert caps.expire(11.0) == 0
    assert caps.expire(99.0) == 0
