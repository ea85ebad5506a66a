"""Each transaction of a reload succeeds or fails by itself, and what is at work is never touched."""

from datetime import timedelta

import pytest

from authproxy.daemon.outcome import Result
from authproxy.daemon.reload import CONFIG, TRUST, attempt, one_line, outcomes_of
from authproxy.errors import ConfigError
from authproxy.keystore.generate import Algorithm, Validity, new_authority


@pytest.fixture
def before(site):
    return site.prepare()


@pytest.fixture
def again(site, before):
    """`again(now=...)` takes the road once more over what lies on disk."""

    def run(load=None, now=None, generation=2):
        return attempt(site.workshop, load or site.load, before, now or site.now, generation)

    return run


def test_nothing_changed(again, before):
    """A new generation of equal meaning: catalogs and upstreams are the same objects, contexts are new."""
    tried = again()

    assert tried.errors == {}
    assert tried.prepared is not before
    assert tried.prepared.built.runtime.generation == 2
    assert tried.prepared.catalogs["users"].catalog is before.catalogs["users"].catalog
    assert tried.prepared.built.runtime.upstreams["legacy"] is before.built.runtime.upstreams["legacy"]
    assert tried.prepared.contexts["public"].default is not before.contexts["public"].default


def test_a_new_certificate(site, again, before):
    """It is taken, and the old generation still shows the old one."""
    old = before.material.keystores["main"].fingerprint
    site.put("server.pem", site.server())
    tried = again()

    assert tried.errors == {}
    assert tried.prepared.material.keystores["main"].fingerprint != old
    assert before.material.keystores["main"].fingerprint == old


def test_a_bad_certificate_keeps_configuration_and_keys(site, again, before):
    """New routes wait with it: they are one transaction."""
    site.config["routes"][0]["name"] = "renamed"
    site.save()
    site.put("server.pem", site.server(end=-timedelta(minutes=1)))
    tried = again()

    assert set(tried.errors) == {CONFIG}
    assert "server.pem" in tried.errors[CONFIG]
    assert "expired" in tried.errors[CONFIG]
    assert tried.prepared.loaded is before.loaded
    assert tried.prepared.material.keystores["main"] is before.material.keystores["main"]


def test_an_unchanged_certificate_is_not_judged_again(again, site):
    """What was good at the start stays when it expires, or nothing else could be reloaded any more."""
    later = site.now + timedelta(days=40)
    tried = again(now=later)

    assert tried.errors == {}


def test_a_changed_certificate_is_judged_by_the_clock_that_is_given(site, again):
    """The same file a month later is refused."""
    site.put("server.pem", site.server())
    tried = again(now=site.now + timedelta(days=40))

    assert set(tried.errors) == {CONFIG}


def test_new_trust_counts_though_the_configuration_is_broken(site, again, before):
    """The old configuration is built again with the trust that lies there now."""
    site.put("ca.pem", site.other.certificate_pem(), 0o644)
    site.put("authproxy.yaml", "nonsense: [")
    tried = again()

    assert set(tried.errors) == {CONFIG}
    assert tried.prepared.loaded is before.loaded
    assert tried.prepared.material.truststores["ca"].fingerprint != before.material.truststores["ca"].fingerprint
    assert tried.prepared.built.runtime.upstreams["legacy"] is not before.built.runtime.upstreams["legacy"]


def test_bad_trust_does_not_keep_the_configuration_back(site, again, before):
    """The old trust goes on in the new configuration."""
    site.put("ca.pem", b"nothing", 0o644)
    site.config["routes"][0]["name"] = "renamed"
    site.save()
    tried = again()

    assert set(tried.errors) == {TRUST}
    assert "ca.pem" in tried.errors[TRUST]
    assert tried.prepared.material.truststores["ca"] is before.material.truststores["ca"]
    assert [route.name for route in tried.prepared.loaded.settings.routes] == ["renamed"]


def test_trust_that_a_new_configuration_names_in_vain_is_its_fault_too(site, again, before):
    """There is no old trust of that name: both parts are rejected, what is at work goes on."""
    site.config["truststores"]["more"] = {"file": "more.pem"}
    site.config["upstreams"]["legacy"]["trust"] = "more"
    site.save()
    tried = again()

    assert set(tried.errors) == {CONFIG, TRUST}
    assert "more.pem" in tried.errors[CONFIG]
    assert tried.prepared.loaded is before.loaded


def test_everything_broken_keeps_everything(site, again, before):
    """Each part says why, in one line."""
    site.put("ca.pem", b"", 0o644)
    site.put("authproxy.yaml", "a: 1\nb: 2\n")
    tried = again()

    assert set(tried.errors) == {CONFIG, TRUST}
    assert tried.prepared.loaded is before.loaded
    assert tried.prepared.material.truststores["ca"] is before.material.truststores["ca"]
    assert all("\n" not in error for error in tried.errors.values())


