"""A refused client learns why, under both loops."""

import asyncio
import socket
import ssl

import pytest
import uvloop
from typing_extensions import override

from authproxy.keystore import ClientCertificates, ClientMode, Truststore, client_context, server_context

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

    def run(context, caller, wrap=True):
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(_call(context, caller, wrap))

    return run


class _Greeter(asyncio.Protocol):
    @override
    def connection_made(self, transport):
        transport.write(b"hello")
        transport.close()


async def _call(context, caller, wrap):
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        client = asyncio.create_task(asyncio.to_thread(_client, listener.getsockname(), caller))
        sock, _ = await loop.sock_accept(listener)
        given = context.for_socket(sock) if wrap else context
        failure = None
        try:
            await loop.connect_accepted_socket(_Greeter, sock, ssl=given, ssl_handshake_timeout=10)
        except OSError as error:
            failure = error
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
    """The facade changes nothing for those who may come in."""
    trust = Truststore(name="t", certificates=(root.certificate,), source="t.pem")

    assert call(strict, client_context(trust, client.keystore())) == (None, b"hello")


def test_context_works_without_the_facade(call, strict, client, root):
    """The context itself can be given to a loop, too; refused clients then see a closed connection."""
    trust = Truststore(name="t", certificates=(root.certificate,), source="t.pem")

    assert call(strict, client_context(trust, client.keystore()), wrap=False) == (None, b"hello")


def test_loops_take_the_facade_for_a_context(strict):
    """Both ask isinstance."""
    left, right = socket.socketpair()
    with left, right:
        assert isinstance(strict.for_socket(left), ssl.SSLContext)


def test_peer_that_is_gone_needs_no_explanation(strict, caller):
    """A closed socket does not turn the failure of the handshake into another one."""
    left, right = socket.socketpair()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_end = strict.for_socket(left).wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(b"GET / HTTP/1.1\r\n\r\n")
    left.close()
    right.close()

    with pytest.raises(ssl.SSLError, match=r"HTTP_REQUEST|http request"):
        server_end.do_handshake()
