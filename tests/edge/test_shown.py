"""A certificate on one connection: judged once for each zone, and dead at its end."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.core.client_name import ClientName, Source
from authproxy.core.decision import Deny, Reason
from authproxy.core.record import UserId
from authproxy.edge import shown as module
from authproxy.edge.shown import Shown
from authproxy.keystore import Demand, Denied, Truststore, fingerprint
from authproxy.runtime import CertificateRules
from tests.conformance.cards import issue

ALICE = UserId(UUID("550e8400-e29b-41d4-a716-446655440000").bytes)
USERS = {ClientName(Source.CN, "alice"): ALICE}
# Every card is valid then: they begin when they are made, which may be long after this file was read.
NOW = datetime.now(UTC) + timedelta(hours=12)


@pytest.fixture(scope="module")
def root():
    return issue(authority=True, cn="root")


@pytest.fixture(scope="module")
def card(root):
    return issue(root, cn="alice")


def trust(*issued):
    return Truststore(name="t", certificates=tuple(one.certificate for one in issued), source="t.pem")


def rules(root, users=None):
    return CertificateRules(
        demand=Demand(is_required=True, trust=trust(root)), sources=(Source.CN,), users=users or USERS
    )


@pytest.fixture(scope="module")
def session(root, card, tmp_path_factory):
    """The server's end of a handshake in memory with that card."""
    file = tmp_path_factory.mktemp("cards") / "card.pem"
    file.write_bytes(card.certificate_pem() + card.key_pem())
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.load_cert_chain(file)
        context.load_verify_locations(cadata=trust(root).der())
    client.check_hostname, client.verify_mode, server.verify_mode = False, ssl.CERT_NONE, ssl.CERT_REQUIRED
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
    waiting = list(ends)
    while waiting:
        waiting = [end for end in waiting if _waits(end)]
    return ends


def _waits(end):
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return True
    return False


@pytest.fixture
def shown(card, session):
    return Shown(card.certificate.public_bytes(Encoding.DER), session[1])


def reason(found):
    assert isinstance(found, Deny)
    assert not found.presented
    return found.reason


def test_the_zone_s_own_trust_counts(shown, root, card):
    """The chain that was verified leads to it, or does not; a single leaf may be believed by itself."""
    assert shown.user(rules(root), NOW) == ALICE
    assert shown.user(rules(card), NOW) == ALICE
    other = shown.user(rules(issue(authority=True, cn="root")), NOW)
    assert reason(other) is Reason.CERTIFICATE_UNTRUSTED
    assert "does not lead to t.pem" in other.detail


def test_the_zone_s_own_deny_list_counts(shown, root, card):
    """Whatever the listener's says."""
    denied = Denied(certificates=frozenset({fingerprint(card.certificate)}))
    strict = Demand(is_required=True, trust=replace(trust(root), denied=denied))

    found = shown.user(CertificateRules(demand=strict, sources=(Source.CN,), users=USERS), NOW)

    assert reason(found) is Reason.CERTIFICATE_UNTRUSTED
    assert "certificate-denied" in found.detail


def test_without_a_session_nobody_is_trusted(card, root):
    """Fail closed."""
    shown = Shown(card.certificate.public_bytes(Encoding.DER), None)

    assert reason(shown.user(rules(root), NOW)) is Reason.CERTIFICATE_UNTRUSTED


def test_what_cannot_be_read_is_nobody(session, root):
    """Though the door lets no such certificate through."""
    assert reason(Shown(b"x", session[1]).user(rules(root), NOW)) is Reason.CERTIFICATE_NAME_REFUSED


def test_a_certificate_is_dead_at_the_instant_of_its_end(shown, card, root):
    """Though the connection stands and was judged before."""
    own, end = rules(root), card.certificate.not_valid_after_utc

    assert shown.user(own, end - timedelta(microseconds=1)) == ALICE
    assert reason(shown.user(own, end)) is Reason.CERTIFICATE_EXPIRED


def test_each_zone_is_asked_once(shown, root, monkeypatch):
    """New rules, as after a reload, are another question."""
    asked = []

    def user_of(name, users):
        asked.append(name)
        return users.get(name)

    monkeypatch.setattr(module, "user_of", user_of)
    one, other = rules(root), rules(root, {ClientName(Source.CN, "bob"): ALICE})

    found = [shown.user(each, NOW) for each in (one, other, one, other)]

    assert found[::2] == [ALICE, ALICE]
    assert [reason(each) for each in found[1::2]] == [Reason.UNKNOWN_CERTIFICATE] * 2
    assert len(asked) == 2


def test_old_rules_are_not_kept_for_ever(shown, root):
    """A connection that outlives many reloads does not keep their maps alive."""
    for _ in range(50):
        shown.user(rules(root), NOW)

    assert len(shown._verdicts) <= 8
