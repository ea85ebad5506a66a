"""Zones that know users by certificate: what goes together, both sides of each rule."""

import pytest

BASE = """\
version: 1
keystores: {main: {file: server.pem}}
truststores: {ca: {file: ca.pem}}
listeners:
  public: {bind: 0.0.0.0:8443, client_certificates: {mode: optional, trust: ca}}
  deaf: {bind: 0.0.0.0:9443}
catalogs: {users: {kind: file, file: tokens.yaml}}
zones: {api: ZONE}
upstreams: {legacy: https://legacy.internal:9443}
routes: [{path: /, upstream: legacy, listeners: [LISTENERS]}]
"""
TOKENS = "prefix: svc, peppers: [{file: pepper}], catalog: users"
MAP = "certificate: {from: [uri, dns], users: users.yaml}"
NOTHING_SAYS = (
    "zones.api: takes certificates, and nothing says whose they are: "
    "add `certificate: {trust: NAME, from: [uri], users: FILE}`"
)
PEPPERS = "references to the secrets that hashes are keyed with, newest first: old ones still verify"
PREFIX = "the text that every token of this zone begins with, up to its first underscore; letter case does not count"
ASK = "add `client_certificates: {mode: optional, trust: NAME}` there"
CONTRADICTION = "zones.api.require: names what `accepts` leaves out, and the other way round: name it there too"


@pytest.fixture
def told(problems):
    """`told(zone)` returns what is wrong, without places."""

    def ask(zone, listeners="public", base=BASE):
        lines = problems(base.replace("ZONE", zone).replace("LISTENERS", listeners))
        return [line.split(": ", 1)[1] for line in lines]

    return ask


@pytest.mark.parametrize(
    "zone",
    [
        f"{{{TOKENS}}}",
        f"{{{TOKENS}, accepts: [token, certificate], {MAP}}}",
        f"{{{TOKENS}, accepts: [certificate], {MAP}}}",
        f"{{catalog: users, accepts: [certificate], {MAP}}}",
        f"{{catalog: users, require: [certificate], {MAP}}}",
        f"{{{TOKENS}, require: [certificate, token], {MAP}}}",
        f"{{{TOKENS}, accepts: [token], require: [certificate, token], {MAP}}}",
        f"{{{TOKENS}, accepts: [token, certificate], require: [certificate], {MAP}}}",
        f"{{{TOKENS}, accepts: [token, certificate], require: [], {MAP}}}",
        "{catalog: users, accepts: [certificate], certificate: {trust: ca, from: [uri, dns, cn]}}",
        "{catalog: users, accepts: [certificate], certificate: {from: [uri, spiffe, dns, email, cn, fingerprint], users: f}}",
    ],
)
def test_good_zones(told, zone):
    """A zone without tokens needs neither prefix nor peppers; the only truststore is the default."""
    assert told(zone) == []


