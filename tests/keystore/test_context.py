"""Contexts, shaking hands in memory with friends and strangers."""

import os
import ssl
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from authproxy.errors import MaterialError
from authproxy.keystore import (
    ClientCertificates,
    ClientMode,
    Truststore,
    client_context,
    server_context,
    tunnel_context,
)
from authproxy.keystore.context import _restrict
from authproxy.keystore.lineage import with_issuers

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = [V12, V13]
LOCALHOST = x509.SubjectAlternativeName([x509.DNSName("localhost")])
SERVER_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
SIGNS = x509.BasicConstraints(ca=True, path_length=None)


def trust(*people) -> Truststore:
    return Truststore(name="t", certificates=tuple(person.certificate for person in people), source="t.pem")


def demanding(mode, *people) -> ClientCertificates:
    return ClientCertificates(mode=mode, trust=trust(*people))


def only(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


@pytest.fixture
def plain(server):
    return server_context(server.keystore(), minimum=V12)


@pytest.mark.parametrize("version", VERSIONS)
def test_friends_shake_hands(version, plain, root, shake):
    """Chain and name are verified, and both speak http/1.1."""
    ends = shake(plain, only(client_context(trust(root)), version))

    assert ends.client.version() == {V12: "TLSv1.2", V13: "TLSv1.3"}[version]
    assert ends.client.selected_alpn_protocol() == ends.server.selected_alpn_protocol() == "http/1.1"
    assert ends.client.compression() is None


def test_intermediate_is_sent(deep_server, middle, root, shake):
    """A client that knows the root only gets the issuer from us."""
    context = server_context(deep_server.keystore(middle), minimum=V12)

    assert shake(context, client_context(trust(root))).client.getpeercert()


@pytest.mark.parametrize("version", VERSIONS)
def test_whom_clients_are_to_trust_is_sent_with_a_lone_leaf(  # noqa: PLR0917  # fixtures
    version, server, deep_server, middle, root, other_root, shake
):
    """As OpenSSL does by itself where the leaf's issuers are trusted; it adds none to a chain, and no strangers."""
    asked = only(client_context(trust(root, middle)), version)

    def sent(keystore, *trusted):
        ends = shake(server_context(keystore, minimum=V12, client=demanding(ClientMode.OPTIONAL, *trusted)), asked)
        return [one.public_bytes() for one in ends.client._sslobj.get_unverified_chain()]

    def texts(*people):
        return [person.cert_pem for person in people]

    assert sent(server.keystore(), other_root, root) == texts(server, root)
    assert sent(server.keystore(), other_root) == texts(server)
    assert sent(deep_server.keystore(), root, middle) == texts(deep_server, middle, root)
    assert sent(deep_server.keystore(), middle) == texts(deep_server, middle)
    assert sent(deep_server.keystore(middle), root, middle) == texts(deep_server, middle)


@pytest.mark.parametrize("turn", [1, -1])
def test_where_several_could_have_issued_it_openssl_chooses_at_each_handshake(issue, root, other_root, shake, turn):
    """A renewed authority that is not valid yet is not sent, in whatever order they stand; nor is any chosen for good."""
    middle = issue("middle", root, SIGNS, end=datetime(2040, 1, 1, tzinfo=UTC))
    renewed = issue("middle", root, SIGNS, key=middle.key, begin=datetime(2039, 1, 1, tzinfo=UTC))
    crossed = issue("middle", other_root, SIGNS, key=middle.key)
    leaf = issue("leaf", middle, SERVER_AUTH, LOCALHOST)
    trusted = demanding(ClientMode.OPTIONAL, root, *(middle, renewed)[::turn])
    context = server_context(leaf.keystore(), minimum=V12, client=trusted)
    own = (leaf.certificate,)

    assert shake(context, client_context(trust(root))).client.getpeercert()
    assert with_issuers(own, [middle.certificate, root.certificate, crossed.certificate][::turn]) == own
    assert with_issuers(own, [middle.certificate, root.certificate][::turn]) == (
        *own, middle.certificate, root.certificate,
    )  # fmt: skip


def test_an_authority_that_openssl_does_not_take_is_told_by_its_own_file(issue):
    """Where the keystore is good, and the chain only continued by that authority; else it is the keystore's fault."""
    small = issue("small", None, SIGNS, key=rsa.generate_private_key(public_exponent=65537, key_size=1024))
    leaf = issue("leaf", small, SERVER_AUTH, LOCALHOST).keystore()
    own = issue("own", small, SERVER_AUTH, LOCALHOST, key=small.key).keystore()
    trusted = demanding(ClientMode.REQUIRED, small)

    with pytest.raises(MaterialError, match=r"^t\.pem: the authority CN=small: .*: CA_KEY_TOO_SMALL$"):
        server_context(leaf, minimum=V12, client=trusted)
    for keystore in (own, leaf_with_chain(leaf, small)):
        with pytest.raises(MaterialError, match=rf"^{keystore.source}: .*_KEY_TOO_SMALL$"):
            server_context(keystore, minimum=V12, client=trusted)


def leaf_with_chain(leaf, issuer):
    return replace(leaf, chain=(*leaf.chain, issuer.certificate))


def test_issuers_are_continued_as_far_as_there_is_one_only(issue, server, root, other_root):
    """Not behind a chain, not behind a root, and two that have signed one another are sent once each."""
    own = (server.certificate,)
    first, second = issue("A", None, SIGNS), issue("B", None, SIGNS)
    one, two = issue("A", second, SIGNS, key=first.key), issue("B", first, SIGNS, key=second.key)
    leaf = issue("leaf", one, SERVER_AUTH).certificate

    assert with_issuers(own, iter([other_root.certificate, root.certificate])) == (*own, root.certificate)
    assert with_issuers((*own, other_root.certificate), [root.certificate]) == (*own, other_root.certificate)
    assert with_issuers((root.certificate,), [root.certificate]) == (root.certificate,)
    assert with_issuers(own, [*own, root.certificate]) == (*own, root.certificate)
    assert with_issuers(own, ()) == own
    assert with_issuers((leaf,), [one.certificate, two.certificate]) == (leaf, one.certificate, two.certificate)


def test_truststore_may_hold_an_intermediate_only(deep_server, middle, root, shake):
    """Whom the operator lists is believed, without his own issuer."""
    context = server_context(deep_server.keystore(middle), minimum=V12)

    assert shake(context, client_context(trust(middle))).client.getpeercert()


@pytest.mark.parametrize("name", ["example.org", "server", "127.0.0.1", "localhost.localdomain"])
def test_wrong_name_is_refused(name, plain, root, shake):
    """The server must be who was called."""
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake(plain, client_context(trust(root)), name)


def test_common_name_is_no_name(issue, root, shake):
    """A certificate whose common name alone says `localhost` is refused upstream."""
    context = server_context(issue("localhost", root).keystore(), minimum=V12)

    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake(context, client_context(trust(root)))


def test_other_authority_is_refused(plain, other_root, shake):
    """A truststore believes those it lists and nobody else."""
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer certificate"):
        shake(plain, client_context(trust(other_root)))


def test_system_does_not_know_our_root(plain, shake):
    """Without a truststore the system decides, and it does not know our root."""
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(plain, client_context(None))


def test_explicit_trust_never_adds_the_systems(root):
    """The store of a context with a truststore holds that and no more."""
    assert len(client_context(trust(root)).get_ca_certs()) == 1


def test_expired_server_is_refused(issue, root, shake):
    """OpenSSL looks at the machine's clock."""
    old = issue("old", root, LOCALHOST, end=datetime(2021, 1, 1, tzinfo=UTC))

    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        shake(server_context(old.keystore(), minimum=V12), client_context(trust(root)))


def test_context_of_tls_13_refuses_tls_12(server, root, shake):
    """The minimum holds."""
    context = server_context(server.keystore(), minimum=V13)

    with pytest.raises(ssl.SSLError, match=r"UNSUPPORTED_PROTOCOL|unsupported protocol"):
        shake(context, only(client_context(trust(root)), V12))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.MINIMUM_SUPPORTED])
