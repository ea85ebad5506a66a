"""What is asked of a keystore before it is used."""

import ipaddress
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from authproxy.errors import MaterialError
from authproxy.keystore import Role, check, load_file, remarks

NOW = datetime(2027, 1, 1, tzinfo=UTC)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
SERVER_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
CLIENT_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
ANY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
LOCALHOST = x509.SubjectAlternativeName([x509.DNSName("localhost")])


def names(*dns: str, ip: str | None = None) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    return x509.SubjectAlternativeName([*found, x509.IPAddress(ipaddress.ip_address(ip))] if ip else found)


def usage(*, digital_signature: bool) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature, False, True, False, False, False, False, False, False)


@pytest.fixture(scope="module")
def dated(issue, root):
    return issue("dated", root, LOCALHOST, begin=BEGIN, end=END).keystore()


@pytest.mark.parametrize("role", Role)
def test_good_keystore_passes(role, issue, root):
    """A certificate without usages, with a name, from an authority, fits every role."""
    check(issue("good", root, LOCALHOST).keystore(), role, NOW)


def test_first_instant_is_valid(dated):
    """Not-before is inclusive."""
    check(dated, Role.SERVER, BEGIN)


def test_instant_before_is_not(dated, second):
    """A certificate of tomorrow is refused, and the clock is suspected."""
    with pytest.raises(MaterialError, match=r"CN=dated is not valid before 2026-01-01T00:00:00\+00:00 \(is the clock"):
        check(dated, Role.SERVER, BEGIN - second)


def test_second_before_the_end_is_valid(dated, second):
    """The last second counts."""
    check(dated, Role.SERVER, END - second)


def test_instant_of_the_end_is_not(dated):
    """The end is exclusive."""
    with pytest.raises(
        MaterialError, match=r"main.pem: the certificate CN=dated expired on 2028-01-01T00:00:00\+00:00"
    ):
        check(dated, Role.SERVER, END)


def test_expired_issuer_counts(issue, root):
    """Peers refuse a chain for its weakest link, so it is refused here."""
    middle = issue("old middle", root, x509.BasicConstraints(True, None), end=datetime(2026, 1, 1, tzinfo=UTC))
    own = issue("own", middle, LOCALHOST)

    with pytest.raises(MaterialError, match="CN=old middle expired"):
        check(own.keystore(middle), Role.SERVER, NOW)


def test_expired_root_counts(issue):
    """The root of a keys file is what the peers trust, and they look at its dates, too."""
    root = issue("old root", None, x509.BasicConstraints(True, None), end=BEGIN)
    keystore = issue("own", root, LOCALHOST).keystore(root=root)

    assert keystore.not_after == BEGIN
    with pytest.raises(MaterialError, match="CN=old root expired"):
        check(keystore, Role.TCP, NOW)


def test_days_left_are_rounded_down(dated, second):
    """0 on the last day, negative once it is over; the earliest end of the chain decides."""
    assert dated.days_left(BEGIN) == 730
    assert dated.days_left(END - second) == 0
    assert dated.days_left(END) == 0
    assert dated.days_left(END + second) == -1
    assert dated.not_after == END


@pytest.mark.parametrize("bits", [1024, 2047])
def test_small_rsa_key_is_refused(bits, issue, root):
    """Below 2048 bits RSA is not enough."""
    own = issue("small", root, LOCALHOST, key=rsa.generate_private_key(public_exponent=65537, key_size=bits))

    with pytest.raises(MaterialError, match=f"the RSA key has {bits} bits, should be at least 2048"):
        check(own.keystore(), Role.SERVER, NOW)


def test_rsa_2048_passes(issue, root, rsa_key):
    """2048 bits are enough."""
    check(issue("enough", root, LOCALHOST, key=rsa_key).keystore(), Role.SERVER, NOW)


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP224R1()])
def test_curve_outside_tls_13_is_refused(curve, issue, root):
    """A curve that TLS 1.3 cannot sign with is refused at load, not at the handshake."""
    own = issue("odd", root, LOCALHOST, key=ec.generate_private_key(curve))

    with pytest.raises(MaterialError, match=rf"on the curve {curve.name}, should be P-256, P-384 or P-521"):
        check(own.keystore(), Role.SERVER, NOW)


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_weak_signature_is_refused(digest, tool, put, rsa_key, issue):
    """SHA-1 and MD5 signatures are refused, also in a self-signed certificate."""
    key = put("key", issue("x", key=rsa_key).key_pem())
    made = subprocess.run(
        [tool("openssl"), "req", "-x509", "-new", f"-{digest}", "-key", key, "-subj", "/CN=weak", "-days", "9000",
         "-addext", "subjectAltName=DNS:localhost"], capture_output=True, check=True)  # fmt: skip
    keystore = load_file("main", put("weak.pem", made.stdout + key.read_bytes()), None)

    with pytest.raises(MaterialError, match=f"CN=weak is signed with {digest}, should be sha256"):
        check(keystore, Role.SERVER, NOW)


