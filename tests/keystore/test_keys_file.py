"""The variants of nREPL's keys file that people were seen to have, each with its verdict."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import PrivateFormat

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore import load_file, load_text

SEC1 = PrivateFormat.TraditionalOpenSSL
EC_PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


@dataclass(frozen=True)
class Cast:
    """Who may appear in a keys file."""

    root: Any
    other_root: Any
    own: Any
    other: Any
    modest: Any
    """A self-signed certificate that does not say that it may issue others."""
    of_modest: Any
    kinds: dict[str, Any]


@pytest.fixture(scope="session")
def cast(root, other_root, server, issue, rsa_key):
    kinds = {
        "p384": issue("p384", root, key=ec.generate_private_key(ec.SECP384R1())),
        "p521": issue("p521", root, key=ec.generate_private_key(ec.SECP521R1())),
        "rsa": issue("rsa", root, key=rsa_key),
        "ed25519": issue("ed25519", root, key=ed25519.Ed25519PrivateKey.generate()),
        "ed448": issue("ed448", root, key=ed448.Ed448PrivateKey.generate()),
        "expired": issue("expired", root, end=datetime(2021, 1, 1, tzinfo=UTC)),
    }
    modest = issue("modest")
    return Cast(root, other_root, server, issue("other", root), modest, issue("of modest", modest), kinds)


def keys(cast, own=None, key=None) -> str:
    own = own or cast.own
    return cast.root.cert_pem + own.cert_pem + (own.key_pem() if key is None else key)


def one_line(text: str) -> str:
    return text.replace("\n", "\\n")


ACCEPTED: dict[str, Callable[[Cast], str]] = {
    "EC P-256, PKCS#8": keys,
    "EC P-384, PKCS#8": lambda c: keys(c, c.kinds["p384"]),
    "EC P-521, PKCS#8": lambda c: keys(c, c.kinds["p521"]),
    "RSA, PKCS#8": lambda c: keys(c, c.kinds["rsa"]),
    "RSA, PKCS#1": lambda c: keys(c, c.kinds["rsa"], c.kinds["rsa"].key_pem(SEC1)),
    "Ed25519": lambda c: keys(c, c.kinds["ed25519"]),
    "Ed448": lambda c: keys(c, c.kinds["ed448"]),
    "SEC1": lambda c: keys(c, key=c.own.key_pem(SEC1)),
    "EC PARAMETERS before SEC1": lambda c: keys(c, key=EC_PARAMETERS + c.own.key_pem(SEC1)),
    "key first": lambda c: c.own.key_pem() + c.root.cert_pem + c.own.cert_pem,
    "key in the middle": lambda c: c.root.cert_pem + c.own.key_pem() + c.own.cert_pem,
    "own before root": lambda c: c.own.cert_pem + c.root.cert_pem + c.own.key_pem(),
    "text around the blocks": lambda c: f"# mine\nsubject=CN = é\n{keys(c)}\nbye -----\n",
    "CRLF": lambda c: keys(c).replace("\n", "\r\n"),
    "CR only": lambda c: keys(c).replace("\n", "\r"),
    "no newline at the end": lambda c: keys(c).rstrip(),
    "a third certificate": lambda c: c.root.cert_pem + c.own.cert_pem + c.other.cert_pem + c.own.key_pem(),
    "everything twice": lambda c: keys(c) + keys(c),
    "expired": lambda c: keys(c, c.kinds["expired"]),
    "byte order mark": lambda c: "\ufeff" + keys(c),
    "indented, as out of YAML": lambda c: re.sub("^", "    ", keys(c), flags=re.MULTILINE),
    "tabs": lambda c: re.sub("^", "\t", keys(c), flags=re.MULTILINE),
    "literal backslash n": lambda c: one_line(keys(c)),
    "literal backslash r backslash n": lambda c: keys(c).replace("\n", "\\r\\n"),
    "doubly escaped": lambda c: keys(c).replace("\n", "\\\\n"),
    "spaces for newlines": lambda c: keys(c).replace("\n", " "),
    "in quotes": lambda c: f'"{one_line(keys(c))}"',
    "bodies on one line": lambda c: re.sub(r"(?<=[A-Za-z0-9+/=])\n(?=[A-Za-z0-9+/=])", "", keys(c)),
}


@pytest.mark.parametrize("variant", ACCEPTED)
def test_variant_is_read_from_file_and_environment(variant, cast, put):
    """Whatever order, encoding or mangling, the same parts come out of the file and out of a variable."""
    text = ACCEPTED[variant](cast)

    from_file = load_file("nrepl", put("server.keys", text), None)
    from_variable = load_text("nrepl", text, "$KEYS", None)

    for keystore in (from_file, from_variable):
        assert keystore.root == cast.root.certificate
        assert keystore.chain == (keystore.leaf,)
        assert keystore.leaf.public_key() == keystore.key.public_key()
        assert keystore.leaf != cast.root.certificate


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, SEC1])
def test_encrypted_key_is_read_with_its_password(form, cast):
    """Both encryptions that OpenSSL writes are decrypted, also after newlines were lost."""
    text = keys(cast, key=cast.own.key_pem(form, b"sesame"))

    for mangled in (text, text.replace("\n", " "), one_line(text)):
        assert load_text("nrepl", mangled, "$KEYS", Secret(b"sesame")).leaf == cast.own.certificate


def test_base64_of_the_file_is_read_from_the_environment(cast):
    """`base64 -w0 server.keys`, or with line breaks, is decoded, and the operator hears of it."""
    plain = base64.b64encode(keys(cast).encode()).decode()
    wrapped = "\n".join(re.findall(".{1,76}", plain))

    for text in (plain, wrapped + "\n"):
        keystore = load_text("nrepl", text, "$KEYS", None)

        assert keystore.leaf == cast.own.certificate
        assert keystore.notes == ("$KEYS: holds the base64 of a keys file; decoded",)


def test_base64_of_something_else_is_no_keys_file():
    """Base64 that hides no PEM is refused as a text without blocks."""
    with pytest.raises(MaterialError, match=r"^\$KEYS: no PRIVATE KEY block: the text holds no PEM block at all$"):
        load_text("nrepl", base64.b64encode(b"hello").decode(), "$KEYS", None)


def test_mangled_newlines_are_told(cast):
    """A text with backslash and n in place of newlines works, with a note, since nREPL itself would refuse it."""
    keystore = load_text("nrepl", one_line(keys(cast)), "$KEYS", None)

    assert keystore.notes == ("$KEYS: holds the two characters \\n in place of newlines; read as newlines",)


def test_third_certificate_is_told(cast):
    """A certificate that is no part of the chain is not sent, and the note says whose it is."""
    keystore = load_text("nrepl", ACCEPTED["a third certificate"](cast), "$KEYS", None)

    assert keystore.notes == ("$KEYS: not sent, because it is not part of the chain: CN=other",)


REFUSED: dict[str, tuple[Callable[[Cast], str], str]] = {
    "empty": (lambda c: "", "no PRIVATE KEY block: the text holds no PEM block at all"),
    "no key": (lambda c: c.root.cert_pem + c.own.cert_pem, r"no PRIVATE KEY block \(it holds: CERTIFICATE\)"),
    "no certificate": (lambda c: c.own.key_pem(), r"no CERTIFICATE block \(it holds: PRIVATE KEY\)"),
    "root missing": (lambda c: c.own.cert_pem + c.own.key_pem(), "no CERTIFICATE block of a root that issued the own"),
    "own missing": (lambda c: c.root.cert_pem + c.own.key_pem(), r"no certificate belongs to the private key \(found: CN=root\)"),
    "key of another": (lambda c: keys(c, key=c.other.key_pem()), "no certificate belongs to the private key"),
    "two different keys": (lambda c: keys(c) + c.other.key_pem(), "holds two different private keys"),
    "root that is no authority": (
        lambda c: c.modest.cert_pem + c.of_modest.cert_pem + c.of_modest.key_pem(),
        "no CERTIFICATE block of a root that issued the own certificate .*the root says CA:TRUE",
    ),
    "root of another": (
        lambda c: c.other_root.cert_pem + c.own.cert_pem + c.own.key_pem(),
        r"\(CN=server\) was not issued by the root \(CN=other root\)",
    ),
    "old label": (lambda c: keys(c).replace("CERTIFICATE", "X509 CERTIFICATE"), "block 1 is a X509 CERTIFICATE: an old label"),
    "encrypted without password": (
        lambda c: keys(c, key=c.own.key_pem(password=b"sesame")),
        r"block 3 \(ENCRYPTED PRIVATE KEY\) is encrypted and no password is given",
    ),
    "traditionally encrypted without password": (
        lambda c: keys(c, key=c.own.key_pem(SEC1, b"sesame")),
        r"block 3 \(EC PRIVATE KEY\) is encrypted and no password is given",
    ),
    "certificate request": (
        lambda c: keys(c).replace("BEGIN CERT", "BEGIN NEW CERT").replace("END CERT", "END NEW CERT").replace("ATE-", "ATE REQUEST-"),
        "no CERTIFICATE block, only a certificate request",
    ),
    "cut off": (lambda c: keys(c)[:-40], "BEGIN PRIVATE KEY without its END PRIVATE KEY, the text is cut off"),
    "cut off inside": (
        lambda c: keys(c).replace("-----END CERTIFICATE-----", "", 1),
        "BEGIN CERTIFICATE without its END CERTIFICATE",
    ),
    "damaged base64": (lambda c: keys(c).replace("MII", "M*I", 1), r"block 1 \(CERTIFICATE\) is damaged: its body is not base64"),
    "damaged certificate": (
        lambda c: keys(c).replace(c.root.cert_pem, c.root.cert_pem.replace("MII", "NII", 1)),
        r"block 1 \(CERTIFICATE\) is no certificate",
    ),
    "damaged key": (lambda c: keys(c).replace("PRIVATE KEY-----\nMI", "PRIVATE KEY-----\nNI"), r"block 3 \(PRIVATE KEY\) cannot be read: is damaged"),
    "ssh key": (
        lambda c: keys(c, key=c.own.key_pem(PrivateFormat.OpenSSH)),
        "block 3 is a OPENSSH PRIVATE KEY: an ssh key, rewrite it with ssh-keygen",
    ),
    "unknown key": (lambda c: keys(c).replace("PRIVATE KEY", "FISH PRIVATE KEY"), "block 3 is a FISH PRIVATE KEY, which is not known"),
}  # fmt: skip


@pytest.mark.parametrize("variant", REFUSED)
def test_variant_is_refused_naming_block_and_cure(variant, cast):
    """What nREPL notices late or never is refused at load, in one line that says what to do."""
    make, problem = REFUSED[variant]

    with pytest.raises(MaterialError, match=problem) as caught:
        load_text("nrepl", make(cast), "$KEYS", None)

    assert caught.value.source == "$KEYS"
    assert "\n" not in str(caught.value)


def test_wrong_password_is_told(cast):
    """A password that does not fit is told from one that is missing."""
    text = keys(cast, key=cast.own.key_pem(password=b"sesame"))

    with pytest.raises(MaterialError, match="the password is wrong, or the block is damaged"):
        load_text("nrepl", text, "$KEYS", Secret(b"simsala"))


def test_password_for_a_plain_key_does_no_harm(cast):
    """A key that was decrypted meanwhile is read although the configuration still names a password."""
    assert load_text("nrepl", keys(cast), "$KEYS", Secret(b"sesame")).leaf == cast.own.certificate


def test_intermediate_has_no_place_in_a_keys_file(cast, deep_server, middle, root):
    """Peers of nREPL know the root only and the own certificate is presented alone, so this could never work."""
    text = root.cert_pem + deep_server.cert_pem + middle.cert_pem + deep_server.key_pem()

    with pytest.raises(MaterialError, match="a keys file has no intermediate certificates"):
        load_text("nrepl", text, "$KEYS", None)


def test_key_never_shows(cast):
    """Neither the keystore nor an error about it prints the private key."""
    keystore = load_text("nrepl", keys(cast), "$KEYS", None)

    assert "PrivateKey" not in repr(keystore)
    assert "BEGIN" not in repr(keystore)
