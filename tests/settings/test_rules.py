"""What no single key can tell: the rules between keys, both sides of each."""

import pytest

BASE = """\
version: 1
keystores: {main: {file: server.pem}}
truststores: {ca: {file: ca.pem}}
listeners: {public: {bind: 0.0.0.0:8443}}
catalogs: {users: {kind: file, file: tokens.yaml}}
zones: {api: {prefix: svc, peppers: [{file: pepper}], catalog: users}}
upstreams: {legacy: https://legacy.internal:9443}
"""
ROUTES = "routes: [{path: /, upstream: legacy}]\n"


def with_section(text, section, value):
    """Return `text` with another value for a top-level section."""
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith(f"{section}:")]
    return "".join(kept) + f"{section}: {value}\n"


def told(problems, section, value, **environ):
    """Return what is wrong, without places, when one section has this value."""
    lines = problems(with_section(BASE + ROUTES, section, value), **environ)
    return [line.split(": ", 1)[1] for line in lines]


@pytest.mark.parametrize(
    "value",
    [
        "{main: {file: a.pem, password: {file: pw}}}",
        "{main: {certificate: a.pem, key: a.key}}",
        "{main: {env: KEYS}}",
        "{main: {file: a.jks, alias: srv, password: {file: pw}, key_password: {env: B}}}",
    ],
)
def test_a_keystore_is_in_one_of_three_ways(problems, value):
    """A file, two files, or a variable."""
    assert told(problems, "keystores", value) == []


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (
            "{main: {}}",
            "keystores.main: needs exactly one of `file: PATH`, `certificate: PATH` with `key: PATH`, and `env: NAME`",
        ),
        (
            "{main: {file: a, env: B}}",
            "keystores.main: needs exactly one of `file: PATH`, `certificate: PATH` with `key: PATH`, and `env: NAME`",
        ),
        ("{main: {certificate: a}}", "keystores.main: certificate and key come together: add `key: PATH`"),
        ("{main: {key: a}}", "keystores.main: certificate and key come together: add `certificate: PATH`"),
        (
            "{main: {file: a, alias: ' '}}",
            "keystores.main.alias: must be the name of a private key in the file, as `authproxy keys inspect` lists them",
        ),
        ("{main: {env: A, alias: b}}", "keystores.main.alias: is for PKCS#12 and JKS files, which `file: PATH` names"),
        (
            "{main: {certificate: a, key: b, key_password: {env: A}}}",
            "keystores.main.key_password: is for PKCS#12 and JKS files, which `file: PATH` names",
        ),
        ("{main: {env: a-b}}", "keystores.main.env: must be the name of an environment variable, such as SERVER_KEYS"),
        (
            "{main: {file: a, password: hunter2}}",
            (
                "keystores.main.password: a secret is not written here but referred to: "
                "{file: PATH}, {env: NAME} or {credential: NAME}"
            ),
        ),
        (
            "{'a b': {file: a}}",
            "keystores.a b: a name is 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first",
        ),
    ],
)
def test_any_other_keystore_is_refused(problems, value, line):
    """None, two, half of one."""
    assert line in told(problems, "keystores", value)


@pytest.mark.parametrize(
    "value",
    [
        "{a: {bind: '[::]:8443'}}",
        "{a: {bind: unix:/run/a.sock}}",
        "{a: {bind: [127.0.0.1:1, '[::1]:1', unix:/run/a.sock]}}",
        "{a: {bind: localhost:0}, b: {bind: localhost:0}}",
        "{a: {bind: 127.0.0.1:65535, health: /healthz, hsts: 365d, sni: {'*.example.org': main, a.example.org: main}}}",
        "{a: {bind: 127.0.0.1:1, client_certificates: {mode: required, trust: ca}}}",
    ],
)
def test_listeners_that_are_right(problems, value):
    """The ways to bind, and what goes with it."""
    assert told(problems, "listeners", value) == []