@pytest.mark.parametrize(
    ("zone", "line"),
    [
        (f"{{catalog: users, {MAP}, accepts: [token, certificate], prefix: svc}}",
         f"zones.api.peppers: is needed where tokens count: {PEPPERS}"),
        (f"{{catalog: users, {MAP}, require: [certificate, token], peppers: [{{env: A}}]}}",
         f"zones.api.prefix: is needed where tokens count: {PREFIX}"),
        (f"{{{TOKENS}, accepts: [certificate]}}", NOTHING_SAYS),
        (f"{{{TOKENS}, require: [certificate, token]}}", NOTHING_SAYS),
        (f"{{{TOKENS}, {MAP}}}",
         "zones.api.certificate: has no effect: add certificate to `accepts` or to `require`, or take this away"),
        (f"{{{TOKENS}, {MAP}, accepts: [token, certificate], require: [token]}}",
         "zones.api.certificate: has no effect: add certificate to `accepts` or to `require`, or take this away"),
        (f"{{{TOKENS}, {MAP}, accepts: [token], require: [certificate]}}", CONTRADICTION),
        (f"{{{TOKENS}, accepts: [token, certificate], certificate: {{from: [cn, uri, cn]}}}}",
         "zones.api.certificate.from[2]: cn stands twice: keep one"),
        (f"{{{TOKENS}, accepts: [token, certificate], certificate: {{from: []}}}}",
         "zones.api.certificate.from: needs at least one kind of name; leave the key away for none"),
        (f"{{{TOKENS}, accepts: [token, certificate], certificate: {{from: [name]}}}}",
         "zones.api.certificate.from[0]: must be one of uri, spiffe, dns, email, cn, fingerprint"),
        (f"{{{TOKENS}, accepts: [], {MAP}}}",
         "zones.api.accepts: needs at least one credential; leave the key away for none"),
        (f"{{{TOKENS}, require: [session], {MAP}}}",
         "zones.api.require[0]: session is not available in this version: token or certificate is"),
        (f"{{{TOKENS}, accepts: [token, certificate], certificate: {{from: [cn], trust: cb}}}}",
         "zones.api.certificate.trust: unknown truststore (known: ca)"),
    ],
)  # fmt: skip
def test_bad_zones(told, zone, line):
    """Each with its cure."""
    assert told(zone) == [line]


@pytest.mark.parametrize("kind", ["spiffe", "email", "fingerprint"])
def test_some_names_need_a_map(told, kind):
    """They can never be a user id."""
    zone = f"{{{TOKENS}, accepts: [token, certificate], certificate: {{from: [uri, {kind}]}}}}"

    assert told(zone) == [
        f"zones.api.certificate.from[1]: {kind} is never a user id itself: add `users: FILE`, which says whose it is"
    ]


@pytest.mark.parametrize(
    ("zone", "listeners", "key"),
    [
        (f"{{{TOKENS}, accepts: [token, certificate], {MAP}}}", "deaf", "accepts"),
        (f"{{catalog: users, accepts: [certificate], {MAP}}}", "deaf, public", "accepts"),
        (f"{{{TOKENS}, require: [certificate, token], {MAP}}}", "deaf, public", "require"),
    ],
)
def test_a_certificate_must_be_asked_for(told, zone, listeners, key):
    """On every listener where nothing else would do, and on one at least."""
    assert told(zone, listeners) == [
        f"zones.api.{key}: nobody can show a certificate on listener deaf, where routes of this zone are served: {ASK}"
    ]


def test_a_token_will_do_where_no_certificate_is_asked_for(told):
    """As long as another listener asks."""
    assert told(f"{{{TOKENS}, accepts: [token, certificate], {MAP}}}", "deaf, public") == []


def test_of_several_truststores_one_is_named(told):
    """There is no default then."""
    base = BASE.replace("{ca: {file: ca.pem}}", "{ca: {file: ca.pem}, other: {file: other.pem}}")

    assert told(f"{{{TOKENS}, accepts: [token, certificate], {MAP}}}", base=base) == [
        "zones.api.certificate.trust: is needed where there is more than one: ca or other"
    ]


def test_a_misspelt_key_is_told_once(told):
    """That it is lacking under its right name only follows from that."""
    assert told("{prefx: svc, peppers: [{file: pepper}], catalog: users}") == [
        'zones.api.prefx: unknown key (did you mean "prefix"?)'
    ]


def test_a_certificate_that_nobody_is_asked_for_is_not_told(told):
    """A header that would never be set."""
    base = BASE + "identity: {headers: {X-Forwarded-Client-Cert: certificate}}\n"

    assert told(f"{{{TOKENS}}}", base=base) == []
    deaf = base.replace(", client_certificates: {mode: optional, trust: ca}", "")
    assert told(f"{{{TOKENS}}}", base=deaf) == [
        "identity.headers.X-Forwarded-Client-Cert: no listener asks for certificates: "
        + ASK.replace(" there", " to one")
    ]