@pytest.mark.parametrize("broken", ["pepper", "header"])
def test_a_missing_secret_does_not_delay_new_trust(site, before, broken):
    """A removed authority is out, though a secret that the old configuration reads is gone as well."""
    if broken == "header":
        site.put("api.key", "a key")
        site.config["routes"][0]["headers"] = {"request": {"X-Key": {"file": "api.key"}}}
        site.save()
        before = site.prepare()
    (site.directory / ("pepper" if broken == "pepper" else "api.key")).unlink()
    site.put("ca.pem", site.other.certificate_pem(), 0o644)
    tried = attempt(site.workshop, site.load, before, site.now, 2)

    assert set(tried.errors) == {CONFIG}
    assert tried.prepared.material.truststores["ca"].fingerprint != before.material.truststores["ca"].fingerprint


def test_a_missing_pepper_is_the_configuration_s_fault(site, again, before):
    """It is named, with its key, and trust is not blamed."""
    (site.directory / "pepper").unlink()
    tried = again()

    assert set(tried.errors) == {CONFIG}
    assert "zones.api.peppers" in tried.errors[CONFIG]
    assert tried.prepared.loaded is before.loaded


def test_a_name_that_the_certificate_lacks_is_found_though_the_certificate_is_old(site, again):
    """The configuration changed, so what it wants of the certificate is asked anew."""
    site.config["keystores"]["site"] = {"file": "server.pem"}
    site.config["listeners"]["public"]["sni"] = {"elsewhere.test": "main"}
    site.save()
    tried = again()

    assert "elsewhere.test" in tried.errors[CONFIG]


def test_a_new_role_of_an_old_certificate_is_checked(site, again):
    """A server's certificate that a new configuration presents to an upstream lacks clientAuth."""
    site.config["upstreams"]["legacy"]["keystore"] = "main"
    site.save()
    tried = again()

    assert "clientAuth" in tried.errors[CONFIG]


def test_all_problems_stand_in_one_line():
    """Log lines do not break."""
    assert one_line(ConfigError("a.yaml:1:1: x: bad", "a.yaml:2:1: y: bad")) == "a.yaml:1:1: x: bad; a.yaml:2:1: y: bad"


def test_one_garbled_truststore_does_not_keep_another_as_it_was(site):
    """Trust is decided store by store: an authority that was taken out is out."""
    site.config["truststores"]["other"] = {"file": "other.pem"}
    site.put("other.pem", (site.directory / "ca.pem").read_bytes())
    site.save()
    before = site.prepare()
    fresh = new_authority("fresh", Validity.of_days(site.now, 10), Algorithm.EC_P256)
    site.put("ca.pem", fresh.certificate_pem())
    site.put("other.pem", "nothing of that kind")
    tried = attempt(site.workshop, site.load, before, site.now, 2)

    assert set(tried.errors) == {TRUST}
    assert "other.pem" in tried.errors[TRUST]
    stores = tried.prepared.material.truststores
    assert stores["ca"].fingerprint != before.material.truststores["ca"].fingerprint
    assert stores["other"] is before.material.truststores["other"]


def test_a_store_that_is_moved_to_an_unreadable_file_is_not_the_old_one(site, again, before):
    """Who is meant to be believed from now on cannot be had: the new configuration waits."""
    site.config["truststores"]["ca"] = {"file": "elsewhere.pem"}
    site.save()
    tried = again()

    assert set(tried.errors) == {CONFIG, TRUST}
    assert tried.prepared.loaded is before.loaded


def test_whatever_a_load_raises_new_trust_counts(site, again, before):
    """A fault of this program or of a plug-in is a refused configuration, no more."""

    def crash():
        raise RecursionError

    site.put("ca.pem", new_authority("fresh", Validity.of_days(site.now, 10), Algorithm.EC_P256).certificate_pem())
    tried = again(load=crash)

    assert set(tried.errors) == {CONFIG}
    assert tried.prepared.material.truststores["ca"].fingerprint != before.material.truststores["ca"].fingerprint


def outcomes(before, tried):
    return {one.part: one.result for one in outcomes_of(before, tried.prepared, tried.errors)}


def test_nothing_new_is_told_as_unchanged(again, before):
    """Though a new generation is at work."""
    assert outcomes(before, again()) == {CONFIG: Result.UNCHANGED, TRUST: Result.UNCHANGED}


@pytest.mark.parametrize("change", ["settings", "certificate", "secret", "trust"])
def test_what_is_new_is_told_as_applied(site, again, before, change):
    """A setting, a certificate and a secret are the configuration's; trust is by itself."""
    if change == "settings":
        site.config["routes"][0]["name"] = "renamed"
        site.save()
    elif change == "certificate":
        site.put("server.pem", site.server())
    elif change == "secret":
        site.put("pepper", b"p" * 32)
    else:
        site.put("ca.pem", site.other.certificate_pem(), 0o644)
    part = TRUST if change == "trust" else CONFIG

    assert outcomes(before, again()) == {CONFIG: Result.UNCHANGED, TRUST: Result.UNCHANGED, part: Result.APPLIED}


def test_what_failed_is_told_as_rejected(site, again, before):
    """With the reason."""
    site.put("server.pem", b"")
    site.put("ca.pem", site.other.certificate_pem(), 0o644)

    assert outcomes(before, again()) == {CONFIG: Result.REJECTED, TRUST: Result.APPLIED}


def test_the_context_of_ops_is_built_and_proven_with_the_others(site, again, before):
    """Before anything is swapped."""
    site.config["ops"] = {"bind": "127.0.0.1:3", "keystore": "main"}
    site.save()

    assert before.ops is None
    assert again().prepared.ops is not None