@pytest.mark.parametrize(
    ("listener", "line"),
    [
        ("{bind: '*:8443'}", "bind: needs an address: 0.0.0.0:8443 for everybody, 127.0.0.1:8443 for this machine"),
        ("{bind: ':8443'}", "bind: needs an address: 0.0.0.0:8443 for everybody, 127.0.0.1:8443 for this machine"),
        ("{bind: 127.0.0.1}", "bind: must be host:port, [v6]:port or unix:/path, such as 0.0.0.0:8443"),
        ("{bind: '::1:8443'}", "bind: must be host:port, [v6]:port or unix:/path, such as 0.0.0.0:8443"),
        ("{bind: '[1.2.3.4]:1'}", "bind: what stands in brackets must be an IPv6 address, such as [::1]:8443"),
        ("{bind: 1.2.3.400:1}", "bind: the host must be a name in ASCII or an address, such as legacy.internal:9443"),
        ("{bind: https://a:1}", "bind: must be host:port, [v6]:port or unix:/path, such as 0.0.0.0:8443"),
        ("{bind: unix:a.sock}", "bind: the path of a unix socket is absolute: unix:/run/authproxy/name.sock"),
        ("{bind: systemd:web}", "bind: systemd: is not available in this version: bind to host:port or unix:/path"),
        ("{bind: []}", "bind: needs at least one address"),
        ("{bind: {host: a}}", "bind: must be host:port, [v6]:port or unix:/path, such as 0.0.0.0:8443"),
        ("{bind: [a:1, a:1]}", "bind[1]: a:1 is taken by listeners.x: every address is bound once"),
        ("{bind: a:1, health: healthz}", "health: must begin with /"),
        ("{bind: a:1, sni: {a: mian}}", 'sni.a: unknown keystore (did you mean "main"?)'),
        ("{bind: a:1, sni: {'a:1': main}}", "sni.a:1: a host has no port: the listener has one"),
        ("{bind: a:1, client_certificates: {mode: optional}}",
         "client_certificates: mode optional needs `trust: NAME`, one of the truststores"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: cb}}",
         "client_certificates.trust: unknown truststore (known: ca)"),
        ("{bind: a:1, client_certificates: {trust: ca}}",
         "client_certificates.trust: nobody is asked for a certificate: add `mode: required` or `mode: optional`"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{}]}}",
         "client_certificates.allow[0]: an empty rule would let everybody in: name what it is about"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{cn: null}]}}",
         "client_certificates.allow[0]: an empty rule would let everybody in: name what it is about"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{cn: a}, {}]}}",
         "client_certificates.allow[1]: an empty rule would let everybody in: name what it is about"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: []}}",
         "client_certificates.allow: needs at least one rule; leave the key away for none"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{cn: ''}]}}",
         "client_certificates.allow[0].cn: must not be empty: that would be everybody whose certificate has no such name"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{ou: ''}]}}",
         "client_certificates.allow[0].ou: must not be empty: that would be everybody whose certificate has no such name"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{cn: ' a'}]}}",
         "client_certificates.allow[0].cn: must be printable, without blanks around it"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{cn: '*.test'}]}}",
         "client_certificates.allow[0].cn: is compared whole: no wildcard here"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{dns: '*.example.org'}]}}",
         "client_certificates.allow[0].dns: is compared whole: no wildcard here"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{dns: Example.org}]}}",
         "client_certificates.allow[0].dns: hosts are written in lower case: example.org"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{email: example.org}]}}",
         "client_certificates.allow[0].email: must be an address such as somebody@example.org"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{ip: 10.0.0.0/8}]}}",
         "client_certificates.allow[0].ip: must be an address such as 192.0.2.1, no network"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{uri: ''}]}}",
         "client_certificates.allow[0].uri: must be a URI such as spiffe://example.org/dev/*"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{uri: 'spiffe://*/dev'}]}}",
         "client_certificates.allow[0].uri: scheme and host are compared whole: * stands for segments of the path only"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{uri: 'spiffe://a/**/b'}]}}",
         "client_certificates.allow[0].uri: ** stands at the end only"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{uri: 'spiffe://a/x*'}]}}",
         "client_certificates.allow[0].uri: * stands for a whole segment: spiffe://example.org/dev/*"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{spki: sha256/AAAA}]}}",
         "client_certificates.allow[0].spki: must be a pin: sha256/ and the base64 of the 32 bytes of the key's SHA-256"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{spki: 'abababababababababababababababababababababababababababababababab'}]}}",
         "client_certificates.allow[0].spki: must be a pin: sha256/ and the base64 of the 32 bytes of the key's SHA-256"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, allow: [{fingerprint: abcd}]}}",
         "client_certificates.allow[0].fingerprint: must be the SHA-256 of a certificate: 64 hex digits, with colons or without"),
        ("{bind: a:1, client_certificates: {allow: [{cn: a}]}}",
         "client_certificates.allow: has no effect where nobody is asked for a certificate: add `mode: required` or `mode: optional`"),
        ("{bind: a:1, client_certificates: {on_revoke: keep}}",
         "client_certificates.on_revoke: has no effect where nobody is asked for a certificate: add `mode: required` or `mode: optional`"),
        ("{bind: a:1, client_certificates: {intermediates: 2}}",
         "client_certificates.intermediates: has no effect where nobody is asked for a certificate: add `mode: required` or `mode: optional`"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, intermediates: 9}}",
         "client_certificates.intermediates: must be between 0 and 8, is 9"),
        ("{bind: a:1, client_certificates: {mode: optional, trust: ca, on_revoke: leave}}",
         "client_certificates.on_revoke: must be one of close, keep"),
        ("{bind: a:1, tls: {minimum: '1.1'}}", "tls.minimum: must be one of 1.2, 1.3"),
    ],
)  # fmt: skip
def test_listeners_that_are_wrong(problems, listener, line):
    """Each with its cure."""
    assert told(problems, "listeners", f"{{x: {listener}}}") == [f"listeners.x.{line}"]


@pytest.mark.parametrize(
    ("mode", "minimum"),
    [("mode: none", "1.2"), ("mode: optional, trust: ca", "1.2"), ("mode: required, trust: ca", "1.3")],
)
def test_tls_1_3_is_the_default_where_client_certificates_are_required(load_text, mode, minimum):
    """And can be lowered by name."""
    listener = f"{{x: {{bind: a:1, client_certificates: {{{mode}}}}}}}"
    loaded = load_text(with_section(BASE + ROUTES, "listeners", listener))

    assert loaded.settings.listeners["x"].tls.minimum == minimum


def test_the_only_keystore_zone_and_listeners_are_filled_in(load_text):
    """Whoever uses the settings finds the names there."""
    settings = load_text(BASE + ROUTES).settings

    assert settings.listeners["public"].keystore == "main"
    assert settings.routes[0].zone == "api"
    assert settings.routes[0].listeners == ("public",)


def test_a_public_route_gets_no_zone(load_text):
    """Not even the only one."""
    settings = load_text(with_section(BASE, "routes", "[{path: /, public: true, upstream: legacy}]")).settings

    assert settings.routes[0].zone is None


def test_where_there_are_two_one_must_be_named(problems):
    """The message names them."""
    text = with_section(BASE + ROUTES, "keystores", "{main: {file: a}, site: {file: b}}")
    text = with_section(
        text,
        "zones",
        "{a: {prefix: a, peppers: [{env: A}], catalog: users}, b: {prefix: b, peppers: [{env: B}], catalog: users}}",
    )

    assert [line.split(": ", 1)[1] for line in problems(text)] == [
        "listeners.public: needs `keystore: NAME` where there is more than one: main or site",
        "routes[0]: who may pass? needs `zone: NAME` (known: a, b), or `public: true`",
    ]


def test_ops_that_ask_for_certificates_need_a_keystore(problems):
    """With two keystores, none is filled in."""
    text = with_section(BASE + ROUTES, "keystores", "{main: {file: a}, site: {file: b}}")
    text = with_section(text, "listeners", "{public: {bind: a:1, keystore: main}}")
    text = with_section(text, "ops", "{bind: 127.0.0.1:1, client_certificates: {mode: required, trust: ca}}")

    assert [line.split(": ", 1)[1] for line in problems(text)] == [
        "ops: client certificates need TLS: add `keystore: NAME`"
    ]


def test_without_zones_every_route_must_be_public(problems):
    """A proxy that only ends TLS is a legitimate wish, if it is said."""
    text = "".join(
        line for line in (BASE + ROUTES).splitlines(keepends=True) if not line.startswith(("zones", "catalogs"))
    )

    assert [line.split(": ", 1)[1] for line in problems(text)] == [
        "routes[0]: who may pass? needs a zone (none is defined), or `public: true`"
    ]
    assert problems(text.replace("path: /", "path: /, public: true")) == []


@pytest.mark.parametrize(
    ("zones", "line"),
    [
        ("{a: {prefix: x, peppers: [], catalog: users}}", "zones.a.peppers: needs at least one pepper; leave the key away for none"),
        ("{a: {prefix: '', peppers: [{env: A}], catalog: users}}", "zones.a.prefix: a prefix is 1 to 4004 letters, digits and hyphens (no underscore: it ends the prefix)"),
        ("{a: {prefix: x, peppers: [{env: A}], catalog: userz}}", 'zones.a.catalog: unknown catalog (did you mean "users"?)'),
        ("{a: {prefix: x, peppers: [{env: A}], catalog: users}, b: {prefix: X, peppers: [{env: B}], catalog: users}}",
         "zones.b.prefix: zone a has this prefix: every zone has its own"),
        ("{a: {prefix: x, peppers: [{env: A}], catalog: users}, b: {prefix: y, peppers: [{env: B}, {env: A}], catalog: users}}",
         "zones.b.peppers[1]: zone a has this pepper: with its own, no token of one zone can pass in the other"),
    ],
)  # fmt: skip
def test_zones_are_isolated(problems, zones, line):
    """Own prefix, own peppers, an existing catalog."""
    assert line in told(problems, "zones", zones)


