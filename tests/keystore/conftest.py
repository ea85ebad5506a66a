"""A family of certificates, made once, and two ends that shake hands in memory."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authproxy.keystore import Keystore
from authproxy.keystore.model import PrivateKey

PEM = serialization.Encoding.PEM
SERVER_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
CLIENT_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
LOCALHOST = x509.SubjectAlternativeName([x509.DNSName("localhost")])
SIGNS = x509.BasicConstraints(ca=True, path_length=None)


@dataclass(frozen=True)
class Person:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    @property
    def cert_pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    def key_pem(self, form=serialization.PrivateFormat.PKCS8, password: bytes | None = None) -> str:
        secrecy = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return self.key.private_bytes(PEM, form, secrecy).decode()

    def keystore(self, *issuers: "Person", name: str = "main", root: "Person | None" = None) -> Keystore:
        return Keystore(
            name=name,
            chain=(self.certificate, *(issuer.certificate for issuer in issuers)),
            key=self.key,
            root=root.certificate if root else None,
            source=f"{name}.pem",
        )


Issue = Callable[..., Person]


def _issue(
    common_name: str,
    issuer: Person | None = None,
    *extensions: x509.ExtensionType,
    key: PrivateKey | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> Person:
    # Valid for whoever looks at the machine's clock, as OpenSSL does.
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin or datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(end or datetime(2049, 1, 1, tzinfo=UTC))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    unhashed = isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return Person(builder.sign(signer, None if unhashed else hashes.SHA256()), key)


@pytest.fixture(scope="session")
def issue() -> Issue:
    """`issue(common_name, issuer, *extensions, key=, begin=, end=)` makes a person; without issuer a self-signed one."""
    return _issue


@pytest.fixture(scope="session")
def root() -> Person:
    return _issue("root", None, SIGNS)


@pytest.fixture(scope="session")
def other_root() -> Person:
    return _issue("other root", None, SIGNS)


@pytest.fixture(scope="session")
def middle(root) -> Person:
    return _issue("middle", root, SIGNS)


@pytest.fixture(scope="session")
def server(root) -> Person:
    return _issue("server", root, SERVER_AUTH, LOCALHOST)


@pytest.fixture(scope="session")
def client(root) -> Person:
    return _issue("client", root, CLIENT_AUTH)


@pytest.fixture(scope="session")
def deep_server(middle) -> Person:
    """A server whose certificate was issued by an intermediate."""
    return _issue("deep server", middle, SERVER_AUTH, LOCALHOST)


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """`put(name, text, mode=0o400)` writes a file and returns its path."""

    def write(name: str, text: str | bytes, mode: int = 0o400) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    return write


@dataclass(frozen=True)
class Ends:
    """Both ends of a finished handshake."""

    client: ssl.SSLObject
    server: ssl.SSLObject


@pytest.fixture(scope="session")
def shake() -> Callable[..., Ends]:
    """`shake(server_context, client_context, name)` returns both ends, or raises what went wrong at either."""

    def run(server_context: ssl.SSLContext, client_context: ssl.SSLContext, name: str | None = "localhost") -> Ends:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = Ends(
            client_context.wrap_bio(down, up, server_hostname=name),
            server_context.wrap_bio(up, down, server_side=True),
        )
        waiting = [ends.client, ends.server]
        while waiting:
            waiting = [end for end in waiting if _waits(end)]
        return ends

    return run


def _waits(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return True
    return False


@pytest.fixture
def second() -> timedelta:
    return timedelta(seconds=1)
