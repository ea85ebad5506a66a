"""A refused client learns why, under both loops."""

import asyncio
import socket
import ssl

import pytest
import uvloop
from typing_extensions import override

from authproxy.keystore import ClientCertificates, ClientMode, Truststore, client_context, server_context
from authproxy.wire.tls import TlsTransport

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def strict(server, root):
    trust = Truststore(name="t", certificates=(root.certificate,), source="t.pem")
    return server_context(
        server.keystore(), minimum=V12, client=ClientCertificates(mode=ClientMode.REQUIRED, trust=trust)
    )


@pytest.fixture(params=LOOPS)
def call(request):
    """`call(context, client_context)` is what server and client saw: (exception or None, bytes or exception)."""

    def run(context, caller):
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(_call(context, caller))

    return run


class _Greeter(asyncio.Protocol):
    @override
    def connection_made(self, transport):
        transport.write(b"hello")
        transport.close()


async def _call(context, caller):
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        client = asyncio.create_task(asyncio.to_thread(_client, listener.getsockname(), caller))
        sock, _ = await loop.sock_accept(listener)
        shaken = loop.create_future()
        transport = TlsTransport(loop, sock, context, lambda _, error: shaken.set_result(error))
        transport.shake()
        failure = await shaken
        if failure is None:
            transport.begin(_Greeter())
        return failure, await client


def _client(address, caller):
    try:
        with (
            socket.create_connection(address, timeout=10) as raw,
            caller.wrap_socket(raw, server_hostname="localhost") as sock,
        ):
            return sock.recv(100)
    except OSError as error:
        return error


@pytest.fixture
def caller(root):
    return client_context(Truststore(name="t", certificates=(root.certificate,), source="t.pem"))


def test_client_without_certificate_reads_the_reason(call, strict, caller):
    """In TLS 1.3 the client thinks it is through already, then reads `certificate required`."""
    failure, seen = call(strict, caller)

    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in str(failure)
    assert isinstance(seen, ssl.SSLError)
    assert seen.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


def test_client_of_tls_12_reads_the_reason(call, strict, caller):
    """TLS 1.2 has no better word than `handshake failure`."""
    caller.maximum_version = V12

    failure, seen = call(strict, caller)

    assert failure is not None
    assert getattr(seen, "reason", None) == "SSLV3_ALERT_HANDSHAKE_FAILURE"


def test_client_of_another_authority_reads_the_reason(call, strict, root, issue):
    """`unknown ca`."""
    stranger = issue("stranger").keystore()
    caller = client_context(Truststore(name="t", certificates=(root.certificate,), source="t.pem"), stranger)

    _, seen = call(strict, caller)

    assert getattr(seen, "reason", None) in ("TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE")


def test_client_with_an_old_version_reads_the_reason(call, server, caller):
    """`protocol version`, before anything was agreed."""
    caller.maximum_version = V12

    _, seen = call(server_context(server.keystore(), minimum=V13), caller)

    assert getattr(seen, "reason", None) == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_good_client_is_served(call, strict, client, root):
    """Whoever may come in hears nothing of this."""
    trust = Truststore(name="t", certificates=(root.certificate,), source="t.pem")

    assert call(strict, client_context(trust, client.keystore())) == (None, b"hello")