def test_a_prefix_has_4004_characters_at_most(problems):
    """Then the whole token has 4096, as many as turvata takes; both sides of the boundary."""
    zones = "{{a: {{prefix: {}, peppers: [{{env: A}}], catalog: users}}}}"

    assert told(problems, "zones", zones.format("x" * 4004)) == []
    assert len(told(problems, "zones", zones.format("x" * 4005))) == 1


def test_catalogs_do_not_consist_of_themselves(problems):
    """Not directly, and not through others; whoever merely stands above a circle is not blamed."""
    catalogs = (
        "{users: {kind: composite, of: [a, plain]}, a: {kind: composite, of: [b]}, b: {kind: composite, of: [a, b]}, "
        "plain: {kind: file, file: x}, twice: {kind: composite, of: [plain, plain, gone]}}"
    )

    assert told(problems, "catalogs", catalogs) == [
        "catalogs.a.of[0]: a would consist of itself: take b out",
        "catalogs.b.of[0]: b would consist of itself: take a out",
        "catalogs.b.of[1]: b would consist of itself: take b out",
        "catalogs.twice.of[2]: unknown catalog (known: a, b, plain, twice, users)",
    ]


@pytest.mark.parametrize(
    "upstream",
    [
        "https://a",
        "HTTPS://A.Internal:1",
        "https://[::1]:9443",
        "http://localhost:8080",
        "http://127.0.0.5:8080",
        "http://[::1]:8080",
        "unix:/run/app.sock",
        "{urls: https://a}",
        "{urls: [https://a, https://b], trust: ca, server_name: c, keystore: main, host: upstream}",
        "{urls: [https://a], trust: system}",
        "{urls: [http://a], unsafe_remote_plaintext: true}",
        "{urls: [https://a], timeouts: {connect: 1ms, response_head: 1d}}",
        "{urls: [https://a, https://a:444, unix:/a], health: {path: /health}}",
        "{urls: https://a, max_connections: 1}",
        "{urls: https://a, pins: [sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=]}",
        "{urls: https://a, health: {path: /, every: 1s, timeout: 1s, host: b.example.org}}",
    ],
)
def test_upstreams_that_are_right(problems, upstream):
    """TLS anywhere, plaintext on this machine or by an explicit wish."""
    upstream = upstream if upstream.startswith("{") else f"'{upstream}'"

    assert told(problems, "upstreams", f"{{legacy: {upstream}}}") == []


def test_system_is_no_name_for_a_truststore(problems):
    """`trust: system` means the system's own authorities; with a truststore of that name it could mean two."""
    assert told(problems, "truststores", "{system: {file: ca.pem}}") == [
        "truststores.system: `trust: system` means the authorities of this system: give the truststore another name"
    ]


PIN = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
PIN_WANTED = (
    "must be sha256/ and the base64 of a public key's SHA-256, 44 characters: openssl x509 -noout -pubkey | "
    "openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64"
)
BAD_PINS = [
    "", PIN.removeprefix("sha256/"), PIN.replace("sha256", "sha1"), PIN.replace("/", "//", 1), PIN[:-1], PIN + "=",
    PIN.replace("+", "-"), PIN[:-2] + "V=", " " + PIN, PIN.upper(),
]  # fmt: skip
PLAINTEXT = "http:// to another machine sends credentials in plaintext: use https://, or write {{urls: [{0}], unsafe_remote_plaintext: true}}"


@pytest.mark.parametrize(
    ("upstream", "line"),
    [
        ("http://10.0.0.1:80", f"legacy: {PLAINTEXT.format('http://10.0.0.1:80')}"),
        ("http://localhost.example.org", f"legacy: {PLAINTEXT.format('http://localhost.example.org:80')}"),
        ("{urls: [https://a, http://b]}", f"legacy.urls[1]: {PLAINTEXT.format('http://b:80')}"),
        ("ftp://a", "legacy: must begin with https:// (or http:// on this machine, or unix:/path)"),
        ("legacy.internal:9443", "legacy: must begin with https:// (or http:// on this machine, or unix:/path)"),
        ("https://a/", "legacy: a URL ends after the port: paths are the route's business (path, strip_prefix, rewrite)"),
        ("https://a?x=1", "legacy: a URL ends after the port: paths are the route's business (path, strip_prefix, rewrite)"),
        ("https://u@a", "legacy: a URL carries no user or password: set the route's headers.request instead"),
        ("https://", "legacy: the host must be a name in ASCII or an address, such as legacy.internal:9443"),
        ("https://a b", "legacy: the host must be a name in ASCII or an address, such as legacy.internal:9443"),
        ("https://a:99999", "legacy: a port is at most 65535"),
        ("https://a:x", "legacy: must be scheme://host:port, such as https://legacy.internal:9443"),
        ("unix:run/app.sock", "legacy: the path of a unix socket is absolute: unix:/run/authproxy/name.sock"),
        ("{urls: []}", "legacy.urls: needs at least one URL"),
        ("{urls: [https://a, https://a:443]}", "legacy.urls[1]: https://a:443 stands twice: keep one"),
        ("{urls: [https://localhost, http://localhost:443]}", "legacy.urls[1]: localhost:443 stands twice: keep one"),
        ("{urls: https://a, max_connections: 0}", "legacy.max_connections: must be between 1 and 100000, is 0"),
        ("{urls: https://a, health: {}}", "legacy.health.path: is needed: what is asked for, without credentials"),
        ("{urls: https://a, health: {path: health}}", "legacy.health.path: must begin with /"),
        ("{urls: https://a, health: {path: /, every: 999ms}}", "legacy.health.every: must be at least 1s, is 999ms"),
        ("{urls: https://a, health: {path: /, timeout: 5001ms}}", "legacy.health.timeout: must be at most health.every (5s), is 5001ms"),
        ("{urls: https://a, health: {path: /, host: '*.a'}}", "legacy.health.host: a certificate is checked against one name: no wildcard here"),
        ("{urls: https://a, server_name: ''}", "legacy.server_name: must be a host such as app.example.org, or *.example.org for every host under it"),
        ("{urls: https://a, server_name: '*.a'}", "legacy.server_name: a certificate is checked against one name: no wildcard here"),
        ("{urls: unix:/a, trust: ca}", "legacy.trust: has no effect without an https:// URL: take one of them away"),
        ("{urls: https://a, trust: cb}", "legacy.trust: unknown truststore (known: ca)"),
        ("{urls: https://a, pins: []}", "legacy.pins: needs at least one pin; leave the key away for none"),
        *((f"{{urls: https://a, pins: ['{pin}']}}", f"legacy.pins[0]: {PIN_WANTED}") for pin in BAD_PINS),
        (f"{{urls: https://a, pins: [{PIN}, {PIN}]}}", "legacy.pins[1]: stands twice: keep one"),
        (f"{{urls: unix:/a, pins: [{PIN}]}}", "legacy.pins: a pin needs TLS: every URL must be https://"),
        (f"{{urls: [https://a, http://localhost], pins: [{PIN}]}}", "legacy.pins: a pin needs TLS: every URL must be https://"),
        ("{urls: https://a, host: clinet}", 'legacy.host: must be one of client, upstream (did you mean "client"?)'),
        ("{urls: https://a, timeouts: {connect: 0}}", "legacy.timeouts.connect: must be between 1ms and 1d, is 0s"),
        ("{urls: https://a, timeouts: {connect: 25h}}", "legacy.timeouts.connect: must be between 1ms and 1d, is 25h"),
        ("5", "legacy: must be a map of keys, is a number"),
    ],
)  # fmt: skip
def test_upstreams_that_are_wrong(problems, upstream, line):
    """Each with its cure."""
    upstream = upstream if upstream.startswith("{") or upstream == "5" else f"'{upstream}'"

    assert told(problems, "upstreams", f"{{legacy: {upstream}}}") == [f"upstreams.{line}"]


