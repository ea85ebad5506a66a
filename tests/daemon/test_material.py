"""What a configuration names is read whole or not at all, and every problem is told at once."""

from datetime import UTC, datetime

import pytest

from authproxy.daemon.material import Sources, gather, read_keystores, read_truststores
from authproxy.errors import ConfigError, MaterialError, SecretError

NOW = datetime.now(UTC)


@pytest.fixture
def loaded(site):
    return site.load()


def failing(errors):
    def read(name):
        raise errors[name]

    return read


def test_all_problems_are_told_with_their_places(loaded):
    """One error, one line for each name."""
    errors = {"users": MaterialError("a.yaml", "is bad"), "more": MaterialError("b.yaml", "is worse")}
    with pytest.raises(ConfigError) as told:
        gather(loaded, "catalogs", errors, failing(errors))

    first, second = told.value.problems
    assert "catalogs.users: a.yaml: is bad" in first
    assert "b.yaml: is worse" in second


def test_a_secret_among_the_problems_decides_the_exit_code(loaded):
    """77, for it is the secret that wants attention first."""
    errors = {"users": MaterialError("a.yaml", "is bad"), "more": SecretError("pepper: is gone")}
    with pytest.raises(SecretError) as told:
        gather(loaded, "catalogs", errors, failing(errors))

    assert told.value.exit_code == 77
    assert len(told.value.problems) == 2


def test_a_problem_that_has_its_place_keeps_it(loaded):
    """No place is said twice."""
    where = loaded.where("catalogs", "users")
    with pytest.raises(ConfigError) as told:
        gather(loaded, "catalogs", {"users": 1}, failing({"users": ConfigError(f"{where}: is bad")}))

    assert told.value.problems == (f"{where}: is bad",)


def test_nothing_wrong_is_everything_found(loaded):
    """In the order of the names."""
    assert gather(loaded, "catalogs", {"b": 1, "a": 2}, str.upper) == {"b": "B", "a": "A"}


def test_a_keystore_is_checked_for_every_role_it_has(site):
    """A server's certificate presented to an upstream is refused."""
    site.config["upstreams"]["legacy"]["keystore"] = "main"
    site.save()

    with pytest.raises(ConfigError, match="clientAuth"):
        read_keystores(Sources(loaded=site.load(), environ={}), site.now, {})


def test_a_keystore_that_nobody_uses_is_read_all_the_same(site):
    """What is configured must be right before it is used."""
    site.config["keystores"]["spare"] = {"file": "spare.pem"}
    site.save()

    with pytest.raises(ConfigError, match=r"keystores\.spare: .*spare\.pem"):
        read_keystores(Sources(loaded=site.load(), environ={}), site.now, {})


def test_a_keystore_from_the_environment_names_its_variable(site):
    """Never its content."""
    site.config["keystores"]["main"] = {"env": "THE_KEYS"}
    site.save()

    with pytest.raises(SecretError, match="THE_KEYS"):
        read_keystores(Sources(loaded=site.load(), environ={}), site.now, {})
    text = (site.root.certificate_pem() + site.server()).decode()
    found = read_keystores(Sources(loaded=site.load(), environ={"THE_KEYS": text}), site.now, {})
    assert found["main"].source == "$THE_KEYS"


def test_trust_that_cannot_be_read_is_an_error_and_never_the_system_s(site):
    """Missing, empty, garbled."""
    for content in (None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        if content is None:
            (site.directory / "ca.pem").unlink()
        else:
            site.put("ca.pem", content, 0o644)
        with pytest.raises(ConfigError, match=r"truststores\.ca: .*ca\.pem"):
            read_truststores(Sources(loaded=site.load(), environ={}), NOW)
