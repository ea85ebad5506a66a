"""Listeners of mode tcp: what they need, and what they have in vain."""

import pytest

TEXT = """\
version: 1
keystores: {main: {file: server.keys}}
truststores: {ca: {file: ca.pem}}
listeners:
  repl: {bind: 127.0.0.1:4001, mode: tcp%s}
"""
HTTP = """\
upstreams: {legacy: https://legacy.internal:9443}
routes: [{path: /, public: true, upstream: legacy}]
"""
TARGET = ", target: 127.0.0.1:7888"


def told(problems, more, rest=""):
    return [line.split(": ", 1)[1] for line in problems(TEXT % more + rest)]


@pytest.mark.parametrize(
    "more",
    [
        TARGET,
        ", target: 'localhost:7888'",
        ", target: '[::1]:7888'",
        ", target: unix:/run/repl.sock",
        TARGET + ", client_certificates: {mode: required}",
        TARGET + ", client_certificates: {mode: optional, trust: ca}",
        TARGET + ", send_proxy: tls, timeouts: {connect: 1s, idle: 1h, half_close: 5s, life: 1d}",
        ", target: db.internal:5432, unsafe_remote_plaintext: true",
    ],
)
def test_it_needs_nothing_but_a_target(problems, more):
    """Neither catalogs nor zones, upstreams and routes."""
    assert told(problems, more) == []


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("", "listeners.repl: mode tcp needs a target: add `target: 127.0.0.1:PORT` or `target: unix:/path`"),
        (", target: 7888", "listeners.repl.target: must be host:port or unix:/path, such as 127.0.0.1:7888"),
        (", target: 127.0.0.1", "listeners.repl.target: must be host:port or unix:/path, such as 127.0.0.1:7888"),
        (", target: 'a:0'", "listeners.repl.target: needs the port that the service listens on, such as 127.0.0.1:7888"),
        (", target: 'https://a:1'", "listeners.repl.target: must be host:port or unix:/path, such as 127.0.0.1:7888"),
        (", target: unix:a",
         "listeners.repl.target: the path of a unix socket is absolute: unix:/run/authproxy/name.sock"),
        (", target: db.internal:5432",
         ("listeners.repl.target: another machine would be sent everything in plaintext: run a listener there, "
         "name 127.0.0.1 or unix:/path, or add `unsafe_remote_plaintext: true`")),
        (", target: 0.0.0.0:5432",
         ("listeners.repl.target: another machine would be sent everything in plaintext: run a listener there, "
         "name 127.0.0.1 or unix:/path, or add `unsafe_remote_plaintext: true`")),
        (", target: 127.0.0.1:4001", "listeners.repl.target: is an address of this very listener: it would call itself"),
        (TARGET + ", health: /h",
         "listeners.repl.health: has no effect with `mode: tcp`, which reads no HTTP: take it away"),
        (TARGET + ", hsts: 1d",
         "listeners.repl.hsts: has no effect with `mode: tcp`, which reads no HTTP: take it away"),
        (TARGET + ", drop_unusual_names: true",
         "listeners.repl.drop_unusual_names: has no effect with `mode: tcp`, which reads no HTTP: take it away"),
        (TARGET + ", redirect: {port: 443}",
         "listeners.repl.redirect: has no effect with `mode: tcp`, which reads no HTTP: take it away"),
        (TARGET + ", send_proxy: v2", "listeners.repl.send_proxy: must be one of none, address, tls, certificate"),
        (TARGET + ", timeouts: {life: 0s}", "listeners.repl.timeouts.life: must be between 1ms and 1d, is 0s"),
        (TARGET + ", client_certificates: {trust: ca}",
         ("listeners.repl.client_certificates.trust: nobody is asked for a certificate: add `mode: required` or "
         "`mode: optional`")),
    ],
)  # fmt: skip
def test_mistakes_are_told(problems, more, line):
    """Each with its cure."""
    assert told(problems, more) == [line]


def test_two_files_bring_no_root(problems):
    """Only a keys file can stand in for a truststore."""
    text = TEXT % (TARGET + ", client_certificates: {mode: required}")
    text = text.replace("{file: server.keys}", "{certificate: a.pem, key: a.key}")

    assert [line.split(": ", 1)[1] for line in problems(text)] == [
        "listeners.repl.client_certificates: mode required needs `trust: NAME`, one of the truststores"
    ]


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("target: 127.0.0.1:7888", "target"),
        ("send_proxy: tls", "send_proxy"),
        ("timeouts: {idle: 1h}", "timeouts"),
        ("unsafe_remote_plaintext: true", "unsafe_remote_plaintext"),
    ],
)
def test_other_listeners_have_none_of_it(problems, said, key):
    """A key that does nothing is told."""
    rest = f"  web: {{bind: b:2, {said}}}\n" + HTTP

    assert told(problems, TARGET, rest) == [
        f"listeners.web.{key}: has no effect without `mode: tcp`: keep both or none"
    ]


def test_routes_are_not_served_there(problems, load_text):
    """Neither by default nor by name, and somebody must serve them."""
    web = "  web: {bind: b:2}\n"
    named = HTTP.replace("path: /,", "path: /, listeners: [web, repl],")

    assert load_text(TEXT % TARGET + web + HTTP).settings.routes[0].listeners == ("web",)
    assert told(problems, TARGET, web + named) == [
        "routes[0].listeners[1]: repl is of mode tcp, which serves no routes: take it away"
    ]
    assert told(problems, TARGET, HTTP) == [
        "routes[0].listeners: is needed, and there is no listener of mode http that could serve it"
    ]
    assert told(problems, TARGET, web) == ["routes: needs at least one route, as in [{path: /, upstream: NAME}]"]


def test_a_redirect_does_not_lead_there(problems):
    """It is no listener for https."""
    rest = "  plain: {bind: b:2, mode: redirect}\n"

    assert "listeners.plain: redirects to a listener of mode http, and there is none" in told(problems, TARGET, rest)


def test_tls_1_3_is_the_default(load_text):
    """Without client certificates too; 1.2 can be asked for."""
    assert load_text(TEXT % TARGET).settings.listeners["repl"].tls.minimum == "1.3"
    lower = load_text(TEXT % (TARGET + ", tls: {minimum: '1.2'}"))
    assert lower.settings.listeners["repl"].tls.minimum == "1.2"


def test_a_target_elsewhere_is_noted(load_text):
    """Every start says so."""
    loaded = load_text(TEXT % ", target: db.internal:5432, unsafe_remote_plaintext: true")

    assert [note.split(": ", 1)[1] for note in loaded.notes] == ["listeners.repl.unsafe_remote_plaintext: in use"]


@pytest.mark.parametrize("believed", ["0.0.0.0/0", "'::/0'"])
def test_a_listener_that_believes_everybody_is_noted(load_text, believed):
    """It is allowed, for networks that nobody else can reach; half of the world is somebody's choice."""
    (note,) = load_text(TEXT % f"{TARGET}, proxy_protocol: {{from: [10.0.0.0/8, {believed}]}}").notes
    text = "believes everybody about where they come from: name the networks of your balancers"

    assert note.split(": ", 1)[1] == f"listeners.repl.proxy_protocol.from[1]: {text}"
    assert load_text(TEXT % f"{TARGET}, proxy_protocol: {{from: [10.0.0.0/8]}}").notes == ()
