"""Names in certificates: read whole, hostile ones too, or refused by name."""

import base64
import hashlib
import ipaddress
import subprocess
import warnings
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authproxy.core.certificate import shown
from authproxy.errors import UnreadableCertificate
from authproxy.keystore import certificate_names
from authproxy.keystore.names import public_key_info

SAN = x509.SubjectAlternativeName


@pytest.fixture(scope="module")
def make(root):
    """`make(*extensions, subject=)` returns a certificate in DER."""
    key = ec.generate_private_key(ec.SECP256R1())

    def sign(*extensions, subject=()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attributes = [x509.NameAttribute(oid, value, _validate=False) for oid, value in subject]
        builder = (
            x509.CertificateBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]), x509.Name(attributes))
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2049, 1, 1, tzinfo=UTC))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(root.key, hashes.SHA256()).public_bytes(Encoding.DER)

    return sign


def test_every_name_is_read(make):
    """Each kind of name in its place, in order; the subject's e-mail address is none of the alternative names."""
    der = make(
        SAN([
            x509.UniformResourceIdentifier("spiffe://example.org/job"),
            x509.DNSName("job.example.org"),
            x509.DNSName("*.example.org"),
            x509.RFC822Name("job@example.org"),
            x509.IPAddress(ipaddress.ip_address("10.0.0.7")),
            x509.IPAddress(ipaddress.ip_address("::1")),
            x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "no")])),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
            x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),
        ]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        subject=[
            (NameOID.COMMON_NAME, "job"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "a"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "b"),
            (NameOID.COMMON_NAME, "other"),
            (NameOID.EMAIL_ADDRESS, "no@example.org"),
        ],
    )  # fmt: skip

    names = certificate_names(der)

    assert names.uris == ("spiffe://example.org/job",)
    assert names.dns == ("job.example.org", "*.example.org")
    assert names.emails == ("job@example.org",)
    assert names.ips == ("10.0.0.7", "::1")
    assert names.common_names == ("job", "other")
    assert names.units == ("a", "b")
    assert names.subject == "1.2.840.113549.1.9.1=no@example.org,CN=other,OU=b,OU=a,CN=job"
    assert names.issuer == "CN=root"
    assert names.fingerprint == hashlib.sha256(der).hexdigest()
    assert names.serial == 7
    assert (names.not_before.year, names.not_after) == (2020, datetime(2049, 1, 1, tzinfo=UTC))
    assert names.usages == frozenset({"1.3.6.1.5.5.7.3.2"})
    assert not names.is_authority


def test_a_certificate_without_names_has_none(make):
    """Nothing is made up."""
    names = certificate_names(make())

    assert (names.uris, names.dns, names.emails, names.ips, names.common_names, names.units) == ((),) * 6
    assert (names.subject, names.usages, names.is_authority) == ("", None, False)


def test_an_authority_says_so(root):
    """By its basic constraints."""
    assert certificate_names(root.certificate.public_bytes(Encoding.DER)).is_authority