def test_minimum_below_tls_12_does_not_exist(version, server):
    """No caller can lower the floor."""
    with pytest.raises(ValueError, match="is no minimum"):
        server_context(server.keystore(), minimum=version)


@pytest.mark.parametrize("suites", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256"])
def test_cbc_and_static_keys_are_refused(suites, plain, root, shake):
    """TLS 1.2 without an AEAD, or without forward secrecy, finds no shared cipher."""
    client = only(client_context(trust(root)), V12)
    client.set_ciphers(suites)

    with pytest.raises(ssl.SSLError, match=r"NO_SHARED_CIPHER|no shared cipher"):
        shake(plain, client)


@pytest.mark.parametrize(
    "first", ["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]
)
def test_the_client_chooses_among_the_suites(first, plain, root, shake):
    """They are all good; it knows which its hardware is fast with."""
    context = only(client_context(trust(root)), V12)
    context.set_ciphers(f"{first}:ECDHE+AESGCM:ECDHE+CHACHA20")

    assert shake(plain, context).client.cipher()[0] == first


@pytest.mark.parametrize("which", ["server", "client"])
def test_every_cipher_is_an_aead_with_forward_secrecy(which, plain, root):
    """Nothing else is on offer in either direction."""
    context = plain if which == "server" else client_context(trust(root))

    for cipher in context.get_ciphers():
        assert cipher["aead"]
        assert cipher["kea"] in ("kx-ecdhe", "kx-any")


def test_options_are_set_whatever_the_python_version(plain, root, server):
    """Renegotiation, compression and old versions are off; strictness is ours and not the version's."""
    for context in (plain, client_context(trust(root)), client_context(None)):
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_NO_COMPRESSION
        assert not context.verify_flags & ssl.VERIFY_X509_STRICT
        assert context.minimum_version == V12
        assert context.keylog_filename is None
        assert not context.options & getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    for context in (client_context(trust(root)), client_context(None, server.keystore())):
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert not context.hostname_checks_common_name


@pytest.mark.parametrize(("allowed", "expected"), [(0, 2), (1, 2), (2, 2), (3, 3)])
def test_no_system_s_policy_makes_it_weaker(allowed, expected):
    """Of OpenSSL's security levels at least 2, as where Python brings its own defaults; a stricter one is obeyed."""
    for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(protocol)
        context.set_ciphers(f"DEFAULT:@SECLEVEL={allowed}")

        _restrict(context, V12)

        assert context.security_level == expected
        assert all("ECDHE" in one["name"] or one["protocol"] == "TLSv1.3" for one in context.get_ciphers())


def test_key_log_of_the_environment_is_ignored(plain, root, shake, tmp_path, monkeypatch):
    """SSLKEYLOGFILE would hand every session to whoever can set a variable."""
    monkeypatch.setitem(os.environ, "SSLKEYLOGFILE", str(tmp_path / "keys"))

    shake(plain, client_context(trust(root)))

    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ client certificates


@pytest.fixture
def asking(server, root):
    """`asking(mode)` is a context that asks for certificates which `root` issued."""
    return lambda mode: server_context(server.keystore(), minimum=V12, client=demanding(mode, root))


@pytest.fixture
def stranger(issue, root, other_root):
    """The context of a client whose certificate is from another authority."""
    return client_context(trust(root), issue("client", other_root).keystore())


@pytest.fixture
def acquaintance(client, root):
    """The context of a client whose certificate `root` issued."""
    return client_context(trust(root), client.keystore())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", [ClientMode.OPTIONAL, ClientMode.REQUIRED])
def test_client_with_certificate_is_known(mode, version, asking, acquaintance, shake):
    """The server sees the very certificate."""
    ends = shake(asking(mode), only(acquaintance, version))

    assert ends.server.getpeercert()["subject"] == ((("commonName", "client"),),)


@pytest.mark.parametrize("version", VERSIONS)
def test_client_without_certificate_is_refused_when_required(version, server, root, shake):
    """Required means required."""
    context = server_context(server.keystore(), minimum=V12, client=demanding(ClientMode.REQUIRED, root))

    with pytest.raises(ssl.SSLError, match=r"PEER_DID_NOT_RETURN_A_CERTIFICATE|did not return a certificate"):
        shake(context, only(client_context(trust(root)), version))


@pytest.mark.parametrize("version", VERSIONS)
def test_client_without_certificate_passes_when_optional(version, server, root, shake):
    """Optional means that none is fine."""
    context = server_context(server.keystore(), minimum=V12, client=demanding(ClientMode.OPTIONAL, root))

    assert shake(context, only(client_context(trust(root)), version)).server.getpeercert(binary_form=True) is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", [ClientMode.OPTIONAL, ClientMode.REQUIRED])
def test_client_of_another_authority_is_refused(mode, version, asking, stranger, shake):
    """A bad certificate is refused also where none would have been fine."""
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shake(asking(mode), only(stranger, version))


def test_server_certificate_does_not_pass_for_a_client(server, root, shake):
    """One that is for servers only is no client certificate."""
    context = server_context(server.keystore(), minimum=V12, client=demanding(ClientMode.REQUIRED, root))

    with pytest.raises(ssl.SSLCertVerificationError, match=r"unsuitable certificate purpose|unsupported certificate"):
        shake(context, client_context(trust(root), server.keystore()))


def test_nobody_is_asked_by_default(plain, client, root, shake):
    """Without a mode a client keeps its certificate to itself."""
    ends = shake(plain, client_context(trust(root), client.keystore()))

    assert ends.server.getpeercert(binary_form=True) is None


def test_keys_file_brings_its_own_trust(server, client, root, shake):
    """The root of the keystore decides about clients when no truststore is named."""
    own = server.keystore(root=root)
    context = server_context(own, minimum=V13, client=ClientCertificates(mode=ClientMode.REQUIRED))

    assert shake(context, client_context(trust(root), client.keystore())).server.getpeercert()


def test_named_trust_replaces_the_keys_files(server, client, root, other_root, shake):
    """An explicit truststore is the only one."""
    own = server.keystore(root=root)
    context = server_context(own, minimum=V13, client=demanding(ClientMode.REQUIRED, other_root))

    with pytest.raises(ssl.SSLCertVerificationError):
        shake(context, client_context(trust(root), client.keystore()))


@pytest.mark.parametrize("mode", [ClientMode.OPTIONAL, ClientMode.REQUIRED])
def test_no_trust_is_an_error_and_not_the_systems(mode, server):
    """Whoever asks for certificates must say by whom."""
    with pytest.raises(MaterialError, match=r"main.pem: holds no root certificate to trust clients by"):
        server_context(server.keystore(), minimum=V13, client=ClientCertificates(mode=mode))


def test_mutual_tls_gives_no_tickets(server, client, root, shake):
    """A client whose authority was dropped must not come back with a ticket (TLS 1.3: none is sent at all)."""
    context = server_context(server.keystore(), minimum=V12, client=demanding(ClientMode.REQUIRED, root))

    for version in VERSIONS:
        ends = shake(context, only(client_context(trust(root), client.keystore()), version))
        ends.server.write(b"x")

        assert context.num_tickets == 0
        assert ends.client.session is None or not ends.client.session.has_ticket


@pytest.mark.parametrize(
    ("wish", "number"),
    [((None, ClientMode.NONE), 1), ((0, ClientMode.NONE), 0), ((2, ClientMode.NONE), 2), ((None, ClientMode.OPTIONAL), 0),
     ((1, ClientMode.REQUIRED), 1)],
)  # fmt: skip
def test_tickets_are_as_wished(wish, number, server, client, root, shake):  # noqa: PLR0917  # fixtures
    """By default one, and none where certificates are asked for: whoever wishes for more has the gate behind."""
    tickets, mode = wish
    context = server_context(server.keystore(), minimum=V12, client=demanding(mode, root), tickets=tickets)
    ends = shake(context, only(client_context(trust(root), client.keystore()), V13))
    ends.server.write(b"x")
    ends.client.read(1)

    assert context.num_tickets == number
    assert (ends.client.session is not None and ends.client.session.has_ticket) is (number > 0)


# ------------------------------------------------------------------ loading


def test_key_is_loaded_without_memfd(server, root, shake, monkeypatch, tmp_path):
    """Where there is no memfd, a private file serves, and it is gone afterwards."""
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    context = server_context(server.keystore(), minimum=V12)

    assert shake(context, client_context(trust(root))).client.getpeercert()
    assert list(tmp_path.iterdir()) == []


def test_descriptors_do_not_leak(server):
    """The memory that the key was in goes away with its descriptor."""
    before = len(list(Path("/proc/self/fd").iterdir()))

    server_context(server.keystore(), minimum=V12)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_key_that_does_not_match_is_refused(server, client):
    """OpenSSL has the last word, as a problem of material."""
    with pytest.raises(MaterialError, match=r"main.pem: openssl does not accept the certificate: KEY_VALUES_MISMATCH"):
        server_context(replace(server.keystore(), key=client.key), minimum=V12)


def test_a_tunnel_speaks_tls_1_3_and_says_of_nothing_what_it_is(server, client, root, shake):
    """No ALPN, no 1.2; the chain is verified in any case, names only if wished."""
    for names in (True, False):
        context = tunnel_context(trust(root), client.keystore(), names=names)
        ends = shake(server_context(server.keystore(), minimum=V12), context)
        assert ends.client.version() == "TLSv1.3"
        assert ends.client.selected_alpn_protocol() is None
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname is names
        with pytest.raises(ssl.SSLError):
            shake(only(server_context(server.keystore(), minimum=V12), V12), context)
