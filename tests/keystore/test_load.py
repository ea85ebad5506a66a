"""Combined files, pairs of files, chains, and formats that are not read."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtensionOID

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError, SecretError
from authproxy.keystore import Opening, load_file, load_pem_pair


def test_pair_is_read(put, server):
    """A certificate file and a key file make a keystore named after the certificate's file."""
    certificate, key = put("site.pem", server.cert_pem, 0o644), put("site.key", server.key_pem())

    keystore = load_pem_pair("site", certificate, key, None)

    assert (keystore.name, keystore.chain, keystore.source) == ("site", (server.certificate,), str(certificate))
    assert keystore.root is None
    assert keystore.notes == ()


def test_pair_with_an_encrypted_key(put, server):
    """The password opens the key file."""
    certificate = put("site.pem", server.cert_pem, 0o644)
    key = put("site.key", server.key_pem(password=b"sesame"))

    assert load_pem_pair("site", certificate, key, Secret(b"sesame")).leaf == server.certificate


def test_pair_that_does_not_belong_together(put, server, client):
    """A half-renewed pair is refused, naming both files."""
    certificate, key = put("site.pem", server.cert_pem, 0o644), put("site.key", client.key_pem())

    with pytest.raises(MaterialError) as caught:
        load_pem_pair("site", certificate, key, None)

    assert str(caught.value) == f"{certificate}: no certificate belongs to the private key in {key} (found: CN=server)"


def test_swapped_pair_is_told(put, server):
    """When the two paths are exchanged, the key's file is the one that lacks a key."""
    certificate, key = put("site.pem", server.cert_pem, 0o400), put("site.key", server.key_pem())

    with pytest.raises(MaterialError, match=r"site.pem: no PRIVATE KEY block \(it holds: CERTIFICATE\)"):
        load_pem_pair("site", key, certificate, None)


def test_a_certificate_in_the_place_of_a_key_is_told_as_what_it_is(put, server):
    """Everybody may read a certificate: to be sent after its mode would lead astray."""
    certificate, key = put("site.pem", server.cert_pem, 0o644), put("site.key", server.key_pem())

    for load in (lambda: load_pem_pair("site", key, certificate, None), lambda: load_file("site", certificate)):
        with pytest.raises(MaterialError, match=r"site.pem: no PRIVATE KEY block \(it holds: CERTIFICATE\)"):
            load()


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"])
def test_a_key_of_any_kind_beside_a_certificate_is_no_certificate_alone(put, server, kind):
    """Whoever could read it is told of before it is looked at."""
    path = put("site.pem", f"{server.cert_pem}-----BEGIN {kind}-----\n", 0o644)

    with pytest.raises(SecretError, match="a private key that everybody may read"):
        load_file("site", path)


def test_a_certificate_in_der_may_be_read_by_everybody(put, server):
    """That it is DER is told; a key in DER is told of by who may read it."""
    key = server.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    with pytest.raises(MaterialError, match="is binary DER, convert it"):
        load_file("site", put("site.der", server.certificate.public_bytes(Encoding.DER), 0o644))
    with pytest.raises(SecretError, match="a private key that everybody may read"):
        load_file("site", put("key.der", key, 0o644))
    with pytest.raises(SecretError, match="a private key that everybody may read"):
        load_file("site", put("both.der", server.certificate.public_bytes(Encoding.DER) + key, 0o644))


@pytest.mark.parametrize("order", ["klmr", "rmlk", "mrkl", "lmkr"])
def test_chain_is_ordered_by_issuer(order, put, deep_server, middle, root):
    """Own certificate, then its issuer, without the self-signed root, whatever the order in the file."""
    parts = {"k": deep_server.key_pem(), "l": deep_server.cert_pem, "m": middle.cert_pem, "r": root.cert_pem}

    keystore = load_file("main", put("server.pem", "".join(parts[each] for each in order)), None)

    assert keystore.chain == (deep_server.certificate, middle.certificate)
    assert keystore.notes == ()


def test_root_behind_an_intermediate_is_no_anchor(put, deep_server, middle, root):
    """A public authority's root that was left in the file must not decide who may come in."""
    text = deep_server.cert_pem + middle.cert_pem + root.cert_pem + deep_server.key_pem()

    assert load_file("main", put("server.pem", text), None).root is None


def test_stray_certificate_is_not_sent(put, server, other_root, client):
    """A certificate that is no ancestor is left out with a note."""
    text = server.cert_pem + other_root.cert_pem + client.cert_pem + server.key_pem()
    path = put("server.pem", text)

    keystore = load_file("main", path, None)

    assert keystore.chain == (server.certificate,)
    assert keystore.notes == (
        f"{path}: not sent, because it is not part of the chain: CN=other root",
        f"{path}: not sent, because it is not part of the chain: CN=client",
    )


def test_self_signed_certificate_is_sent(put, issue):
    """The own certificate is never dropped, also when it is its own issuer."""
    own = issue("self")

    keystore = load_file("main", put("server.pem", own.cert_pem + own.key_pem()), None)

    assert keystore.chain == (own.certificate,)
    assert keystore.root is None


def test_issued_certificate_wins_over_a_self_signed_one_with_the_same_key(put, issue, root):
    """Whoever kept the self-signed placeholder in the file means the one that the authority sent."""
    placeholder = issue("placeholder")
    issued = issue("issued", root, key=placeholder.key)

    text = placeholder.cert_pem + issued.cert_pem + issued.key_pem()

    assert load_file("main", put("server.pem", text), None).leaf == issued.certificate


