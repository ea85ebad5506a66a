"""Addresses have one spelling out for every spelling in."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.settings.addresses import (
    Tcp,
    UnixSocket,
    Url,
    parse_bind,
    parse_control,
    parse_network,
    parse_target,
    parse_url,
)

hosts = st.one_of(
    st.ip_addresses().map(str), st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{1,8}){0,3}", fullmatch=True)
)
addresses = st.one_of(
    st.builds(Tcp, hosts, st.integers(0, 65535)), st.from_regex(r"/[a-z][a-z/.]{0,20}", fullmatch=True).map(UnixSocket)
)


@given(addresses)
def test_an_address_reads_back_as_shown(address):
    """And reading what is already an address changes nothing."""
    assert parse_bind(str(address)) == address
    assert parse_bind(address) is address


@given(
    st.builds(Url, tls=st.booleans(), address=addresses).filter(
        lambda url: not (url.tls if isinstance(url.address, UnixSocket) else not url.address.port)
    )
)
def test_a_url_reads_back_as_shown(url):
    """The port is always shown."""
    assert parse_url(str(url)) == url
    assert parse_url(url) is url


@given(st.one_of(st.ip_addresses(v=4).map(lambda ip: f"{ip}/12"), st.ip_addresses(v=6).map(lambda ip: f"{ip}/40")))
def test_the_cure_of_a_network_with_bits_behind_its_prefix_is_right(text):
    """What the message says to write is accepted, and is the network that was meant."""
    try:
        network = parse_network(text)
    except ValueError as error:
        network = parse_network(str(error).split()[-1])

    assert network == ip_network(text, strict=False)
    assert parse_network(network) is network


@given(st.one_of(st.text(), st.integers(), st.none(), st.booleans(), st.lists(st.text())))
def test_anything_else_is_refused_with_a_message_for_people(value):
    """ValueError or an address, whatever comes."""
    told = []
    for parse in (parse_bind, parse_url, parse_network):
        try:
            parse(value)
        except ValueError as error:
            told.append(str(error))

    assert all(message and "\n" not in message for message in told)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.255.255.255", True),
        ("128.0.0.0", False),
        ("::1", True),
        ("::2", False),
        ("localhost", True),
        ("localhost.example.org", False),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_loopback_is_this_machine_alone(host, is_loopback):
    """Names are not looked up: a name server could be made to lie."""
    assert Tcp(host, 1).is_loopback is is_loopback


def test_default_ports():
    """Those of the scheme."""
    assert parse_url("https://a").address == Tcp("a", 443)
    assert parse_url("http://a").address == Tcp("a", 80)


@pytest.mark.parametrize("text", ["https://a:0", "http://127.0.0.1:0"])
def test_nobody_listens_on_port_0(text):
    """To bind to it means any port; to connect to it means a slip."""
    assert parse_bind("127.0.0.1:0") == Tcp("127.0.0.1", 0)
    with pytest.raises(ValueError, match=r"^needs the port that the service listens on"):
        parse_url(text)


@pytest.mark.parametrize("parse", [parse_bind, parse_url, parse_target, parse_control])
def test_the_path_of_a_unix_socket_fits_the_kernel(parse):
    """107 bytes and no more: a check tells it, not the start."""
    parse(f"unix:/{'x' * 106}")
    parse("unix:/" + "\u00e9" * 53)

    for path in ("x" * 107, "\u00e9" * 53 + "x"):
        with pytest.raises(ValueError, match=r"^the path of a unix socket has at most 107 bytes$"):
            parse(f"unix:/{path}")
