"""Truststores: bundles of certificates that are believed."""

import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.errors import MaterialError
from authproxy.keystore import (
    ClientCertificates,
    ClientMode,
    Refusals,
    Truststore,
    client_context,
    load_truststore,
    server_context,
    with_refusals,
)
from tests.keystore.conftest import CLIENT_AUTH, SIGNS
from tests.keystore.revocation import NOW, crl_of, pem


def test_bundle_is_listed_in_order(put, root, other_root):
    """Every certificate once, in the order of the file; comments and keys beside them count for nothing."""
    path = put("ca.pem", f"# ours\n{root.cert_pem}{other_root.cert_pem}{root.cert_pem}", 0o644)

    trust = load_truststore("clients", path)

    assert trust.certificates == (root.certificate, other_root.certificate)
    assert (trust.name, trust.source) == ("clients", str(path))


def test_fingerprint_changes_with_the_set_only(put, root, other_root):
    """Order and repetition do not make another truststore; a certificate more or less does."""
    one = load_truststore("t", put("1", root.cert_pem + other_root.cert_pem))
    two = load_truststore("t", put("2", other_root.cert_pem + root.cert_pem + root.cert_pem))
    three = load_truststore("t", put("3", root.cert_pem))

    assert one.fingerprint == two.fingerprint != three.fingerprint
    assert len(one.fingerprint) == 64


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda pem: "", "no CERTIFICATE block: the text holds no PEM block at all"),
        (lambda pem: "garbage", "no CERTIFICATE block: the text holds no PEM block at all"),
        (lambda pem: pem.replace("MII", "NII", 1), r"block 1 \(CERTIFICATE\) is no certificate"),
        (lambda pem: pem + pem.replace("MII", "M!I", 1), r"block 2 \(CERTIFICATE\) is damaged"),
        (lambda pem: pem + pem[:-30], "the text is cut off"),
        (lambda pem: pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), "block 1 is a TRUSTED CERTIFICATE: OpenSSL's own form"),
        (lambda pem: pem.replace("CERTIFICATE", "X509 CRL"), "no CERTIFICATE block, only a revocation list"),
    ],
)  # fmt: skip
def test_bad_bundle_is_refused(change, problem, put, root):
    """Empty, garbled or half a bundle is refused whole: half a trust would lock half the clients out."""
    with pytest.raises(MaterialError, match=problem):
        load_truststore("clients", put("ca.pem", change(root.cert_pem), 0o644))


def test_binary_certificate_is_refused_with_a_command(put, root):
    """DER is told by content."""
    with pytest.raises(MaterialError, match="is binary DER, convert it"):
        load_truststore("clients", put("ca.pem", root.certificate.public_bytes(Encoding.DER), 0o644))


def test_missing_bundle_is_refused(tmp_path):
    """A truststore that is not there is no empty truststore."""
    with pytest.raises(MaterialError, match="there is no such file"):
        load_truststore("clients", tmp_path / "ca.pem")


@pytest.mark.parametrize("bits", [2047, 2048])
def test_an_authority_with_a_small_key_is_told(bits, put, issue, root):
    """OpenSSL refuses whoever it has issued; what revocation lists have to tell comes on top."""
    small = issue("small", None, SIGNS, key=rsa.generate_private_key(public_exponent=65537, key_size=bits))
    path = put("ca.pem", root.cert_pem + small.cert_pem, 0o644)
    wanted = (f"{path}: not believed: CN=small: its RSA key has {bits} bits, should be at least 2048",)
    trust = load_truststore("clients", path)
    lists = Refusals(crls=(put("root.crl", pem(crl_of(root)), 0o644),))
    listed = with_refusals(trust, lists, NOW)

    assert trust.notes == (wanted if bits == 2047 else ())
    assert [note for note in listed.notes if "has no list" not in note] == list(trust.notes)
    assert len(listed.notes) == len(trust.notes) + 1


def test_nobody_comes_in_by_an_authority_with_a_small_key(issue, root, server, shake):
    """Which is what the note says."""
    small = issue("small", None, SIGNS, key=rsa.generate_private_key(public_exponent=65537, key_size=1024))
    trust = Truststore(name="t", certificates=(small.certificate, root.certificate), source="t.pem")
    client = ClientCertificates(mode=ClientMode.REQUIRED, trust=trust)
    context = server_context(server.keystore(), minimum=ssl.TLSVersion.TLSv1_2, client=client)
    believed = Truststore(name="s", certificates=(root.certificate,), source="s.pem")

    shake(context, client_context(believed, issue("good", root, CLIENT_AUTH).keystore()))
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake(context, client_context(believed, issue("weak", small, CLIENT_AUTH).keystore()))