@pytest.mark.parametrize(
    "route",
    [
        "path: /a/b.c/~x/*y",
        "path: /a/",
        "path: /, host: '*.example.org', exact: true",
        "path: /, host: '[::1]'",
        "path: /, methods: [GET, PURGE], body_methods: []",
        "path: /, allow: {users: [550e8400-e29b-41d4-a716-446655440000]}",
        "path: /, allow: {groups: [admins], networks: [10.0.0.0/8, 192.0.2.1, 'fd00::/8']}",
        "path: /, headers: {request: {X-A: b c, X-B: null, X-C: {env: C}, Authorization: {file: a}}, response: {Server: null}}",
        "path: /a, strip_prefix: /a, max_body: 64MiB, upgrades: []",
        "path: /, strip_prefix: /admin",
        "path: /a/b, strip_prefix: /a",
        "path: /a/, strip_prefix: /a/b/c",
        "path: /a/b, exact: true, strip_prefix: /a",
        "path: /a, rewrite: /b",
        "path: /, unusual_path: [semicolon, double_slash, encoded_slash]",
    ],
)
def test_routes_that_are_right(problems, route):
    """What a route can say."""
    assert told(problems, "routes", f"[{{{route}, upstream: legacy}}]") == []


NEUTRAL = "a host has no scheme and no path, as in app.example.org"


@pytest.mark.parametrize(
    ("route", "line"),
    [
        ("path: ''", "path: must begin with /"),
        ("path: /a/../b", "path: must not contain . or .. as a segment"),
        ("path: /./b", "path: must not contain . or .. as a segment"),
        ("path: //a", "path: must not contain //"),
        ("path: /a;b", "path: must not contain ;: write the path as it reads once decoded, without query"),
        ("path: '/a\\b'", "path: must not contain \\: write the path as it reads once decoded, without query"),
        ("path: '/a?b'", "path: must not contain ?: write the path as it reads once decoded, without query"),
        ("path: '/a#b'", "path: must not contain #: write the path as it reads once decoded, without query"),
        ("path: /a b", "path: must be visible ASCII without blanks"),
        ("path: /ä", "path: must be visible ASCII without blanks"),
        ("path: /, host: App.example.org", "host: hosts are written in lower case: app.example.org"),
        ("path: /, host: https://a", f"host: {NEUTRAL}"),
        ("path: /, host: a/b", f"host: {NEUTRAL}"),
        ("path: /, host: 'a.*.org'", "host: a wildcard stands for the first labels only, as in *.example.org"),
        ("path: /, host: '*'", "host: a wildcard stands for the first labels only, as in *.example.org"),
        ("path: /, host: a_b", "host: must be a host such as app.example.org, or *.example.org for every host under it"),
        ("path: /, host: ''", "host: must be a host such as app.example.org, or *.example.org for every host under it"),
        ("path: /, methods: []", "methods: needs at least one method; leave the key away for none"),
        ("path: /, methods: [get]", "methods[0]: methods are case-sensitive: GET"),
        ("path: /, methods: [CONNECT]", "methods[0]: CONNECT is never forwarded"),
        ("path: /, body_methods: [TRACE]", "body_methods[0]: TRACE is never forwarded"),
        ("path: /, methods: ['G T']", "methods[0]: must be a method such as GET"),
        ("path: /, methods: GET", "methods: must be a list, as in [a, b], is text"),
        ("path: /, allow: {}", "allow: needs users, groups or networks; leave it away to let the whole zone in"),
        ("path: /, allow: {users: []}", "allow.users: needs at least one user; leave the key away for none"),
        ("path: /, allow: {users: [me]}", "allow.users[0]: must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000"),
        ("path: /, allow: {groups: ['a,b']}", "allow.groups[0]: a group is visible ASCII without blanks and commas"),
        ("path: /, allow: {networks: [10.0.0.1/8]}", "allow.networks[0]: has bits set behind its prefix: write 10.0.0.0/8"),
        ("path: /, allow: {networks: [10.0.0/8]}", "allow.networks[0]: must be a network such as 10.0.0.0/8, or an address"),
        ("path: /, public: true, allow: {groups: [a]}", "allow: a public route asks nobody: take `allow` or `public: true` away"),
        ("path: /, public: true, unusual_path: [semicolon]",
         "unusual_path: a public route asks nobody: take `unusual_path` or `public: true` away"),
        ("path: /, unusual_path: [dots]", "unusual_path[0]: must be one of semicolon, double_slash, encoded_slash"),
        ("path: /api/*", "path: a path needs no *: it covers everything under it by whole segments: /a is /a/b too"),
        *(
            (f"{route}, strip_prefix: {prefix}", "strip_prefix: must be the route's path, whole leading segments of it or a path under it: " + path)
            for route, prefix, path in (
                ("path: /t", "/api", "/t"), ("path: /strip", "/str", "/strip"), ("path: /str", "/strip", "/str"),
                ("path: /, exact: true", "/a", "/"),
            )
        ),
        ("path: /a, strip_prefix: /a, rewrite: /b", "rewrite: strip_prefix and rewrite exclude one another: keep one"),
        ("path: /, headers: {request: {Host: a}}", "headers.request.Host: this header is the proxy's own business: the upstream's `host` decides"),
        ("path: /, headers: {request: {transfer_encoding: a}}", "headers.request.transfer_encoding: this header is the proxy's own business"),
        ("path: /, headers: {response: {Connection: a}}", "headers.response.Connection: this header is the proxy's own business"),
        ("path: /, headers: {request: {X-Request-Id: a}}", "headers.request.X-Request-Id: this header carries the number in the access log: it is always the proxy's own"),
        ("path: /, headers: {response: {x_request_id: null}}", "headers.response.x_request_id: this header carries the number in the access log: it is always the proxy's own"),
        ("path: /, headers: {request: {x-authproxy-user: a}}", "headers.request.x-authproxy-user: this header tells who the caller is: see identity.headers"),
        ("path: /, headers: {request: {X-A: b, x-a: c}}", "headers.request.x-a: is the same header as X-A: keep one"),
        ("path: /, headers: {request: {X-A: 5}}", "headers.request.X-A: must be text: put it in quotes"),
        ('path: /, headers: {request: {X-A: "a\\nB: c"}}', "headers.request.X-A: a header's value is visible ASCII on one line, without blanks around it; null removes it"),
        ("path: /, headers: {request: {X-A: {flie: x}}}", 'headers.request.X-A.flie: unknown key (did you mean "file"?)'),
        ("path: /, headers: {request: {'X A': b}}", "headers.request.X A: a header's name is letters, digits and hyphens, as in X-Api-Key"),
        ("path: /, max_body: 64MB", "max_body: write it as 64MiB (units count by 1024)"),
        ("path: /, cross_origin: maybe", "cross_origin: must be one of refuse, allow"),
        ("path: /, exact: 1", "exact: write true, unquoted"),
        ("path: /, listeners: [publik]", 'listeners[0]: unknown listener (did you mean "public"?)'),
        ("path: /, listeners: []", "listeners: needs at least one listener; leave the key away for none"),
    ],
)  # fmt: skip
def test_routes_that_are_wrong(problems, route, line):
    """Each with its cure."""
    assert told(problems, "routes", f"[{{{route}, upstream: legacy}}]") == [f"routes[0].{line}"]


