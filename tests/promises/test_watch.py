"""`reload.watch`: renewed material is taken over without a signal, as Kubernetes and cert-manager replace it."""

import secrets
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

pytestmark = pytest.mark.promise


@pytest.fixture
def watching(house):
    """A house that looks every second; `.shown()` is the certificate that a new connection is shown."""
    house.config["reload"] = {"watch": "1s"}

    def shown():
        with house.client() as client:
            client.connect()
            return client.shown

    house.shown = shown
    return house


def der(issued):
    return x509.load_pem_x509_certificate(issued.certificate_pem()).public_bytes(Encoding.DER)


def mount(house, issued):
    """Replace certificate and key as Kubernetes does: a new directory, and one link moved."""
    fresh = house.directory / f"..{secrets.token_hex(4)}"
    fresh.mkdir()
    (fresh / "server.pem").write_bytes(issued.certificate_pem())
    (fresh / "server.key").write_bytes(issued.key_pem())
    for file in fresh.iterdir():
        file.chmod(0o400)
    link = house.directory / "..data_tmp"
    link.symlink_to(fresh.name)
    link.replace(house.directory / "..data")
    for name in ("server.pem", "server.key"):
        path = house.directory / name
        if not path.is_symlink():
            path.unlink()
            path.symlink_to(Path("..data") / name)


def test_a_secret_that_kubernetes_swaps_is_taken_over(watching, until):
    """Within two looks, and the connection that stands goes on."""
    mount(watching, watching.leaf)
    running = watching.start()
    with watching.client() as kept:
        assert kept.ask("/", watching.user).status == 200
        wire = kept.wire
        for _ in range(2):
            fresh = watching.pki.server()
            mount(watching, fresh)
            until(lambda fresh=fresh: watching.shown() == der(fresh), what="the new certificate")
        assert kept.ask("/", watching.user).status == 200
        assert kept.wire is wire

    changed = running.told("material.changed")
    # A look that falls on the very moment of the swap sees one of them now, and the other the next time.
    assert {Path(file).name for line in changed for file in line["files"]} == {"server.key", "server.pem"}
    assert running.events("reload.rejected") == []


def test_an_authority_that_was_taken_out_is_out(watching, until):
    """Trust is watched too."""
    watching.put("clients.pem", watching.pki.root.certificate_pem() + watching.pki.other.certificate_pem(), 0o644)
    watching.config["truststores"]["clients"] = {"file": "clients.pem"}
    watching.config["listeners"]["public"]["client_certificates"] = {"mode": "required", "trust": "clients"}
    removed = watching.pki.client("somebody", watching.pki.other)
    running = watching.start()

    def passes(shows):
        try:
            with watching.client(shows=shows) as client:
                return client.ask("/", watching.user).status == 200
        except OSError:
            return False

    assert passes(removed)
    watching.put("clients.pem", watching.pki.root.certificate_pem(), 0o644)

    until(lambda: not passes(removed), what="the removed authority is out")
    assert passes(watching.pki.client("another"))
    assert running.told("reload.applied", part="trust")


def test_a_pair_that_is_written_slowly_is_never_told_as_a_fault(watching, until):
    """The second try comes a second later; the key is there by then."""
    running = watching.start()
    fresh = watching.pki.server()
    key = fresh.key_pem()
    watching.put("server.pem", fresh.certificate_pem(), 0o644)
    running.told("material.changed")
    watching.put("server.key", key)

    until(lambda: watching.shown() == der(fresh), what="the new certificate")
    assert running.events("reload.rejected") == []


def test_a_broken_file_is_told_once_and_the_old_one_stays(watching, until):
    """Not at every look; and when it is right again it is taken over."""
    running = watching.start()
    watching.put("server.pem", b"broken", 0o644)
    [line] = running.told("reload.rejected")
    until(lambda: running.metric('authproxy_reload_total{part="config",result="failed"}') == 1, what="the metric")

    assert (line["part"], "server.pem" in line["error"]) == ("config", True)
    assert watching.shown() == der(watching.leaf)
    fresh = watching.pki.server()
    watching.put_pair("server", fresh)
    until(lambda: watching.shown() == der(fresh), what="the new certificate")
    assert len(running.events("reload.rejected")) == 1


def test_a_broken_file_that_is_taken_back_is_told_as_over(watching, until):
    """The very files that are at work: nothing is new in them, and still the alert must end."""
    running = watching.start()
    good = (watching.directory / "server.pem").read_bytes()
    success = 'authproxy_config_last_reload_success{part="config"}'
    watching.put("server.pem", b"broken", 0o644)
    running.told("reload.rejected")
    until(lambda: running.metric(success) == 0, what="the fault in the metric")

    watching.put("server.pem", good, 0o644)

    until(lambda: running.metric(success) == 1, what="its end in the metric")
    assert running.told("reload.applied", part="config")
    assert watching.shown() == der(watching.leaf)


def test_a_half_edited_configuration_is_not_taken_over(watching, until):
    """Because a certificate was renewed meanwhile: it waits for its signal."""
    running = watching.start()
    watching.config["routes"][0]["headers"] = {"response": {"X-Half": "done"}}
    watching.save()
    watching.put_users()
    fresh = watching.pki.server()
    watching.put_pair("server", fresh)
    until(lambda: watching.shown() == der(fresh), what="the new certificate")

    answer = watching.ask("/", watching.user)
    assert (answer.status, answer.headers.get("X-Half")) == (200, None)
    running.reload()
    assert watching.ask("/", watching.user).status == 401


def test_a_new_secret_is_taken_over(watching, until):
    """A route's header, a pepper, a password."""
    watching.put("api.key", "first")
    watching.config["routes"][0]["headers"] = {"response": {"X-Key": {"file": "api.key"}}}
    watching.start()
    assert watching.ask("/", watching.user).headers["X-Key"] == "first"
    watching.put("api.key", "second")

    until(lambda: watching.ask("/", watching.user).headers["X-Key"] == "second", what="the new key")