def test_a_version_1_certificate_is_read(tmp_path, tool):
    """As openssl writes them without extensions: the key stands one place further to the front."""
    openssl = tool("openssl")
    run = {"cwd": tmp_path, "check": True, "capture_output": True}
    subprocess.run([openssl, *["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "k.pem", "-subj", "/CN=old", "-out", "r.pem"]], **run)  # fmt: skip
    subprocess.run(
        [openssl, *["x509", "-req", "-in", "r.pem", "-signkey", "k.pem", "-outform", "DER", "-out", "c.der"]], **run
    )
    spki = subprocess.run([openssl, *["pkey", "-in", "k.pem", "-pubout", "-outform", "DER"]], **run).stdout

    der = (tmp_path / "c.der").read_bytes()
    names = certificate_names(der)

    assert x509.load_der_x509_certificate(der).version is x509.Version.v1
    assert names.common_names == ("old",)
    assert names.spki == hashlib.sha256(spki).hexdigest()


def test_the_key_is_the_one_that_openssl_pins(server, rsa_key, issue):
    """The same bytes as in the certificate, elliptic or RSA."""
    for person in (server, issue("rsa", None, key=rsa_key)):
        der = person.certificate.public_bytes(Encoding.DER)
        spki = person.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

        assert public_key_info(person.certificate.tbs_certificate_bytes) == spki
        assert certificate_names(der).spki == hashlib.sha256(spki).hexdigest()


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("a\nb", "CN=a\\0Ab"),
        ("a\0b", "CN=a\\00b"),
        ("a\x1b[2J", "CN=a\\1B[2J"),
        ("\u202eevil", "CN=\\E2\\80\\AEevil"),
        ("a\u2028b", "CN=a\\E2\\80\\A8b"),
        ('a,b=c;"d"', 'CN=a\\,b=c\\;\\"d\\"'),
        (" a", "CN=\\ a"),
        ("Jürgen", "CN=Jürgen"),
        ("", "CN="),
        ("x" * 5000, "CN=" + "x" * 5000),
    ],
)  # fmt: skip
def test_hostile_names_are_kept_as_they_are_and_shown_escaped(make, name, subject):
    """Whoever decides sees every character; whoever reads the log sees none that moves the cursor."""
    names = certificate_names(make(SAN([x509.DNSName(name.encode().decode("latin-1"))]) if name.isascii() else SAN([x509.DNSName("a")]), subject=[(NameOID.COMMON_NAME, name)]))  # fmt: skip

    assert names.common_names == (name,)
    assert not name.isascii() or names.dns == (name,)
    assert names.subject == subject


def test_what_is_shown_is_printable():
    """Lone surrogates too."""
    assert shown("a\ud800\u200f\x7f") == "a\\ED\\A0\\80\\E2\\80\\8F\\7F"


@pytest.mark.parametrize(
    "extension",
    [
        pytest.param(("2.5.29.17", b"garbage"), id="alternative names that are none"),
        pytest.param(("2.5.29.17", b"\x30\x07\x87\x05\x01\x02\x03\x04\x05"), id="an address of five bytes"),
        pytest.param(("2.5.29.17", b"\x30\x04\xa3\x02\x30\x00"), id="an X.400 address"),
        pytest.param(("2.5.29.17", b"\x30\x03\x82\x01\xff"), id="a host name that is no text"),
        pytest.param(("2.5.29.37", b"\x30\x00\x00"), id="usages with a tail"),
        pytest.param(("2.5.29.19", b""), id="constraints without contents"),
    ],
)
def test_a_broken_extension_is_refused_by_name(make, extension):
    """It might be the one that says who this is not; nothing else is raised."""
    oid, value = extension

    with pytest.raises(UnreadableCertificate):
        certificate_names(make(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)))


def test_an_extension_twice_is_refused_by_name(make):
    """Two readers would believe two different ones."""
    der = make(SAN([x509.DNSName("a.example")]), x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.18"), SAN([x509.DNSName("b.example")]).public_bytes()))  # fmt: skip

    with pytest.raises(UnreadableCertificate, match="DuplicateExtension"):
        certificate_names(der.replace(b"\x06\x03U\x1d\x12", b"\x06\x03U\x1d\x11"))


@pytest.mark.parametrize(
    "der", [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x00", b"-----BEGIN CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_refused_by_name(der):
    """Nothing else is raised."""
    with pytest.raises(UnreadableCertificate):
        certificate_names(der)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=300)
@given(data=st.data())
def test_damage_never_escapes(client, data):
    """Whatever bytes are changed, there are names or the one error."""
    der = bytearray(client.certificate.public_bytes(Encoding.DER))
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))

    try:
        names = certificate_names(bytes(der))
    except UnreadableCertificate:
        return
    assert names.fingerprint == hashlib.sha256(der).hexdigest()


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_no_bytes_break_the_walk_to_the_key(tbs):
    """A cut or mad length is refused as a value that is wrong."""
    try:
        found = public_key_info(tbs)
    except ValueError:
        return
    assert found in tbs


def test_the_pin_of_a_known_certificate(client):
    """In the form in which pins are written, base64 of the same digest."""
    spki = client.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = bytes.fromhex(certificate_names(client.certificate.public_bytes(Encoding.DER)).spki)

    assert base64.b64encode(digest) == base64.b64encode(hashlib.sha256(spki).digest())