@pytest.mark.parametrize(
    ("other", "is_twice"),
    [
        ("path: /a", True),
        ("path: /a/", True),
        ("path: /a, methods: [GET]", True),
        ("path: /a, public: true", True),
        ("path: /a, exact: true", False),
        ("path: /a, host: a.example.org", False),
        ("path: /b", False),
    ],
)
def test_two_routes_for_the_same_requests_are_refused(problems, other, is_twice):
    """Listener, host, path and exactness make a route; a slash at the end means nothing."""
    lines = told(problems, "routes", f"[{{path: /a, upstream: legacy}}, {{{other}, upstream: legacy}}]")

    expected = ["routes[1]: same listener, host and path as routes[0]: which one is meant? keep one"]
    assert lines == (expected if is_twice else [])


def test_exact_paths_differ_by_a_slash_at_the_end(problems):
    """Where a path is taken literally, so is its slash."""
    routes = "[{path: /a, exact: true, upstream: legacy}, {path: /a/, exact: true, upstream: legacy}]"

    assert told(problems, "routes", routes) == []


def test_the_same_path_on_two_listeners_is_two_routes(problems):
    """Unless a listener is in both."""
    text = with_section(BASE, "listeners", "{a: {bind: a:1}, b: {bind: b:1}}")
    one = "{path: /, listeners: [a], upstream: legacy}"

    assert problems(with_section(text, "routes", f"[{one}, {{path: /, listeners: [b], upstream: legacy}}]")) == []
    assert len(problems(with_section(text, "routes", f"[{one}, {{path: /, upstream: legacy}}]"))) == 1


def test_names_of_routes_are_unique(problems):
    """They are labels in logs and metrics."""
    routes = "[{name: a, path: /, upstream: legacy}, {name: a, path: /b, upstream: legacy}]"

    assert told(problems, "routes", routes) == ["routes[1].name: routes[0] has this name: names are unique"]


@pytest.mark.parametrize(
    ("other", "is_stricter"),
    [
        ("allow: {groups: [a]}", True),
        ("methods: [GET]", True),
        ("zone: web", True),
        ("public: true", False),
        ("exact: true", False),
        ("allow: {groups: [a]}, upstream: other", False),
    ],
)
def test_unusual_paths_are_refused_beside_a_stricter_route(problems, other, is_stricter):
    """The upstream may read `/a;x` as the stricter route's `/a`."""
    text = with_section(BASE, "upstreams", "{legacy: https://a, other: https://b}")
    zones = (
        "{api: {prefix: a, peppers: [{env: A}], catalog: users}, web: {prefix: b, peppers: [{env: B}], catalog: users}}"
    )
    text = with_section(text, "zones", zones)
    zone = "" if "zone" in other or "public" in other else "zone: api, "
    upstream = "" if "upstream" in other else ", upstream: legacy"
    routes = (
        f"[{{path: /, zone: api, upstream: legacy, unusual_path: [semicolon]}}, {{path: /a, {zone}{other}{upstream}}}]"
    )

    lines = problems(with_section(text, "routes", routes))

    assert [line.split(": ")[1] for line in lines] == (["routes[0].unusual_path"] if is_stricter else [])


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        ("{X-Authproxy-User: id, Remote-User: name, X-Forwarded-User: id}", None),
        ("{}", None),
        ("{X-User: uid}", 'identity.headers.X-User: must be one of id, name, groups, method, zone, version, certificate (did you mean "id"?)'),
        ("{Authorization: id}", "identity.headers.Authorization: this header has a meaning of its own: choose another, such as X-Authproxy-User"),
        ("{cookie: id}", "identity.headers.cookie: this header has a meaning of its own: choose another, such as X-Authproxy-User"),
        ("{Keep-Alive: id}", "identity.headers.Keep-Alive: this header has a meaning of its own: choose another, such as X-Authproxy-User"),
        ("{Proxy-User: id}", "identity.headers.Proxy-User: this header has a meaning of its own: choose another, such as X-Authproxy-User"),
        ("{X-Forwarded-For: id}", "identity.headers.X-Forwarded-For: this header has a meaning of its own: choose another, such as X-Authproxy-User"),
        ("{X-User: id, X_User: name}", "identity.headers.X_User: is the same header as X-User: keep one"),
        ("{'X User': id}", "identity.headers.X User: a header's name is letters, digits and hyphens, as in X-Api-Key"),
    ],
)  # fmt: skip
def test_identity_headers(problems, headers, line):
    """Names that nothing else uses, one of six values."""
    assert told(problems, "identity", f"{{headers: {headers}}}") == ([line] if line else [])


