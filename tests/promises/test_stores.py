"""Keystores as Java people have them are served, swapped by a signal, and refused whole."""

import os
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]

WORD, OWN = "correct horse", "battery staple"


def p12(issued, *issuers, word=WORD):
    others = [issuer.certificate for issuer in issuers]
    return pkcs12.serialize_key_and_certificates(
        b"srv", issued.key, issued.certificate, others, BestAvailableEncryption(word.encode())
    )


@pytest.fixture
def jks(house, tool):
    """`jks(issued)` is what Java's keytool makes of it, with a password of its own for the key."""

    def make(issued):
        house.put("from.p12", p12(issued, house.pki.root))
        target = house.directory / "made.jks"
        command = [tool("keytool"), "-importkeystore", "-noprompt", "-srckeystore", "from.p12", "-srcstorepass", WORD]
        command += ["-srcalias", "srv", "-destkeystore", target, "-deststoretype", "JKS"]
        command += ["-deststorepass", WORD, "-destkeypass", OWN]
        subprocess.run(command, cwd=house.directory, check=True, capture_output=True, timeout=40)
        data = target.read_bytes()
        target.unlink()
        return data

    return make


def shown(house):
    """The certificate that a fresh handshake shows to a client that verifies chain and name."""
    with house.client() as client:
        client.connect()
        return client.shown


def der(issued):
    return issued.certificate.public_bytes(Encoding.DER)


def test_pkcs12_and_jks_are_served_and_swapped(house, jks, monkeypatch):
    """One path, read again at each signal: PKCS#12, then JKS with two passwords, then PKCS#12 again."""
    monkeypatch.setitem(os.environ, "KEY_WORD", OWN)
    house.put("word", WORD + "\n")
    house.put("server.store", p12(house.leaf, house.pki.root))
    house.config["keystores"]["main"] = {"file": "server.store", "alias": "srv", "password": {"file": "word"}}
    running = house.start()
    assert shown(house) == der(house.leaf)
    assert house.ask(user=house.user).status == 200

    second = house.pki.server()
    house.put("server.store", jks(second))
    house.config["keystores"]["main"]["key_password"] = {"env": "KEY_WORD"}
    house.save()
    running.reload()

    assert shown(house) == der(second)
    assert house.ask(user=house.user).status == 200

    third = house.pki.server()
    house.put("server.store", p12(third))
    del house.config["keystores"]["main"]["key_password"]
    house.save()
    running.reload()

    assert shown(house) == der(third)
    assert running.events("reload.rejected") == []
    said = running.stderr() + running.stdout()
    assert WORD not in said
    assert OWN not in said


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda house: house.put("server.store", p12(house.leaf)[:-9]), "is damaged PKCS#12: it is cut off"),
        (lambda house: house.put("server.store", p12(house.leaf, word="other")), "wrong password or damaged file"),
        (lambda house: house.put("word", WORD + "\n\n"), "wrong password or damaged file"),
        (lambda house: house.put("server.store", b"\xce\xce\xce\xce" + bytes(99)), "is JCEKS, convert it: keytool"),
    ],
)
def test_store_that_does_not_open_changes_nothing(spoil, reason, house):
    """The old certificate goes on, and the log says which file and why."""
    house.put("word", WORD)
    house.put("server.store", p12(house.leaf))
    house.config["keystores"]["main"] = {"file": "server.store", "password": {"file": "word"}}
    running = house.start()
    spoil(house)

    running.reload()

    (rejected,) = running.told("reload.rejected", part="config")
    assert "server.store" in rejected["error"]
    assert reason in rejected["error"]
    assert shown(house) == der(house.leaf)
    assert WORD not in running.stderr()


def test_open_store_ends_the_start(house):
    """With the exit code of a secret that is too open."""
    house.put("word", WORD)
    house.put("server.store", p12(house.leaf), 0o644)
    house.config["keystores"]["main"] = {"file": "server.store", "password": {"file": "word"}}

    running = house.spawn()

    assert running.wait() == 77
    assert "server.store: a private key that everybody may read" in running.stderr()


def test_trust_store_lets_its_clients_in(house, tool):
    """Client certificates of an authority in a trust store pass, others do not."""
    house.put("word", WORD)
    command = [tool("keytool"), "-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem", "-keystore", "trust.jks"]
    command += ["-storetype", "JKS", "-storepass", WORD]
    subprocess.run(command, cwd=house.directory, check=True, capture_output=True, timeout=40)
    house.config["truststores"]["clients"] = {"file": "trust.jks", "password": {"file": "word"}}
    house.config["listeners"]["public"]["client_certificates"] = {"mode": "required", "trust": "clients"}
    house.start()

    with house.client(shows=house.pki.client("known")) as client:
        assert client.ask("/", house.user).status == 200
    with (
        pytest.raises(OSError, match=r"alert|closed|reset|EOF|violation"),
        house.client(shows=house.pki.client("x", by=house.pki.other)) as client,
    ):
        client.ask("/", house.user)
