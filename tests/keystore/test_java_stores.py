"""Stores that Java's keytool and openssl really wrote: each is opened, and a client verifies what it serves."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError, SecretError
from authproxy.keystore import Opening, client_context, load_file, load_truststore, self_test, server_context

STORE, OWN = "changeit", "another one"
PASSWORD, OWN_PASSWORD = Secret(STORE.encode()), Secret(OWN.encode())
ALIASES = ("ec", "rsa", "ed25519", "chain")
OPENSSL_WAYS = {
    "modern": [],
    "legacy": ["-legacy"],
    "no MAC": ["-nomac"],
    "MAC of SHA-512": ["-macalg", "sha512"],
    "RC4 and MD5": ["-legacy", "-keypbe", "PBE-MD5-DES", "-certpbe", "PBE-SHA1-RC4-128"],
    "nothing encrypted": ["-keypbe", "NONE", "-certpbe", "NONE"],
    "a name": ["-name", "srv"],
}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="session")
def keytool(tool) -> Callable[..., None]:
    """`keytool(*args)` runs Java's tool with a store password."""

    def run(*args: object) -> None:
        command = [tool("keytool"), *map(str, args), "-noprompt"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    return run


@pytest.fixture(scope="session")
def owners(server, deep_server, middle, root, issue):
    """Who stands under which alias, with what is sent."""
    extensions = [each.value for each in server.certificate.extensions]
    other = issue("rsa", root, *extensions, key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    edwards = issue("ed25519", root, *extensions, key=ed25519.Ed25519PrivateKey.generate())
    return {
        "ec": (server, (server.certificate,)),
        "rsa": (other, (other.certificate,)),
        "ed25519": (edwards, (edwards.certificate,)),
        "chain": (deep_server, (deep_server.certificate, middle.certificate)),
    }


@pytest.fixture(scope="session")
def stores(keytool, owners, root, other_root, tmp_path_factory) -> dict[str, Path]:
    """The same four keys and a trusted certificate in each format that keytool writes."""
    folder = tmp_path_factory.mktemp("stores")
    jks, modern, legacy = folder / "all.jks", folder / "all.p12", folder / "legacy.p12"
    for alias, (owner, sent) in owners.items():
        # As authorities deliver it: with everything up to the root.
        issuers = [*sent[1:], root.certificate]
        one = folder / f"{alias}.p12"
        one.write_bytes(
            pkcs12.serialize_key_and_certificates(
                alias.encode(), owner.key, owner.certificate, issuers, BestAvailableEncryption(STORE.encode())
            )
        )
        source = ["-srckeystore", one, "-srcstoretype", "PKCS12", "-srcstorepass", STORE]
        keytool("-importkeystore", *source, "-destkeystore", jks, "-deststoretype", "JKS", "-deststorepass", STORE)
    (folder / "ca.pem").write_text(other_root.cert_pem)
    keytool("-importcert", "-alias", "ca", "-file", folder / "ca.pem", "-keystore", jks, "-storepass", STORE)
    source = ["-srckeystore", jks, "-srcstorepass", STORE, "-deststorepass", STORE, "-deststoretype"]
    keytool("-importkeystore", *source, "PKCS12", "-destkeystore", modern)
    keytool("-J-Dkeystore.pkcs12.legacy", "-importkeystore", *source, "PKCS12", "-destkeystore", legacy)
    keytool("-importkeystore", *source, "JCEKS", "-destkeystore", folder / "all.jceks")
    for path in folder.iterdir():
        path.chmod(0o400)
    return {"JKS": jks, "PKCS#12": modern, "old PKCS#12": legacy, "JCEKS": folder / "all.jceks"}


@pytest.fixture(scope="session")
def trust_stores(keytool, root, other_root, tmp_path_factory) -> dict[str, Path]:
    """Two authorities in each format that keytool writes."""
    folder = tmp_path_factory.mktemp("trust")
    found = {"JKS": folder / "trust.jks", "PKCS12": folder / "trust.p12"}
    for alias, authority in {"one": root, "two": other_root}.items():
        (folder / f"{alias}.pem").write_text(authority.cert_pem)
    for kind, path in found.items():
        for alias in ("one", "two"):
            source = ["-alias", alias, "-file", folder / f"{alias}.pem"]
            keytool("-importcert", *source, "-keystore", path, "-storetype", kind, "-storepass", STORE)
    return found


@pytest.fixture(scope="session")
def openssl(tool) -> Callable[..., None]:
    """`openssl(*args)` runs the tool."""

    def run(*args: object) -> None:
        done = subprocess.run(
            [tool("openssl"), *map(str, args)], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def dial(put, root, shake):
    """`dial(context)` is the handshake of a client that believes the root and looks for `localhost`."""
    trust = load_truststore("ca", put("root.pem", root.cert_pem, 0o644))
    return lambda context: shake(context, client_context(trust))


@pytest.mark.parametrize("kind", ["JKS", "PKCS#12", "old PKCS#12"])
@pytest.mark.parametrize("alias", ALIASES)
def test_key_is_chosen_by_alias_and_shakes_hands(alias, kind, stores, owners, dial):
    """Own certificate and its issuers, without the root and without the other entries'; a client verifies it."""
    _, chain = owners[alias]

    keystore = load_file("main", stores[kind], Opening(password=PASSWORD, alias=alias))
    context = server_context(keystore, minimum=ssl.TLSVersion.TLSv1_2)
    self_test(context, keystore)
    ends = dial(context)

    assert keystore.chain == chain
    assert (keystore.root, keystore.notes) == (None, ())
    assert ends.client.version() == "TLSv1.3"


@pytest.mark.parametrize("kind", ["JKS", "PKCS#12", "old PKCS#12"])
def test_several_keys_without_alias_are_listed(kind, stores):
    """Nothing is guessed; the message says what may be written."""
    with pytest.raises(MaterialError, match="holds 4 private keys, say which by `alias`: ") as told:
        load_file("main", stores[kind], Opening(password=PASSWORD))

    assert set(told.value.problem.partition("`alias`: ")[2].split(", ")) == set(ALIASES)


@pytest.mark.parametrize("kind", ["JKS", "PKCS#12", "old PKCS#12"])
def test_unknown_alias_is_told_with_the_known(kind, stores):
    """A typing mistake is seen at once."""
    with pytest.raises(MaterialError, match=r"the alias srv is not there, private keys have: \w+, \w+, \w+, \w+$"):
        load_file("main", stores[kind], Opening(password=PASSWORD, alias="srv"))


def test_alias_of_a_trusted_certificate_is_no_key(stores):
    """JKS knows which entries are only trusted."""
    with pytest.raises(MaterialError, match="the alias ca is a trusted certificate, private keys have: "):
        load_file("main", stores["JKS"], Opening(password=PASSWORD, alias="ca"))


def test_case_of_an_alias_does_not_matter(stores, owners):
    """As in Java, which writes them in lower case whatever was typed."""
    keystore = load_file("main", stores["JKS"], Opening(password=PASSWORD, alias="RSA"))

    assert keystore.chain == owners["rsa"][1]


@pytest.mark.parametrize("kind", ["JKS", "PKCS#12", "old PKCS#12"])
@pytest.mark.parametrize("password", [b"wrong", b"changeit\n", b"", b"x" * 5000, "ünïcode".encode()])
def test_wrong_password_is_told(password, kind, stores):
    """In one sentence, without the password; a newline too much is a wrong password."""
    opening = Opening(password=Secret(password), alias="ec")

    with pytest.raises(
        MaterialError, match=r"wrong password or damaged file|needs a password and none is given"
    ) as told:
        load_file("main", stores[kind], opening)

    assert "changeit" not in str(told.value)


@pytest.mark.parametrize("kind", ["JKS", "PKCS#12", "old PKCS#12"])
@pytest.mark.parametrize(("password", "problem"), [(b"a\xffb", "is no UTF-8 text"), (b"change\0it", "holds a NUL")])
def test_password_that_is_no_text_is_told(password, problem, kind, stores, capfd):
    """Nor does it come out anywhere, whatever library it was handed to."""
    with pytest.raises(MaterialError, match=f"the password {problem}") as told:
        load_file("main", stores[kind], Opening(password=Secret(password), alias="ec"))

    assert told.value.__cause__ is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["JKS", "PKCS#12", "old PKCS#12"])
def test_store_without_its_password_is_told(kind, stores):
    """And nobody is asked on a terminal."""
    with pytest.raises(MaterialError, match="none is given"):
        load_file("main", stores[kind], Opening(alias="ec"))


def test_key_with_a_password_of_its_own(keytool, stores, owners, tmp_path):
    """`key_password` opens it, the store's does not, and the message names the key to write."""
    path = tmp_path / "own.jks"
    source = ["-srckeystore", stores["JKS"], "-srcstorepass", STORE, "-srcalias", "ec", "-srckeypass", STORE]
    target = ["-destkeystore", path, "-deststoretype", "JKS", "-deststorepass", STORE, "-destkeypass", OWN]
    keytool("-importkeystore", *source, *target)
    path.chmod(0o400)

    opened = load_file("main", path, Opening(password=PASSWORD, key_password=OWN_PASSWORD))

    assert opened.chain == owners["ec"][1]
    with pytest.raises(
        MaterialError, match=r"the private key of ec does not open with the store's password .set `key_pas"
    ):
        load_file("main", path, Opening(password=PASSWORD))
    with pytest.raises(MaterialError, match="the private key of ec does not open with `key_password`, which is wrong"):
        load_file("main", path, Opening(password=PASSWORD, key_password=Secret(b"third")))


def test_password_beyond_ascii_opens(keytool, stores, export, put, server):
    """Java takes its UTF-16, openssl its UTF-8, and both mean the characters."""
    word = "pässwört€"
    typed = put("word", word)
    java = typed.with_name("word.jks")
    source = ["-srckeystore", stores["JKS"], "-srcstorepass", STORE, "-srcalias", "ec"]
    target = ["-destkeystore", java, "-deststoretype", "JKS", "-deststorepass:file", typed, "-destkeypass:file", typed]
    keytool("-J-Dfile.encoding=UTF-8", "-importkeystore", *source, *target)
    java.chmod(0o400)

    for path in (java, export("-passout", f"file:{typed}")):
        assert load_file("main", path, Opening(password=Secret(word.encode()))).leaf == server.certificate


def test_pkcs12_has_one_password(stores):
    """Two different ones are told; the same twice is no mistake."""
    load_file("main", stores["PKCS#12"], Opening(password=PASSWORD, key_password=PASSWORD, alias="ec"))
    with pytest.raises(MaterialError, match="has one password for all it holds"):
        load_file("main", stores["PKCS#12"], Opening(password=PASSWORD, key_password=OWN_PASSWORD, alias="ec"))


def test_command_that_converts_jceks_works(stores, tmp_path, owners):
    """The refusal's own line makes a file that is accepted."""
    copy = tmp_path / "my store.jceks"
    copy.write_bytes(stores["JCEKS"].read_bytes())
    copy.chmod(0o400)
    with pytest.raises(MaterialError, match="is JCEKS, convert it: keytool -importkeystore ") as told:
        load_file("main", copy, Opening(password=PASSWORD))

    command = told.value.problem.partition("convert it: ")[2]
    subprocess.run(
        f"{command} -srcstorepass {STORE} -deststorepass {STORE}",
        shell=True,
        check=True,
        capture_output=True,
        timeout=60,
    )
    made = tmp_path / "my store.p12"
    made.chmod(0o400)
    assert load_file("main", made, Opening(password=PASSWORD, alias="rsa")).chain == owners["rsa"][1]


@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
@pytest.mark.parametrize("algorithm", [["DSA", "-keysize", "2048"], ["RSASSA-PSS", "-keysize", "2048"]])
def test_keys_that_tls_cannot_use_are_told(algorithm, kind, keytool, tmp_path):
    """With the command that makes one that it can use."""
    path = tmp_path / "odd.store"
    owner = ["-alias", "odd", "-dname", "CN=odd", "-keyalg", *algorithm]
    keytool("-genkeypair", *owner, "-keystore", path, "-storetype", kind, "-storepass", STORE, "-keypass", STORE)
    path.chmod(0o400)

    with pytest.raises(MaterialError, match=r"DSA|RSA-PSS|a type that TLS cannot sign with") as told:
        load_file("main", path, Opening(password=PASSWORD))

    assert "make a new key: openssl genpkey -algorithm EC" in told.value.problem


@pytest.fixture
def export(openssl, server, root, put, tmp_path):
    """`export(*options)` is what openssl makes of the server's key and chain."""
    pem, path = put("in.pem", server.cert_pem + root.cert_pem + server.key_pem()), tmp_path / "server.store"

    def run(*options: str) -> Path:
        openssl("pkcs12", "-export", "-in", pem, "-out", path, *options)
        path.chmod(0o400)
        return path

    return run


@pytest.mark.parametrize("way", OPENSSL_WAYS)
@pytest.mark.parametrize("password", ["sesame", ""])
def test_what_openssl_writes_is_read(way, password, export, server):
    """Old and new ciphers, without a MAC, without a password, with a name and without."""
    path = export(*OPENSSL_WAYS[way], "-passout", f"pass:{password}")

    keystore = load_file("main", path, Opening(password=Secret(password.encode()) if password else None))

    assert keystore.chain == (server.certificate,)
    self_test(server_context(keystore, minimum=ssl.TLSVersion.TLSv1_2), keystore)


def test_trust_store_is_no_keystore(trust_stores):
    """It says what it holds."""
    for path in trust_stores.values():
        path.chmod(0o400)
        with pytest.raises(MaterialError, match="holds no private key, only 2 trusted certificates"):
            load_file("main", path, Opening(password=PASSWORD))


@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_trust_store_is_believed(kind, trust_stores, root, other_root):
    """Both authorities, in any order, and nobody without the password."""
    path = trust_stores[kind]

    store = load_truststore("ca", path, PASSWORD)

    assert set(store.certificates) == {root.certificate, other_root.certificate}
    for wrong in (None, Secret(b"wrong")):
        with pytest.raises(MaterialError, match=r"none is given|wrong password or damaged file"):
            load_truststore("ca", path, wrong)


def test_jks_with_keys_is_believed_for_its_trusted_entries_only(stores, other_root):
    """The chain of an own key is no reason to believe its authority."""
    assert load_truststore("ca", stores["JKS"], PASSWORD).certificates == (other_root.certificate,)


def test_pkcs12_with_keys_is_no_trust_store(stores):
    """It cannot say which certificates are to be believed; the command that can is told."""
    with pytest.raises(
        MaterialError, match=r"holds a private key, .* openssl pkcs12 -in .* -cacerts -nokeys -out ca.pem"
    ):
        load_truststore("ca", stores["PKCS#12"], PASSWORD)


def test_jks_with_keys_only_is_no_trust_store(keytool, stores, tmp_path):
    """A keystore in the wrong place believes nobody."""
    path = tmp_path / "keys.jks"
    source = ["-srckeystore", stores["JKS"], "-srcstorepass", STORE, "-srcalias", "ec"]
    keytool("-importkeystore", *source, "-destkeystore", path, "-deststoretype", "JKS", "-deststorepass", STORE)

    with pytest.raises(MaterialError, match=r"is JKS without a trusted certificate .*keytool -importcert"):
        load_truststore("ca", path, PASSWORD)


def test_password_of_a_pem_bundle_is_told(put, root):
    """A key that would do nothing is no key."""
    with pytest.raises(MaterialError, match="is PEM, which has no password"):
        load_truststore("ca", put("ca.pem", root.cert_pem, 0o644), PASSWORD)


@pytest.mark.parametrize("kind", ["JKS", "PKCS#12"])
def test_open_store_is_refused(kind, stores, tmp_path):
    """A password is no reason to let everybody have the file."""
    path = tmp_path / "open.store"
    path.write_bytes(stores[kind].read_bytes())
    path.chmod(0o644)

    with pytest.raises(SecretError, match="a private key that everybody may read"):
        load_file("main", path, Opening(password=PASSWORD, alias="ec"))