@pytest.mark.parametrize(
    ("ops", "line"),
    [
        ("{bind: 127.0.0.1:1}", None),
        ("{bind: '[::1]:1'}", None),
        ("{bind: localhost:1}", None),
        ("{bind: unix:/run/ops.sock}", None),
        ("{bind: 0.0.0.0:1, unsafe_open_ops: true}", None),
        ("{bind: 0.0.0.0:1, keystore: main, client_certificates: {mode: required, trust: ca}}", None),
        ("{bind: 0.0.0.0:1, client_certificates: {mode: required, trust: ca}}", None),
        ("{bind: 0.0.0.0:1, client_certificates: {mode: optional, trust: ca}}", "ops.bind: others can reach"),
        ("{bind: 0.0.0.0:1, keystore: main}", "ops.bind: others can reach"),
        ("{bind: metrics.internal:1}", "ops.bind: others can reach"),
        ("{bind: 0.0.0.0:8443, unsafe_open_ops: true}", "ops.bind: 0.0.0.0:8443 is taken by listeners.public"),
        ("{bind: 127.0.0.1:1, keystore: x}", "ops.keystore: unknown keystore (known: main)"),
        (
            "{bind: 127.0.0.1:1, keystore: main, client_certificates: {mode: required, trust: ca, on_revoke: keep}}",
            "ops.client_certificates.on_revoke: has no effect here: whoever asks is judged at every request",
        ),
        ("{bind: [127.0.0.1:1]}", "ops.bind: must be host:port"),
        ("{}", "ops.bind: is needed"),
    ],
)
def test_ops_are_for_this_machine_or_for_known_askers(problems, ops, line):
    """Or for anybody, by a name that says so."""
    lines = told(problems, "ops", ops)

    assert len(lines) == (1 if line else 0)
    assert all(one.startswith(str(line)) for one in lines)


@pytest.mark.parametrize(
    ("section", "value", "line"),
    [
        ("limits", "{head: 1KiB, line: 1024}", None),
        ("limits", "{head: 1023}", "limits.head: must be between 1KiB and 1MiB, is 1023"),
        ("limits", "{line: 255}", "limits.line: must be between 256 and 65536, is 255"),
        ("limits", "{fields: 1001}", "limits.fields: must be between 8 and 1000, is 1001"),
        ("limits", "{fields: many}", "limits.fields: must be a whole number, unquoted, is text"),
        ("limits", "{connections: some}", "limits.connections: must be auto, or a whole number between 1 and 1000000"),
        ("limits", "{connections: 0}", "limits.connections: must be auto, or a whole number between 1 and 1000000"),
        ("limits", "{handshakes: 0}", "limits.handshakes: must be between 1 and 100000, is 0"),
        ("limits", "{head: 4KiB}", None),
        ("limits", "{head: 4KiB, line: 4096}", None),
        ("limits", "{head: 4KiB, line: 4097}", "limits.line: a line cannot be longer than the whole head: raise limits.head or lower this"),
        ("timeouts", "{drain: 0s, pre_stop: 0}", None),
        ("timeouts", "{head: 1us}", "timeouts.head: the units of a duration are ms, s, m, h and d, such as 10s"),
        ("trusted_proxies", "[10.0.0.0/8, '::1']", None),
        ("trusted_proxies", "[0.0.0.0/0]", "trusted_proxies[0]: would believe everybody's X-Forwarded-For: name the networks of your balancers"),
        ("trusted_proxies", "['::/0']", "trusted_proxies[0]: would believe everybody's X-Forwarded-For: name the networks of your balancers"),
        ("trusted_proxies", "10.0.0.0/8", "trusted_proxies: must be a list, as in [a, b], is text"),
        ("workers", "1", None),
        ("workers", "2", "workers: only 1 is available in this version"),
        ("workers", "true", "workers: only 1 is available in this version"),
        ("workers", "${N}", None),
        ("logging", "{level: debug, access: off}", None),
        ("logging", "{access: ./access.log}", None),
        ("logging", "{access: stduot}", "logging.access: must be stdout, stderr, off or a file, such as ./access.log"),
        ("logging", "{level: warn}", 'logging.level: must be one of debug, info, warning, error (did you mean "warning"?)'),
        ("logging", "{audit: x}", "logging.audit: is not available in this version"),
        ("state", "''", "state: must be the path of a file"),
        ("reload", "{watch: 0s}", None),
        ("reload", "{watch: 1s}", None),
        ("reload", "{watch: 999ms}", "reload.watch: must be 0s (never), or between 1s and 1d, is 999ms"),
        ("reload", "{watch: 1d}", None),
        ("reload", "{watch: 25h}", "reload.watch: must be 0s (never), or between 1s and 1d, is 25h"),
        ("reload", "{watch: off}", "reload.watch: must be a duration: a whole number and ms, s, m, h or d, such as 10s"),
        ("control", "127.0.0.1:1",
         "control: must be a unix socket, such as unix:/run/authproxy/control.sock: nobody else is to reach it"),
        ("control", "unix:x", "control: the path of a unix socket is absolute: unix:/run/authproxy/name.sock"),
        ("control", "true",
         "control: must be a unix socket, such as unix:/run/authproxy/control.sock: nobody else is to reach it"),
        ("listeners", "{public: 8443}", "listeners.public: must be a map of keys, is a number"),
        ("routes", "[/]", "routes[0]: must be a map of keys, is text"),
        ("routes", "{}", "routes: must be a list, as in [a, b], is a map"),
        ("catalogs", "{users: {kind: 5}}", "catalogs.users.kind: is needed: one of composite, file"),
        ("catalogs", "{users: tokens.yaml}", "catalogs.users.kind: is needed: one of composite, file"),
        ("catalogs", "{users: {kind: file, file: 5}}", "catalogs.users.file: must be the path of a file"),
        ("listners", "{}", 'listners: unknown key (did you mean "listeners"?)'),
    ],
)  # fmt: skip
def test_the_proxy_as_a_whole(problems, section, value, line):
    """Both sides of each boundary; what comes later is said to come later."""
    assert told(problems, section, value, N="1") == ([line] if line else [])


