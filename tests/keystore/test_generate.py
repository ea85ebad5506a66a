"""Development certificates are good certificates."""

import ipaddress
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore import (
    ClientCertificates,
    ClientMode,
    Role,
    Truststore,
    check,
    client_context,
    load_text,
    self_test,
    server_context,
)
from authproxy.keystore.blocks import decode, read_blocks
from authproxy.keystore.combined import from_text
from authproxy.keystore.generate import (
    Algorithm,
    Issued,
    Validity,
    alternative_name,
    combined_file,
    keys_file,
    new_authority,
    new_client,
    new_server,
)
from authproxy.keystore.load import load_file
from authproxy.keystore.writing import NewFile, write_all

NOW = datetime(2027, 1, 1, tzinfo=UTC)
VALIDITY = Validity(begin=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2049, 1, 1, tzinfo=UTC))
NAMES = [alternative_name("localhost"), alternative_name("127.0.0.1")]


@pytest.fixture(scope="module", params=[Algorithm.EC_P256, Algorithm.EC_P384, Algorithm.RSA, Algorithm.ED25519])
def family(request) -> tuple[Issued, Issued, Issued]:
    authority = new_authority("test root", VALIDITY, request.param)
    server = new_server(authority, NAMES, VALIDITY, request.param)
    return authority, server, new_client(authority, "client", VALIDITY, request.param)


def test_keys_files_are_accepted_for_their_roles(family):
    """What is made here is read here, and passes every check for its own role only."""
    authority, server, client = family
    shown = load_text("s", keys_file(authority, server).decode(), "s", None)
    presented = load_text("c", keys_file(authority, client).decode(), "c", None)

    check(shown, Role.SERVER, NOW, ["localhost", "127.0.0.1"])
    check(shown, Role.TCP, NOW)
    check(presented, Role.CLIENT, NOW)
    assert shown.root == presented.root == authority.certificate
    assert shown.notes == ()
    with pytest.raises(MaterialError, match="lacks clientAuth"):
        check(shown, Role.CLIENT, NOW)


def test_mutual_tls_works(family, shake):
    """Server and client of one family meet, also by IP address."""
    authority, server, client = family
    shown = load_text("s", keys_file(authority, server).decode(), "s", None)
    presented = load_text("c", keys_file(authority, client).decode(), "c", None)
    trust = Truststore(name="t", certificates=(authority.certificate,), source="t")
    context = server_context(shown, minimum=ssl.TLSVersion.TLSv1_3, client=ClientCertificates(mode=ClientMode.REQUIRED))

    self_test(context, shown)
    for name in ("localhost", "127.0.0.1"):
        assert shake(context, client_context(trust, presented), name).server.getpeercert()


