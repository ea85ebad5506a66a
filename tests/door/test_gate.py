"""The gate: whoever is refused after his handshake is closed unheard, on both loops; whoever is not notices nothing."""

import contextlib
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.door import acceptor, gate
from authproxy.door.contexts import Contexts
from authproxy.keystore import Demand, Denied, PeerFault, Truststore, certificate_names
from tests.door.test_acceptor import House
from tests.wire.ends import tls_peer

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def der(path):
    """The first certificate of a PEM file."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def demanding(material, **more):
    """A demand for certificates of the authority."""
    trust = Truststore(name="t", certificates=(der(material.authority),), source="ca.pem")
    return Demand(**{"is_required": True, "trust": trust, **more})


def door(material, demand, version="1.3"):
    """One that asks for certificates."""
    return Contexts(default=material.server_side(version, wants_client=True), demand=demand)


async def call(house, context, session=None):
    """Somebody through his handshake."""
    peer = tls_peer(await house.call(), context, server=False)
    if session is not None:
        peer.session.session = session
    await peer.shake()
    return peer


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_whoever_is_refused_is_closed_unheard(version, run, material):
    """A clean end, no protocol, one line, one count; and what he sends at once is read by nobody."""
    named = certificate_names(der(material.client).public_bytes(Encoding.DER))
    made = demanding(material)
    made = replace(made, trust=replace(made.trust, denied=Denied(keys=frozenset({named.spki}))))

    async def scene():
        house = House(door(material, made, version))
        peer = await call(house, material.client_side(version, shows=material.client))
        with contextlib.suppress(ConnectionError):
            await peer.send(b"GET / HTTP/1.1\r\n\r\n")
        await house.until(lambda: house.reports)
        assert await peer.rest() == b""

        ((_, reason, detail),) = house.reports
        assert reason == PeerFault.DENIED.value
        assert named.fingerprint in detail
        assert house.protocols == []
        assert house.stats.handshake_failures == {"certificate-denied": 1}
        assert house.stats.handshakes == 0
        peer.plain.close()
        await house.empty()

    run(scene())


def test_what_counts_is_what_is_demanded_at_the_end_of_the_handshake(run, material):
    """A reload that comes while somebody shakes hands is obeyed."""

    async def scene():
        house = House(door(material, demanding(material)))
        peer = tls_peer(await house.call(), material.client_side(shows=material.client), server=False)
        await house.until(lambda: house.caps._unfinished)
        house.acceptor.contexts = door(material, demanding(material, allow=()))
        await peer.shake()
        await house.until(lambda: house.reports)

        assert house.reasons == [PeerFault.NOT_ALLOWED.value]
        peer.plain.close()
        await house.empty()

    run(scene())


def test_a_gate_that_fails_ends_the_connection(run, material, complaints, monkeypatch):
    """It has no deadline any more and no protocol yet: who is silent would stay, and stay counted, for good."""

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(acceptor, "judge_peer", fail)

    async def scene():
        house = House(door(material, demanding(material)))
        peer = await call(house, material.client_side(shows=material.client))
        assert await peer.rest() == b""
        assert peer.how == "cut"
        assert house.protocols == []
        peer.plain.close()
        await house.empty()

    run(scene())

    assert [type(one["exception"]) for one in complaints] == [ZeroDivisionError]
    complaints.clear()


@pytest.mark.parametrize("kept", ["in a ticket", "in the cache"])
def test_a_resumed_session_is_judged_with_what_was_shown_before(kept, run, material):
    """TLS 1.2: OpenSSL verifies nothing then, and the chain is proved here, with the dates of this moment."""
    contexts = door(material, demanding(material), "1.2")
    if kept == "in the cache":
        contexts.default.options |= ssl.OP_NO_TICKET

    async def scene():
        house = House(contexts)
        context = material.client_side("1.2", shows=material.client)
        first = await call(house, context)
        await house.until(lambda: len(house.protocols) == 1)
        session = first.session.session
        for now, expected in ((NOW, 2), (datetime(2049, 1, 1, tzinfo=UTC) - timedelta(seconds=1), 3)):
            house.acceptor._now = partial(max, now, now)
            again = await call(house, context, session)
            assert again.session.session_reused
            await house.until(lambda expected=expected: len(house.protocols) == expected or house.reports)
            assert house.reports == []
            again.plain.close()
        assert house.stats.sessions == {("TLSv1.2", "full"): 1, ("TLSv1.2", "resumed"): 2}
        house.acceptor._now = lambda: datetime(2049, 1, 1, tzinfo=UTC)
        refused = await call(house, context, session)
        await house.until(lambda: house.reports)
        assert house.reasons == [PeerFault.EXPIRED.value]
        refused.plain.close()
        first.plain.close()
        await house.empty()

    run(scene())


def test_who_asks_for_no_certificates_pays_nothing(run, material, monkeypatch):
    """The gate is not even asked."""
    monkeypatch.setattr(gate, "_chain_of", None)

    async def scene():
        house = House(Contexts(default=material.server_side()))
        peer = tls_peer(await house.call(), material.client_side(), server=False)
        await peer.shake()
        await house.until(lambda: house.protocols)
        peer.plain.close()
        await house.empty()

    run(scene())