def test_every_unsafe_wish_is_noted(load_text):
    """One line each, with its place, for the log at start."""
    text = with_section(BASE, "upstreams", "{legacy: {urls: http://a, unsafe_remote_plaintext: true}}")
    text = with_section(text, "routes", "[{path: /, upstream: legacy, unsafe_forward_credentials: true}]")
    loaded = load_text(with_section(text, "ops", "{bind: 0.0.0.0:1, unsafe_open_ops: true}"))

    assert [note.split(":", 1)[1] for note in loaded.notes] == [
        "7:63: upstreams.legacy.unsafe_remote_plaintext: in use",
        "8:66: routes[0].unsafe_forward_credentials: in use",
        "9:41: ops.unsafe_open_ops: in use",
    ]


def test_where_tells_the_place_of_a_setting(load_text, tmp_path):
    """Of what stands in the file, and of what has its default."""
    loaded = load_text(BASE + ROUTES)
    file = tmp_path / "authproxy.yaml"

    assert loaded.where("zones", "api", "prefix") == f"{file}:6:23: zones.api.prefix"
    assert loaded.where("zones", "api", "peppers", 0) == f"{file}:6:38: zones.api.peppers[0]"
    assert loaded.where("zones", "api", "max_grace") == f"{file}:6:9: zones.api.max_grace"
    assert loaded.where("limits", "head") == f"{file}:1:1: limits.head"
    assert loaded.where("routes", 0, "path") == f"{file}:8:17: routes[0].path"


def test_nothing_that_was_expanded_shows_in_a_repr(load_text):
    """A traceback that prints locals must not print what `${VAR}` stood for."""
    routes = '[{path: /, upstream: legacy, headers: {request: {X-Api-Key: "${KEY}"}}}]'
    loaded = load_text(with_section(BASE, "routes", routes), KEY="hunter2")

    assert "hunter2" not in repr(loaded)
    assert loaded.settings.routes[0].headers.request["X-Api-Key"] == "hunter2"


def test_equal_files_make_equal_settings(load_text):
    """A reload compares section by section, and the whole."""
    one, other = load_text(BASE + ROUTES).settings, load_text("# changed\n" + BASE + ROUTES).settings

    assert one == other
    assert one != load_text(with_section(BASE + ROUTES, "limits", "{fields: 99}")).settings


REDIRECT = "a: {bind: '[::1]:1', mode: redirect"


@pytest.mark.parametrize(
    "value",
    [
        f"{{{REDIRECT}}}, b: {{bind: c:2}}}}",
        f"{{{REDIRECT}, health: /h}}, b: {{bind: c:443, hsts: 365d}}}}",
        f"{{{REDIRECT}, redirect: {{to: c}}}}, b: {{bind: b:2}}, c: {{bind: [unix:/c.sock, c:3]}}}}",
        f"{{{REDIRECT}, redirect: {{port: 443}}}}, b: {{bind: unix:/b.sock}}}}",
        f"{{{REDIRECT}, redirect: {{}}}}, b: {{bind: b:2}}}}",
    ],
)
def test_redirects_that_are_right(problems, value):
    """To the only listener, or to one by name; the port is known or said."""
    assert told(problems, "listeners", value) == []


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (f"{{{REDIRECT}}}, b: {{bind: b:2}}, c: {{bind: c:3}}}}",
         "listeners.a: needs `redirect: {to: NAME}` where there is more than one: b or c"),
        (f"{{{REDIRECT}}}, b: {{bind: unix:/b.sock}}}}",
         "listeners.a: needs `redirect: {port: N}`: no `bind` of b tells the port that clients know it by"),
        (f"{{{REDIRECT}}}, b: {{bind: 'b:0'}}}}",
         "listeners.a: needs `redirect: {port: N}`: no `bind` of b tells the port that clients know it by"),
        (f"{{{REDIRECT}, redirect: {{to: bb}}}}, b: {{bind: b:2}}}}",
         'listeners.a.redirect.to: unknown listener (did you mean "b"?)'),
        (f"{{{REDIRECT}, redirect: {{to: a}}}}, b: {{bind: b:2}}}}",
         "listeners.a.redirect.to: must be a listener of mode http"),
        (f"{{{REDIRECT}, redirect: {{port: 0}}}}, b: {{bind: b:2}}}}",
         "listeners.a.redirect.port: must be between 1 and 65535, is 0"),
        (f"{{{REDIRECT}, keystore: main}}, b: {{bind: b:2}}}}",
         "listeners.a.keystore: has no effect with `mode: redirect`, which is plain HTTP: take it away"),
        (f"{{{REDIRECT}, tls: {{minimum: '1.3'}}}}, b: {{bind: b:2}}}}",
         "listeners.a.tls: has no effect with `mode: redirect`, which is plain HTTP: take it away"),
        (f"{{{REDIRECT}, sni: {{x: main}}}}, b: {{bind: b:2}}}}",
         "listeners.a.sni: has no effect with `mode: redirect`, which is plain HTTP: take it away"),
        (f"{{{REDIRECT}, client_certificates: {{mode: required, trust: ca}}}}, b: {{bind: b:2}}}}",
         "listeners.a.client_certificates: has no effect with `mode: redirect`, which is plain HTTP: take it away"),
        (f"{{{REDIRECT}, drop_unusual_names: true}}, b: {{bind: b:2}}}}",
         "listeners.a.drop_unusual_names: has no effect with `mode: redirect`, which is plain HTTP: take it away"),
        (f"{{{REDIRECT}, hsts: 1d}}, b: {{bind: b:2}}}}",
         "listeners.a.hsts: is never sent over plain HTTP (RFC 6797, 7.2): set it on the listener that the redirect leads to"),
        ("{b: {bind: b:2, redirect: {port: 443}}}",
         "listeners.b.redirect: has no effect without `mode: redirect`: keep both or none"),
        ("{b: {bind: b:2, mode: authz}}",
         "listeners.b.mode: authz is not available in this version: http, tcp or redirect is"),
    ],
)  # fmt: skip
def test_redirects_that_are_wrong(problems, value, line):
    """Each with its cure."""
    assert told(problems, "listeners", value) == [line]


def test_a_redirect_needs_a_listener_for_https(problems):
    """And a route needs one that serves it."""
    assert "listeners.a: redirects to a listener of mode http, and there is none" in told(
        problems, "listeners", f"{{{REDIRECT}}}}}"
    )


def test_routes_are_served_on_listeners_for_https_only(problems, load_text):
    """By default on all of them; a redirect that is named serves none."""
    text = with_section(BASE, "listeners", f"{{{REDIRECT}}}, b: {{bind: b:2}}}}")
    route = "routes: [{path: /, upstream: legacy, listeners: [a, b]}]\n"

    assert load_text(text + ROUTES).settings.routes[0].listeners == ("b",)
    assert [line.split(": ", 1)[1] for line in problems(text + route)] == [
        "routes[0].listeners[0]: a is of mode redirect, which serves no routes: name the listener that it leads to"
    ]


