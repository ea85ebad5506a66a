"""Truststores: bundles of certificates that are believed."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.errors import MaterialError
from authproxy.keystore import load_truststore


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
