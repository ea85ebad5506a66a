"""Pins are what other programs call them, and match the own certificate's key only."""

import base64
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.keystore.generate import Algorithm, Validity, alternative_name, new_authority, new_server
from authproxy.keystore.pins import pin_judge, pin_of


@pytest.fixture(scope="module")
def validity():
    from datetime import UTC, datetime

    return Validity.of_days(datetime.now(UTC), 5)


@pytest.fixture(scope="module")
def root(validity):
    return new_authority("root", validity, Algorithm.EC_P256)


@pytest.fixture(scope="module", params=list(Algorithm))
def server(request, root, validity):
    return new_server(root, [alternative_name("localhost")], validity, request.param)


def der(issued):
    return x509.load_pem_x509_certificate(issued.certificate_pem()).public_bytes(Encoding.DER)


def test_a_pin_is_what_openssl_makes_of_it(server, tmp_path):
    """By the command that the documentation gives."""
    openssl = shutil.which("openssl")
    assert openssl is not None
    (tmp_path / "c.pem").write_bytes(server.certificate_pem())
    key = subprocess.run([openssl, "x509", "-in", tmp_path / "c.pem", "-noout", "-pubkey"], capture_output=True)
    info = subprocess.run([openssl, "pkey", "-pubin", "-outform", "der"], input=key.stdout, capture_output=True)
    digest = subprocess.run([openssl, "dgst", "-sha256", "-binary"], input=info.stdout, capture_output=True)

    assert pin_of(der(server)) == "sha256/" + base64.b64encode(digest.stdout).decode()


def test_one_of_several_pins_is_enough(server, root):
    """The next key stands beside the present one."""
    judge = pin_judge([pin_of(der(root)), pin_of(der(server))], "upstreams.a.pins")

    assert judge(der(server)) == ""


def test_another_key_is_told_with_its_pin(server, root):
    """So that an operator can compare; the authority's pin does not stand for what it has signed."""
    fault = pin_judge([pin_of(der(root))], "upstreams.a.pins")(der(server))

    assert pin_of(der(server)) in fault
    assert "upstreams.a.pins" in fault


@pytest.mark.parametrize("shown", [b"", b"\x30\x00", b"nonsense"])
def test_what_cannot_be_read_is_not_pinned(shown):
    """Nor is nothing at all."""
    assert "cannot be read" in pin_judge(["sha256/x"], "pins")(shown)