@pytest.mark.parametrize(
    ("role", "extension"),
    [
        (Role.SERVER, SERVER_AUTH), (Role.TCP, SERVER_AUTH), (Role.CLIENT, CLIENT_AUTH),
        (Role.SERVER, ANY), (Role.CLIENT, ANY), (Role.SERVER, usage(digital_signature=True)),
    ],
)  # fmt: skip
def test_fitting_usage_passes(role, extension, issue, root):
    """The role's own usage, or any."""
    check(issue("fits", root, LOCALHOST, extension).keystore(), role, NOW)


@pytest.mark.parametrize(
    ("role", "extension", "problem"),
    [
        (Role.SERVER, CLIENT_AUTH, "lacks serverAuth"),
        (Role.TCP, CLIENT_AUTH, "lacks serverAuth"),
        (Role.CLIENT, SERVER_AUTH, "lacks clientAuth"),
        (Role.SERVER, usage(digital_signature=False), "lacks digitalSignature"),
    ],
)
def test_other_usage_is_refused(role, extension, problem, issue, root):
    """A client's certificate on a listener, or the reverse, would be refused by every peer."""
    with pytest.raises(MaterialError, match=problem):
        check(issue("wrong", root, LOCALHOST, extension).keystore(), role, NOW)


@pytest.mark.parametrize("extensions", [(), (x509.SubjectAlternativeName([x509.RFC822Name("a@example.org")]),)])
def test_nameless_certificate_is_for_tcp_and_clients_only(extensions, issue, root):
    """An http listener needs a name; nREPL's certificates have none and are fine elsewhere."""
    keystore = issue("nameless", root, *extensions).keystore()

    check(keystore, Role.TCP, NOW)
    check(keystore, Role.CLIENT, NOW)
    with pytest.raises(MaterialError, match="no subject alternative name, clients ignore the common name"):
        check(keystore, Role.SERVER, NOW)


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("a.example.org", True), ("A.Example.ORG", True), ("a.example.org.", True),
        ("x.wild.example.org", True), ("*.wild.example.org", True), ("10.0.0.7", True),
        ("example.org", False), ("b.a.example.org", False), ("y.x.wild.example.org", False),
        ("wild.example.org", False), ("*.example.org", False), ("10.0.0.8", False), ("named", False),
        ("10.0.0.9", False), ("", False), (".", False),
    ],
)  # fmt: skip
def test_names_are_compared_as_clients_do(name, covered, issue, root):
    """Exactly, or one left-most wildcard label; an address only by an address entry; the common name never."""
    keystore = issue("named", root, names("a.example.org", "*.wild.example.org", "10.0.0.9", ip="10.0.0.7")).keystore()

    assert keystore.covers(name) is covered
    if covered:
        check(keystore, Role.SERVER, NOW, [name])
    else:
        with pytest.raises(MaterialError, match=r"does not cover .* \(it covers: a.example.org, \*.wild"):
            check(keystore, Role.SERVER, NOW, [name])


def test_nameless_certificate_covers_nothing(issue, root):
    """Its common name is no name."""
    assert not issue("localhost", root).keystore().covers("localhost")


def test_ipv6_address_is_covered_in_any_spelling(issue, root):
    """An address is a number, not a text."""
    keystore = issue("six", root, names(ip="2001:db8::1")).keystore()

    assert keystore.covers("2001:DB8:0::1")
    assert keystore.covers("[2001:db8::1]")
    assert not keystore.covers("2001:db8::2")


def test_hostile_subject_does_not_forge_a_line(issue, root, second):
    """Control and direction characters of a subject are escaped in messages."""
    keystore = issue("a\nb\u202ec", root, LOCALHOST, end=END).keystore()

    with pytest.raises(MaterialError) as caught:
        check(keystore, Role.SERVER, END)

    assert r"CN=a\nb\u202ec" in str(caught.value)


def test_fingerprint_is_that_of_openssl(tool, put, server):
    """SHA-256 of the DER form, as `openssl x509 -fingerprint` prints it."""
    shown = subprocess.run(
        [tool("openssl"), "x509", "-in", put("c", server.cert_pem), "-noout", "-fingerprint", "-sha256"],
        capture_output=True, text=True, check=True)  # fmt: skip

    assert shown.stdout.strip().partition("=")[2].replace(":", "").lower() == server.keystore().fingerprint


@pytest.mark.parametrize(("days", "noted"), [(825, False), (826, True)])
def test_a_server_whose_certificate_lasts_too_long_is_noted(days, noted, issue, root):
    """Some clients refuse it; nobody looks at that of a client, or at one for nREPL."""
    made = issue("long", root, LOCALHOST, begin=BEGIN, end=BEGIN + timedelta(days=days)).keystore()
    told = remarks(made, [Role.CLIENT, Role.SERVER])

    assert told == (
        ("main.pem: the certificate CN=long is valid for 826 days: some clients refuse more than 825",) if noted else ()
    )
    assert remarks(made, [Role.CLIENT, Role.TCP]) == ()
    check(made, Role.SERVER, BEGIN)