@pytest.mark.parametrize(
    "value",
    [
        "{origins: [https://a.test], methods: [GET]}",
        "{origins: ['https://a.test:8443', 'http://localhost:3000', 'http://[::1]:81', 'https://[::1]'], methods: [GET]}",
        "{origins: ['*'], methods: [GET, PUT], headers: [], max_age: 0}",
        "{origins: [https://a.test], methods: [GET], headers: [X-A], max_age: 1d, credentials: true}",
    ],
)
def test_preflights_that_are_right(problems, value):
    """Origins as browsers send them."""
    assert told(problems, "routes", f"[{{path: /, upstream: legacy, preflight: {value}}}]") == []


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("{origins: [], methods: [GET]}", "origins: needs at least one origin; leave the key away for none"),
        ("{origins: [https://a.test], methods: []}", "methods: needs at least one method; leave the key away for none"),
        ("{origins: [https://a.test/], methods: [GET]}", "origins[0]: must be an origin as browsers send it, such as https://app.example.org, or *"),
        ("{origins: ['null'], methods: [GET]}", "origins[0]: must be an origin as browsers send it, such as https://app.example.org, or *"),
        ("{origins: [a.test], methods: [GET]}", "origins[0]: must be an origin as browsers send it, such as https://app.example.org, or *"),
        ("{origins: [ftp://a.test], methods: [GET]}", "origins[0]: must be an origin as browsers send it, such as https://app.example.org, or *"),
        ("{origins: ['https://*.a.test'], methods: [GET]}", "origins[0]: a browser's origin is compared whole: no wildcard within it"),
        ("{origins: ['https://a.test:443'], methods: [GET]}", "origins[0]: browsers leave the default port away: https://a.test"),
        ("{origins: ['http://a.test:080'], methods: [GET]}", "origins[0]: the port of an origin is a number without zeros before it"),
        ("{origins: [https://A.test], methods: [GET]}", "origins[0]: hosts are written in lower case: a.test"),
        ("{origins: ['*', https://a.test], methods: [GET]}", "origins: * is every origin: let it stand alone"),
        ("{origins: ['*'], methods: [GET], credentials: true}", "credentials: browsers refuse this with `origins: [*]`: name the origins that may send cookies"),
        ("{origins: ['*'], methods: [GET], max_age: 25h}", "max_age: must be at most 1d: no browser remembers longer"),
        ("{origins: ['*'], methods: [GET, PUT]}", "methods[1]: PUT is not in the methods of this route"),
        ("{origins: ['*'], methods: [TRACE]}", "methods[0]: TRACE is never forwarded"),
        ("{origins: ['*'], methods: [GET], headers: ['X A']}", "headers[0]: a header's name is letters, digits and hyphens, as in X-Api-Key"),
    ],
)  # fmt: skip
def test_preflights_that_are_wrong(problems, value, line):
    """What no browser sends, and what would grant more than was meant."""
    route = f"[{{path: /, upstream: legacy, methods: [GET], preflight: {value}}}]"

    assert told(problems, "routes", route) == [f"routes[0].preflight.{line}"]


@pytest.mark.parametrize("value", ["[]", "[websocket]", "[WebSocket, proto/1.0, tcp-x]"])
def test_upgrades_that_are_right(problems, value):
    """None, the usual one, any other with or without a version."""
    assert told(problems, "routes", f"[{{path: /, upstream: legacy, upgrades: {value}}}]") == []


@pytest.mark.parametrize("name", ["h2c", "H2C", "h2", "h3", "HTTP/2.0", "http", "TLS/1.0", "spdy/3"])
def test_an_upgrade_to_http_is_refused(problems, name):
    """Requests in the tunnel would pass every check."""
    line = (
        f"routes[0].upgrades[0]: {name.partition('/')[0]} would carry further requests through the tunnel, "
        "past every check of this proxy: it is never allowed"
    )

    assert told(problems, "routes", f"[{{path: /, upstream: legacy, upgrades: [{name}]}}]") == [line]


@pytest.mark.parametrize("name", ["''", "'a b'", "a/", "/1", "a/1/2", "'websocket, h2c'"])
def test_an_upgrade_that_is_no_protocol_is_refused(problems, name):
    """RFC 9110, 7.8: a token, and perhaps a version, which is one too."""
    line = "routes[0].upgrades[0]: a protocol is a token, with a version or without, such as websocket or proto/1.0"

    assert told(problems, "routes", f"[{{path: /, upstream: legacy, upgrades: [{name}]}}]") == [line]


@pytest.mark.parametrize("key", ["failures_per_minute", "websockets_per_user"])
@pytest.mark.parametrize(("value", "good"), [("1", True), ("1000000", True), ("off", True), ("0", False), ("1000001", False),
                                             ("-1", False), ("'5'", False), ("true", False), ("none", False), ("1.5", False)])  # fmt: skip
def test_a_cap_is_a_number_or_off(problems, load_text, key, value, good):
    """Nothing that could mean none or any at all."""
    wrong = f"limits.{key}: must be off, or a whole number between 1 and 1000000"

    assert told(problems, "limits", f"{{{key}: {value}}}") == ([] if good else [wrong])


COLOUR = 'must be a colour such as "#1b5e9e", in quotes: a bare # begins a comment'


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (
            '{name: "Example Water Works", accent: "#1b5e9e", accent_dark: "#F5B301", style: a.css, refused: a.html}',
            None,
        ),
        ("{}", None),
        ("{name: " + "x" * 80 + "}", None),
        ("{name: " + "x" * 81 + "}", "pages.name: must be one line of at most 80 characters"),
        ('{name: "a\\nb"}', "pages.name: must be one line of at most 80 characters"),
        ("{accent: }", f"pages.accent: {COLOUR}"),
        ("{accent: red}", f"pages.accent: {COLOUR}"),
        ('{accent_dark: "#fff"}', f"pages.accent_dark: {COLOUR}"),
        ("{accent: 123456}", f"pages.accent: {COLOUR}"),
    ],
)
def test_pages(problems, value, line):
    """Text that fits a line, colours that cannot be anything else in a stylesheet."""
    assert told(problems, "pages", value) == ([line] if line else [])


@pytest.mark.parametrize(("number", "count"), [(0, 0), (16, 0), (17, 1), (-1, 1)])
def test_the_number_of_session_tickets_has_bounds(problems, minimal, number, count):
    """OpenSSL's store of them is not without end."""
    told = problems(minimal.replace("keystore: main}}", f"keystore: main, tls: {{session_tickets: {number}}}}}}}"))

    assert len(told) == count
    assert all("listeners.public.tls.session_tickets" in one for one in told)
