"""Who may be at the other end: judged after every handshake, and again after every reload."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from authproxy.core.acl import Rule
from authproxy.keystore import Demand, Denied, PeerFault, Refusals, Truststore, load_truststore, with_refusals
from authproxy.keystore.names import certificate_names
from tests.keystore.conftest import CLIENT_AUTH, SERVER_AUTH, SIGNS
from tests.keystore.revocation import DAY, NOW, crl_of, der, pem


def demand(*people, **more):
    trust = Truststore(name="t", certificates=tuple(one.certificate for one in people), source="ca.pem")
    return Demand(**{"is_required": True, "trust": trust, **more})


def fault(made, *chain, now=NOW, proven=True):
    refused = made.judge(der(*chain), now, proven=proven)
    return None if refused is None else refused.fault


@pytest.mark.parametrize("proven", [True, False])
def test_a_good_chain_passes(proven, root, middle, client, issue):
    """Straight from the anchor, with the anchor in the chain or not, and through an intermediate."""
    below = issue("below", middle, CLIENT_AUTH)

    assert fault(demand(root), client, root, proven=proven) is None
    assert fault(demand(root), client, proven=proven) is None
    assert fault(demand(root), below, middle, root, proven=proven) is None
    assert fault(demand(root), below, middle, proven=False) is None
    assert fault(demand(middle), below, middle, root, proven=proven) is None
    assert fault(demand(client), client, proven=proven) is None


def test_who_shows_nothing_passes_where_nothing_is_required(root):
    """And only there."""
    assert fault(demand(root)) is PeerFault.NO_CERTIFICATE
    assert fault(demand(root, is_required=False)) is None


@pytest.mark.parametrize("proven", [True, False])
def test_a_removed_authority_vouches_for_nobody(  # noqa: PLR0917
    proven, root, other_root, middle, client, issue
):
    """Neither as a root nor through an intermediate."""
    below = issue("below", middle, CLIENT_AUTH)

    assert fault(demand(other_root), client, root, proven=proven) is PeerFault.UNTRUSTED
    assert fault(demand(other_root), below, middle, root, proven=proven) is PeerFault.UNTRUSTED


def test_a_chain_that_nobody_proved_is_proved_here(root, other_root, issue):
    """A certificate that only names an authority, or the intermediate that is none, leads nowhere."""
    forged = issue("root", None, SIGNS)
    client = issue("client", forged, CLIENT_AUTH)
    leaf = issue("a leaf", root, CLIENT_AUTH)
    under_leaf = issue("under a leaf", leaf, CLIENT_AUTH)

    assert fault(demand(root), client, proven=False) is PeerFault.UNTRUSTED
    assert fault(demand(root), client, root, proven=False) is PeerFault.UNTRUSTED
    assert fault(demand(root), under_leaf, leaf, root, proven=False) is PeerFault.UNTRUSTED
    assert fault(demand(leaf), under_leaf, proven=False) is PeerFault.UNTRUSTED


def test_an_authority_that_was_renewed_goes_on_vouching(root, client, issue):
    """The same name and key in another certificate; its dates are the new one's."""
    renewed = issue("root", None, SIGNS, key=root.key)
    ended = issue("root", None, SIGNS, key=root.key, begin=NOW - 2 * DAY, end=NOW - DAY)

    assert fault(demand(renewed), client, root) is None
    assert fault(demand(ended), client, root) is PeerFault.EXPIRED


def test_dates_are_judged_to_the_instant(root, issue):
    """Dead at not-after itself, alive at not-before itself; also the authority's."""
    short = issue("short", root, CLIENT_AUTH, begin=NOW, end=NOW + DAY)
    second = timedelta(seconds=1)

    assert fault(demand(root), short, root, now=NOW - second) is PeerFault.NOT_YET_VALID
    assert fault(demand(root), short, root, now=NOW) is None
    assert fault(demand(root), short, root, now=NOW + DAY - second) is None
    assert fault(demand(root), short, root, now=NOW + DAY) is PeerFault.EXPIRED


def test_the_deny_list_bites(root, middle, client, issue):
    """By certificate, by key whatever the certificate, and by an authority on the way."""
    names = certificate_names(der(client)[0])
    again = issue("client", root, CLIENT_AUTH, key=client.key)
    below = issue("below", middle, CLIENT_AUTH)

    def denying(**what):
        made = demand(root)
        return replace(made, trust=replace(made.trust, denied=Denied(**what)))

    assert fault(denying(certificates=frozenset({names.fingerprint})), client, root) is PeerFault.DENIED
    assert fault(denying(certificates=frozenset({names.fingerprint})), again, root) is None
    assert fault(denying(keys=frozenset({names.spki})), client, root) is PeerFault.DENIED
    assert fault(denying(keys=frozenset({names.spki})), again, root) is PeerFault.DENIED
    own = certificate_names(der(middle)[0]).fingerprint
    assert fault(denying(certificates=frozenset({own})), below, middle, root) is PeerFault.DENIED


def test_the_listener_s_own_key_is_no_client_s(root, server, issue):
    """Whatever certificate it comes in: whoever has it could play the server too."""
    again = issue("a client", root, CLIENT_AUTH, key=server.key)
    made = demand(root, own_keys=frozenset({certificate_names(der(server)[0]).spki}))

    assert fault(made, again, root) is PeerFault.OWN_KEY


