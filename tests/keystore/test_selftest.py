"""The handshake in memory that every new context must pass."""

import ssl
from datetime import UTC, datetime

import pytest

from authproxy.errors import MaterialError
from authproxy.keystore import ClientCertificates, ClientMode, Truststore, self_test, server_context

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = [V12, V13]


@pytest.fixture
def keystores(server, deep_server, middle, root):
    return server.keystore(), server.keystore(root=root), deep_server.keystore(middle)


@pytest.mark.parametrize("minimum", VERSIONS)
@pytest.mark.parametrize("mode", ClientMode)
def test_self_test_passes_for_every_mode(mode, minimum, keystores, root):
    """A good context passes, whether or not it asks for certificates, with and without a root or intermediates."""
    trust = Truststore(name="t", certificates=(root.certificate,), source="t.pem")
    demand = ClientCertificates(mode=mode, trust=trust)

    for keystore in keystores:
        self_test(server_context(keystore, minimum=minimum, client=demand), keystore)


def test_self_test_passes_for_a_self_signed_certificate(issue):
    """It is its own anchor."""
    keystore = issue("self").keystore()

    self_test(server_context(keystore, minimum=V12), keystore)


def test_self_test_leaves_dates_to_the_check(issue, root):
    """An unchanged certificate that expired meanwhile must not stop the reload of something else."""
    keystore = issue("old", root, end=datetime(2021, 1, 1, tzinfo=UTC)).keystore()

    self_test(server_context(keystore, minimum=V12), keystore)


def test_self_test_fails_for_a_certificate_that_cannot_serve(client):
    """A client's certificate is refused by the throwaway client, as real ones would."""
    keystore = client.keystore()

    with pytest.raises(
        MaterialError, match=r"main.pem: the self-test handshake \(TLSv1_3\) failed: CERTIFICATE_VERIFY_FAILED \(unsuit"
    ):
        self_test(server_context(keystore, minimum=V12), keystore)


def test_self_test_fails_for_the_context_of_another_keystore(server, issue, root):
    """A context that shows something else is found out, even when the authority is the same."""
    other = issue("other", root).keystore(root=root)

    with pytest.raises(MaterialError, match="the certificate shown is not the keystore's"):
        self_test(server_context(server.keystore(), minimum=V12), other)


def test_self_test_fails_when_there_is_no_common_suite(server):
    """A context that cannot shake hands in TLS 1.2 is refused although 1.3 works."""
    context = server_context(server.keystore(), minimum=V12)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")

    with pytest.raises(MaterialError, match=r"the self-test handshake \(TLSv1_2\) failed"):
        self_test(context, server.keystore())