def test_unreadable_extension_is_told_at_load(put, issue, root):
    """A certificate whose names cannot be read is refused before somebody asks for them in the middle of a request."""
    garbage = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"garbage")
    own = issue("own", root, garbage)

    with pytest.raises(MaterialError, match="the certificate CN=own has extensions that cannot be read"):
        load_file("main", put("server.pem", own.cert_pem + own.key_pem()), None)


def test_self_signed_certificate_without_ca_is_no_root(put, issue):
    """Only an authority becomes the trust anchor."""
    signer = issue("no authority")
    own = issue("own", signer)

    assert load_file("main", put("server.pem", signer.cert_pem + own.cert_pem + own.key_pem()), None).root is None


def test_equal_content_is_equal(put, server):
    """A reload that reads the same again gets an equal keystore; another certificate is another keystore."""
    path = put("server.pem", server.cert_pem + server.key_pem())

    assert load_file("main", path, None) == load_file("main", path, None)


def test_small_pkcs12_is_told_from_der(put, server):
    """PKCS#12 is a sequence that starts with version 3; a certificate is one that does not."""
    bundle = pkcs12.serialize_key_and_certificates(
        b"x", server.key, server.certificate, None, BestAvailableEncryption(b"x")
    )

    assert load_file("main", put("no-ending", bundle), Opening(password=Secret(b"x"))).leaf == server.certificate
    with pytest.raises(MaterialError, match=r"is binary DER, convert it: openssl x509 -inform DER"):
        load_file("main", put("server.p12", server.certificate.public_bytes(Encoding.DER)), None)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (bytes.fromhex("feedfeed00000002"), "is JKS, which has a password, and none is given"),
        (bytes.fromhex("cececece00000002"), r"is JCEKS, convert it: keytool -importkeystore -srckeystore .* -deststoretype PKCS12$"),
        (bytes.fromhex("0000000200000014"), r"is BKS, convert it: keytool -importkeystore .* -providerpath BCPROV.jar .* -deststoretype PKCS12$"),
        (bytes.fromhex("0000000100000014"), "is BKS"),
        ("-----BEGIN PRIVATE KEY-----".encode("utf-16"), r"is UTF-16 text, convert it: iconv"),
        (b"\x30", "is binary DER"),
        (b"", "no PRIVATE KEY block: the text holds no PEM block at all"),
        (b"\x00\x01\x02", "no PRIVATE KEY block: the text holds no PEM block at all"),
    ],
)  # fmt: skip
def test_other_formats_are_told_by_content(data, problem, put):
    """What is not PEM is named, with the command that converts it."""
    with pytest.raises(MaterialError, match=problem):
        load_file("main", put("server.keys", data), None)


def test_paths_in_commands_are_quoted(put, tmp_path):
    """A file name with a blank does not turn into two arguments."""
    path = put("my server.jks", bytes.fromhex("cececece"))

    with pytest.raises(MaterialError, match=f"-srckeystore '{path}' "):
        load_file("main", path, None)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o402, 0o420, 0o666])
def test_exposed_key_is_refused(mode, put, server):
    """A key that everybody may read, or that others may write, is refused with exit code 77."""
    text = server.cert_pem + server.key_pem()

    with pytest.raises(
        SecretError, match=rf"server.pem: a private key that .*, mode {mode:04o} \(chmod 0400\)$"
    ) as caught:
        load_file("main", put("server.pem", text, mode), None)

    assert caught.value.exit_code == 77


@pytest.mark.parametrize(("mode", "notes"), [(0o400, 0), (0o600, 0), (0o700, 0), (0o440, 1), (0o640, 1)])
def test_closed_key_is_accepted(mode, notes, put, server):
    """The owner alone may read it: silence. Its group may: a note, since Kubernetes and Docker mount secrets so."""
    keystore = load_file("main", put("server.pem", server.cert_pem + server.key_pem(), mode), None)

    assert len(keystore.notes) == notes


@pytest.mark.parametrize("data", [bytes.fromhex("feedfeed"), bytes.fromhex("3003020103")])
def test_store_in_place_of_a_pair_is_told(data, put, server):
    """Whoever names a store where one of two PEM files is wanted is told the key to use."""
    store, key = put("site.p12", data), put("site.key", server.key_pem())

    for certificate, private in ((store, key), (key, store)):
        with pytest.raises(
            MaterialError, match=r"site\.p12: is (PKCS#12|JKS), which holds key and certificate: name it by `file`"
        ):
            load_pem_pair("site", certificate, private, None)


@pytest.mark.parametrize(
    ("opening", "key"),
    [(Opening(alias="srv"), "alias"), (Opening(key_password=Secret(b"x")), "key_password")],
)
def test_keys_of_stores_are_refused_with_pem(opening, key, put, server):
    """A key that would do nothing is told, not ignored."""
    with pytest.raises(MaterialError, match=rf"is PEM: `{key}` is for PKCS#12 and JKS"):
        load_file("main", put("server.pem", server.cert_pem + server.key_pem()), opening)


def test_exposed_key_of_a_pair_is_refused(put, server):
    """Only the key's file is judged; the certificate is public."""
    certificate, key = put("site.pem", server.cert_pem, 0o666), put("site.key", server.key_pem(), 0o644)

    with pytest.raises(SecretError, match=r"site\.key"):
        load_pem_pair("site", certificate, key, None)