def test_a_usage_that_is_not_for_clients_is_refused(root, issue):
    """Without usages any is fine."""
    assert fault(demand(root), issue("server", root, SERVER_AUTH), root) is PeerFault.USAGE
    assert fault(demand(root), issue("anybody", root), root) is None


def test_revocation_is_judged_with_the_lists_of_this_moment(put, root, middle, client, issue):
    """Named: out. Expired list, or none for this authority: out. The root's list says nothing of whom another issued."""
    below = issue("below", middle, CLIENT_AUTH)

    def listing(*crls):
        anchors = load_truststore("t", put("ca.pem", root.cert_pem + middle.cert_pem, 0o644))
        made = with_refusals(anchors, Refusals(crls=(put("ca.crl", pem(*crls), 0o644),)), NOW)
        return Demand(is_required=True, trust=made)

    assert fault(listing(crl_of(root)), client, root) is None
    assert fault(listing(crl_of(root, client)), client, root) is PeerFault.REVOKED
    assert fault(listing(crl_of(root)), client, root, now=NOW + DAY) is PeerFault.CRL_EXPIRED
    assert fault(listing(crl_of(root)), below, middle) is PeerFault.CRL_MISSING
    assert fault(listing(crl_of(root), crl_of(middle, below)), below, middle) is PeerFault.REVOKED
    assert fault(listing(crl_of(root, middle), crl_of(middle)), below, middle, root) is PeerFault.CRL_MISSING


def test_what_cannot_be_read_is_refused(root):
    """And the detail says what it was, and whose certificate."""
    assert demand(root).judge((b"\x30\x00",), NOW, proven=True).fault is PeerFault.UNREADABLE


def test_an_authority_that_cannot_be_read_vouches_for_nobody_and_harms_nobody(root, client, issue):
    """Bundles carry odd ones along."""
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x07\x87\x05\x01\x02\x03\x04\x05")
    odd = issue("odd", None, SIGNS, broken)
    below = issue("below", odd, CLIENT_AUTH)

    assert fault(demand(odd, root), client, root) is None
    assert fault(demand(odd, root), below, odd) is PeerFault.UNREADABLE
    assert fault(demand(odd, root), below, proven=False) is PeerFault.UNTRUSTED


def test_the_log_learns_whose_certificate_it_was(root, other_root, issue):
    """Subject and fingerprint, with nothing in them that could forge a line."""
    odd = issue("line\nfeed", root, x509.BasicConstraints(ca=False, path_length=None))

    detail = demand(other_root).judge(der(odd, root), NOW, proven=True).detail

    assert "\n" not in detail
    assert certificate_names(der(odd)[0]).fingerprint in detail
    assert "ca.pem" in detail


def test_of_those_who_are_trusted_only_whom_a_rule_admits(root, client, issue):
    """Any rule of the list is enough; who shows no certificate is no matter of rules."""
    rules = (Rule(cn="somebody"), Rule(cn="client"))

    assert fault(demand(root, allow=rules), client, root) is None
    assert fault(demand(root, allow=rules[:1]), client, root) is PeerFault.NOT_ALLOWED
    assert fault(demand(root, allow=rules[:1], is_required=False)) is None
    assert fault(demand(issue("another", None, SIGNS), allow=rules), client, root) is PeerFault.UNTRUSTED


@pytest.fixture(scope="module")
def lane(root, middle, issue):
    """A client's certificate, its three intermediates from the lowest to the highest, and the root."""
    second = issue("second", middle, SIGNS)
    lowest = issue("lowest", second, SIGNS)
    return issue("deep", lowest, CLIENT_AUTH), lowest, second, middle, root


@pytest.mark.parametrize("proven", [True, False])
@pytest.mark.parametrize(("most", "expected"), [(2, PeerFault.CHAIN_TOO_LONG), (3, None), (None, None)])
def test_a_chain_has_no_more_intermediates_than_it_may(lane, most, expected, proven):
    """Exactly as many are fine; whoever set no bound has none."""
    assert fault(demand(lane[-1], intermediates=most), *lane, proven=proven) is expected


@pytest.mark.parametrize("proven", [True, False])
@pytest.mark.parametrize("believed", [1, 2, 3])
def test_intermediates_count_from_the_one_that_is_believed(lane, believed, proven):
    """Whoever stands in the truststore ends the chain, whatever is above."""
    between = believed - 1
    made = [demand(lane[believed], lane[-1], intermediates=most) for most in range(4)]

    assert [fault(one, *lane, proven=proven) for one in made] == (
        [PeerFault.CHAIN_TOO_LONG] * between + [None] * (4 - between)
    )


def test_a_certificate_straight_from_the_anchor_has_none_between(root, client):
    """Nor has one that is believed itself."""
    assert fault(demand(root, intermediates=0), client, root) is None
    assert fault(demand(client, intermediates=0), client) is None


def test_a_chain_that_is_too_long_is_told_with_its_numbers(lane):
    """So that the operator knows which key to change, or whom to put into the truststore."""
    refused = demand(lane[-1], intermediates=1).judge(der(*lane), NOW, proven=True)

    assert refused is not None
    assert refused.detail.startswith("3 authorities stand between it and CN=root, at most 1 may (intermediates) ")