def test_openssl_finds_nothing_to_complain_about(family, tool, tmp_path):
    """The strict verification that Python 3.13 switches on passes, for the right purpose and not for the other."""
    authority, server, client = family
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem())

    def verify(own: Issued, purpose: str) -> int:
        (tmp_path / "own.pem").write_bytes(own.certificate_pem())
        command = [tool("openssl"), "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "own.pem"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True).returncode

    assert verify(server, "sslserver") == verify(client, "sslclient") == 0
    assert verify(server, "sslclient") != 0
    assert verify(client, "sslserver") != 0


def test_extensions_are_those_of_a_careful_authority(family):
    """Path length 0, key identifiers that lead to the root, one usage each, random serials of 128 bits."""
    authority, server, client = family
    root = authority.certificate.extensions
    constraints = root.get_extension_for_class(x509.BasicConstraints)
    serials = {each.certificate.serial_number for each in family}

    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert root.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert {serial.bit_length() for serial in serials} == {128}
    assert len(serials) == 3
    for own, usage in ((server, ExtendedKeyUsageOID.SERVER_AUTH), (client, ExtendedKeyUsageOID.CLIENT_AUTH)):
        found = own.certificate.extensions
        issuer = found.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert own.certificate.version is x509.Version.v3
        assert list(found.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
        assert issuer == root.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def test_names_are_written_as_asked(family):
    """Host names and addresses, in order; a client has none."""
    _, server, client = family
    names = server.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert list(names) == [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    with pytest.raises(x509.ExtensionNotFound):
        client.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_validity_is_back_dated():
    """Five minutes for clocks that are behind, and the asked days after now."""
    validity = Validity.of_days(NOW, 30)

    assert (NOW - validity.begin, validity.end - NOW) == (timedelta(minutes=5), timedelta(days=30))


def test_combined_file_has_no_root(family):
    """The file for http listeners holds leaf and key, nothing else."""
    keystore = load_text_combined(combined_file(family[1]))

    assert keystore.root is None
    assert keystore.chain == (family[1].certificate,)


def load_text_combined(data):
    return from_text("main", read_blocks(decode(data), "x"), "x", None)


def test_kept_key_is_encrypted(family):
    """The authority's key opens with its password and shows nothing without."""
    pem = family[0].key_pem(Secret(b"sesame"))

    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert load_pem_private_key(pem, b"sesame").public_key() == family[0].certificate.public_key()
    with pytest.raises(TypeError):
        load_pem_private_key(pem, None)


def test_key_never_shows(family):
    """The repr of what was issued has no key."""
    assert "rivate" not in repr(family)


@pytest.mark.parametrize("text", ["localhost", "a.b-c.example", "*.example.org", "x_y.example", "a" * 63 + ".example"])
def test_host_name_is_accepted(text):
    """What a client may look for."""
    assert alternative_name(text) == x509.DNSName(text)


@pytest.mark.parametrize("text", ["10.0.0.1", "::1", "[::1]"])
def test_address_is_accepted(text):
    """An address becomes an address, not a name."""
    assert isinstance(alternative_name(text), x509.IPAddress)


@pytest.mark.parametrize(
    "text",
    ["", ".", "a..b", "-a", "a-", "a b", "a/b", "http://a", "a:443", "*", "a.*.b", "*a.b", "ä.example", "a\n", "10.0.0.256",
     "10.0.0.1/8", "a" * 64, ".".join(["a" * 60] * 5)],
)  # fmt: skip
def test_nonsense_is_no_name(text):
    """Anything else is refused before a certificate is made of it."""
    with pytest.raises(ValueError, match=r"is neither a host name nor|looks like an IP address"):
        alternative_name(text)


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_a_value_error(text):
    """No text gets through that the certificate builder then chokes on."""
    try:
        name = alternative_name(text)
    except ValueError:
        return
    assert str(name.value).isascii()


# ------------------------------------------------------------------ writing


def test_files_are_written_with_their_modes(tmp_path):
    """Modes are exact whatever the umask, directories are made, nothing else is left."""
    files = [
        NewFile(path=tmp_path / "new" / "a.keys", data=b"key"),
        NewFile(path=tmp_path / "new" / "ca.pem", data=b"ca", mode=0o644),
    ]

    write_all(files)

    written = {path.name: (path.read_bytes(), path.stat().st_mode & 0o777) for path in (tmp_path / "new").iterdir()}
    assert written == {"a.keys": (b"key", 0o400), "ca.pem": (b"ca", 0o644)}


def test_existing_file_stops_everything(tmp_path):
    """Neither the existing file nor any of the others is touched."""
    (tmp_path / "b").write_text("mine")
    files = [NewFile(path=tmp_path / name, data=b"new") for name in "abc"]

    with pytest.raises(MaterialError, match=r"b: exists already, nothing was written \(--force replaces it\)"):
        write_all(files)

    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_existing_file_is_replaced_when_wished(tmp_path):
    """Also one that may not be written, as keys are."""
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o400)

    write_all([NewFile(path=tmp_path / "a", data=b"new")], replace=True)

    assert (tmp_path / "a").read_text() == "new"


def test_failure_leaves_nothing_behind(tmp_path):
    """When the second file cannot be written, the first is not there, nor any temporary one."""
    (tmp_path / "file").write_text("no directory")
    files = [NewFile(path=tmp_path / "a", data=b""), NewFile(path=tmp_path / "file" / "b", data=b"")]

    with pytest.raises(MaterialError, match=r"file/b: cannot be written: "):
        write_all(files)

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_directory_in_the_way_leaves_nothing_temporary(tmp_path):
    """A directory of that name cannot be replaced, and the temporary file goes."""
    (tmp_path / "a").mkdir()

    with pytest.raises(MaterialError, match="a: cannot be written"):
        write_all([NewFile(path=tmp_path / "a", data=b"")], replace=True)

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_one_path_twice_is_refused(tmp_path):
    """Two contents for one file is a mistake of the caller's wishes, told before anything is written."""
    with pytest.raises(MaterialError, match="would be written twice"):
        write_all([NewFile(path=tmp_path / "a", data=b"1"), NewFile(path=tmp_path / "x" / ".." / "a", data=b"2")])


def test_written_keystore_passes_the_permission_check(tmp_path, family):
    """The modes written are the modes asked for when reading."""
    path = tmp_path / "server.pem"
    write_all([NewFile(path=path, data=combined_file(family[1]))])

    assert load_file("main", path, None).notes == ()
