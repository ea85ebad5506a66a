"""Revocation lists: what is no list of a believed authority in force is refused; what is, bites in the handshake."""

import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.errors import MaterialError, SecretError
from authproxy.keystore import (
    ClientCertificates,
    ClientMode,
    Refusals,
    Truststore,
    client_context,
    load_truststore,
    server_context,
    with_refusals,
)
from tests.keystore.revocation import DAY, NOW, crl_of, pem


@pytest.fixture
def trusting(put):
    """`trusting(crl_file, *people, now=, before=)` believes people as far as the lists in a file allow."""

    def read(content, *people, now=NOW, before=None):
        anchors = load_truststore("t", put("ca.pem", "".join(one.cert_pem for one in people), 0o644))
        return with_refusals(anchors, Refusals(crls=(put("ca.crl", content, 0o644),)), now, before)

    return read


@pytest.mark.parametrize("form", ["PEM", "DER", "several"])
def test_a_list_is_read_in_every_form(form, trusting, root, other_root, client):
    """One in PEM, one in DER, and several in one PEM file, one for each authority."""
    lists = [crl_of(root, client)] + ([crl_of(other_root)] if form == "several" else [])
    content = lists[0].public_bytes(Encoding.DER) if form == "DER" else b"# ours\n" + pem(*lists)

    trust = trusting(content, root, other_root)

    assert [crl.issuer for crl in trust.crls] == [root.certificate, other_root.certificate][: len(lists)]
    assert trust.crls[0].names(client.certificate)
    assert not any(crl.names(root.certificate) for crl in trust.crls)
    assert any("another root" in note or "other root" in note for note in trust.notes) == (form != "several")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda root, other: pem(crl_of(root, end=timedelta(seconds=-1))), "the list expired on .*fetch"),
        (lambda root, other: pem(crl_of(root, end=timedelta())), "the list expired on"),
        (lambda root, other: pem(crl_of(root, begin=timedelta(seconds=1))), "the list is not valid before"),
        (lambda root, other: pem(crl_of(other)), "no certificate of this truststore is of its issuer, CN=other root"),
        (lambda root, other: pem(crl_of(root, key=other.key)), "its signature is not by CN=root"),
        (lambda root, other: pem(crl_of(root))[:80], "the text is cut off"),
        (lambda root, other: pem(crl_of(root)).replace(b"MI", b"MM", 1), "is no revocation list"),
        (lambda root, other: b"", "no X509 CRL block: the text holds no PEM block at all"),
        (lambda root, other: root.cert_pem.encode(), r"no X509 CRL block \(it holds: CERTIFICATE\)"),
        (lambda root, other: crl_of(root).public_bytes(Encoding.DER)[:-9], "is no revocation list"),
        (lambda root, other: pem(crl_of(root, extensions=[x509.DeltaCRLIndicator(1)])), "is a delta"),
        (
            lambda root, other: pem(crl_of(root, extensions=[x509.IssuingDistributionPoint(
                None, None, only_contains_user_certs=True, only_contains_ca_certs=False, only_some_reasons=None,
                indirect_crl=False, only_contains_attribute_certs=False)])),
            "covers only a part",
        ),
        (
            lambda root, other: pem(crl_of(root, extensions=[
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")])),
            "critical extension that is not known here: 1.2.3.4",
        ),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_used_is_refused(make, problem, trusting, root, other_root):
    """Expired, not yet valid, of somebody else, forged, cut short, partial: refused with the file's name, never skipped."""
    with pytest.raises(MaterialError, match=problem) as told:
        trusting(make(root, other_root), root)

    assert "ca.crl" in str(told.value)


def test_a_list_of_which_everybody_could_take_names_is_refused(put, root):
    """It must not be writable by all; and one that is missing is no empty one."""
    anchors = load_truststore("t", put("ca.pem", root.cert_pem, 0o644))
    path = put("ca.crl", pem(crl_of(root)), 0o646)
    with pytest.raises(SecretError, match="chmod o-w"):
        with_refusals(anchors, Refusals(crls=(path,)), NOW)
    path.unlink()
    with pytest.raises(MaterialError, match="there is no such file"):
        with_refusals(anchors, Refusals(crls=(path,)), NOW)


def test_an_authority_that_may_not_sign_lists_signs_none(trusting, issue):
    """Its key usage counts, as it does for OpenSSL."""
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    root = issue("no lists", None, x509.BasicConstraints(ca=True, path_length=None), usage)
    with pytest.raises(MaterialError, match="does not allow it to sign such lists"):
        trusting(pem(crl_of(root)), root)


def test_the_list_that_was_issued_last_counts(trusting, root, client):
    """Whatever their order in the file; the older one is not asked."""
    older, newer = crl_of(root, client, begin=-2 * DAY), crl_of(root)
    for lists in ((older, newer), (newer, older)):
        (crl,) = trusting(pem(*lists), root).crls
        assert not crl.revoked


def test_what_expired_at_work_is_no_reason_to_refuse_what_comes_with_it(trusting, root, other_root):
    """The same list, expired since, is taken with a new bundle; it vouches for nobody. A new one that is out of date is refused."""
    content = pem(crl_of(root))
    first = trusting(content, root)
    again = trusting(content, root, other_root, now=NOW + 2 * DAY, before=first)

    assert first.crls == again.crls
    with pytest.raises(MaterialError, match="expired"):
        trusting(pem(crl_of(root, end=DAY / 2)), root, now=NOW + 2 * DAY, before=first)


def test_the_fingerprint_tells_another_list(trusting, root, client):
    """What is made of a truststore is made anew when a list, or only the wish for one, changes."""
    plain = Truststore(name="t", certificates=(root.certificate,), source="t")
    prints = {plain.fingerprint, trusting(pem(crl_of(root)), root).fingerprint}
    prints |= {trusting(pem(crl_of(root, client)), root).fingerprint}

    assert len(prints) == 3


def outcome(shake, server, shown, trust):
    """What the handshake says of a client: None when it is let in."""
    context = server_context(
        server.keystore(),
        minimum=ssl.TLSVersion.TLSv1_3,
        client=ClientCertificates(mode=ClientMode.REQUIRED, trust=trust),
    )
    caller = client_context(Truststore(name="s", certificates=(server.certificate,), source="s"), shown)
    try:
        shake(context, caller)
    except ssl.SSLError as error:
        return getattr(error, "verify_message", None) or error.reason
    return None


def test_the_handshake_obeys(  # noqa: PLR0917
    shake, trusting, server, client, issue, root, other_root
):
    """Named: refused. Not named: let in. Of an authority without a list: refused. A list that has expired: refused."""
    stranger = issue("stranger", other_root)
    good = trusting(pem(crl_of(root)), root, other_root)
    named = trusting(pem(crl_of(root, client)), root)
    past = trusting(pem(crl_of(root, begin=-2 * DAY, end=-DAY)), root, now=NOW - 1.5 * DAY)

    assert outcome(shake, server, client.keystore(), good) is None
    assert outcome(shake, server, stranger.keystore(), good) == "unable to get certificate CRL"
    assert outcome(shake, server, client.keystore(), named) == "certificate revoked"
    assert outcome(shake, server, client.keystore(), past) == "CRL has expired"


def test_an_intermediate_that_is_revoked_takes_all_its_own_along(  # noqa: PLR0917
    shake, trusting, server, root, middle, issue
):
    """Also when clients send it themselves, and when its own list still says that all is well."""
    below = issue("below", middle)
    well = trusting(pem(crl_of(root), crl_of(middle)), root, middle)
    ill = trusting(pem(crl_of(root, middle), crl_of(middle)), root, middle)

    assert outcome(shake, server, below.keystore(middle), well) is None
    assert outcome(shake, server, below.keystore(middle), ill) == "unable to get certificate CRL"
    assert ill.certificates == (root.certificate,)
    assert "not believed, because a revocation list names it: CN=middle" in ill.notes[0]


def test_without_anybody_left_nobody_is_believed(shake, trusting, server, root, client):
    """An authority that revokes itself leaves a store that refuses everybody, and never the system's."""
    empty = trusting(pem(crl_of(root, root)), root)

    assert empty.certificates == empty.crls == ()
    assert outcome(shake, server, client.keystore(), empty) is not None
