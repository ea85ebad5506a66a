"""Session stores outlive reloads that leave them as they are, and a zone is given what its settings say."""

from datetime import UTC, datetime

import pytest

from authproxy.core.pepper import Pepper
from authproxy.core.secret import Secret
from authproxy.core.stats import Stats
from authproxy.daemon.material import Material
from authproxy.daemon.prepare import read_inputs
from authproxy.daemon.sessions import OpenedStore, means_of, notes_of, open_stores, prune
from authproxy.daemon.watched import material_files
from authproxy.errors import ConfigError, SecretError, SessionStoreUnavailable
from authproxy.keystore import generate as keys
from authproxy.sessions.bounded import BoundedSessions
from authproxy.sessions.contract import NOW, session
from authproxy.sessions.means import LoginPage
from authproxy.sessions.memory import MemoryOptions, MemorySessions

SECRET = Secret(b"p" * 32)
VALIDITY = keys.Validity.of_days(datetime.now(UTC), 20)


def signing_in(site, **more):
    """The site, with people who sign in."""
    site.config["sessions"] = {"brief": {"kind": "memory"}, "file": {"kind": "sqlite", "file": "sessions.db"}}
    site.config["zones"]["api"] |= {"accepts": ["session", "token"], "sessions": "brief"} | more
    site.save()
    return site


def opened(site, before):
    """What a reload makes of the stores."""
    inputs = read_inputs(site.workshop, site.load(), datetime.now(UTC), None)
    material = Material(keystores=inputs.keystores, truststores=inputs.truststores)
    return open_stores(inputs.sources, material, before, Stats())


def test_what_is_unchanged_is_taken_over(site):
    """With everybody who is signed in; one that waits is bounded, one that does not is not."""
    signing_in(site)
    first = opened(site, {})
    site.config["sessions"]["file"]["file"] = "other.db"
    site.save()
    second = opened(site, first)

    assert isinstance(first["brief"].store, MemorySessions)
    assert isinstance(first["file"].store, BoundedSessions)
    assert second["brief"].store is first["brief"].store
    assert second["file"].store is not first["file"].store


def with_redis(site, **more):
    """The site, with a store that has a password, believes somebody, and shows who it is."""
    signing_in(site)
    site.put("redis.password", "one")
    options = {"kind": "redis", "url": "rediss://redis.internal", "password": {"file": "redis.password"}, "trust": "ca"}
    site.config["sessions"]["file"] = options | more
    site.save()
    return site


@pytest.mark.parametrize("change", ["password", "trust", "key", "option", "nothing"])
def test_a_store_is_opened_anew_when_what_it_was_given_has_changed(site, change):
    """A replaced password, authority or certificate is taken over, and nothing else opens a new connection."""
    with_redis(site, keystore="mine")
    site.config["keystores"]["mine"] = {"file": "mine.pem"}
    site.save()
    site.put("mine.pem", keys.combined_file(keys.new_client(site.root, "one", VALIDITY, keys.Algorithm.EC_P256)))
    first = opened(site, {})
    if change == "password":
        site.put("redis.password", "other")
    if change == "trust":
        site.put("ca.pem", keys.new_authority("another", VALIDITY, keys.Algorithm.EC_P256).certificate_pem())
    if change == "key":
        site.put("mine.pem", keys.combined_file(keys.new_client(site.root, "two", VALIDITY, keys.Algorithm.EC_P256)))
    if change == "option":
        site.config["sessions"]["file"]["database"] = 3
        site.save()
    second = opened(site, first)

    assert (second["file"].store is first["file"].store) == (change == "nothing")
    assert second["brief"].store is first["brief"].store


def test_what_a_store_refers_to_must_be_there(site):
    """Names are checked with the file, secrets when it is opened, and a client's keystore for being one."""
    with_redis(site, trust="cb", keystore="mian")
    with pytest.raises(ConfigError) as refusal:
        site.load()
    told = sorted(line.partition(": ")[2] for line in refusal.value.problems)
    assert told[0] == 'sessions.file.keystore: unknown keystore (did you mean "main"?)'
    assert told[1].startswith("sessions.file.trust: unknown truststore (")
    with_redis(site, keystore="main")
    with pytest.raises(ConfigError, match="clientAuth"):
        opened(site, {})
    with_redis(site).put("redis.password", "one", 0o644)
    with pytest.raises(SecretError, match=r"sessions\.file\.password: .*chmod 600"):
        opened(site, {})


def test_the_password_of_a_store_is_watched(site):
    """And no file that the store itself writes."""
    files = material_files(with_redis(site).load().settings, {})

    assert site.directory / "redis.password" in files
    assert not [path for path in files if path.suffix == ".db"]


async def test_pruning_goes_on_where_a_store_is_away():
    """What has ended goes from all the others."""

    class Away(MemorySessions):  # type: ignore[misc]  # a store that is away is what it stands for
        async def prune(self, now: int) -> int:  # type: ignore[explicit-override]
            raise SessionStoreUnavailable("away")

    store = MemorySessions()
    await store.put(session(1), 10)
    options = MemoryOptions(kind="memory")
    stores = {"a": OpenedStore(options=options, store=Away()), "b": OpenedStore(options=options, store=store)}

    await prune(stores, NOW + 10**9)

    assert await store.sessions_of("web", None) == ()


def test_a_zone_is_given_what_its_settings_say(site):
    """Rules in milliseconds, one key for each pepper, the cookie, the places."""
    signing_in(
        site,
        session={"idle": "1h", "absolute": "2h", "same_site": "strict", "per_user": 3},
        login={"path": "/in", "logout_path": "/out", "after_logout": "/out/done", "after": "/app"},
    )
    settings = site.load().settings.zones["api"]
    store = MemorySessions()

    means = means_of("api", settings, {"brief": store}, [(SECRET, Pepper(SECRET))], Stats())

    assert means is not None
    assert (means.rules.idle, means.rules.absolute, means.rules.per_user) == (3_600_000, 7_200_000, 3)
    assert [key.id for key in means.rules.keys] == [Pepper(SECRET).id]
    assert means.cookie == (b"__Host-authproxy-api", b"Strict")
    assert means.store is store
    assert means.or_token
    assert means.login.places == {"/in": LoginPage.LOGIN, "/out": LoginPage.LOGOUT, "/out/done": LoginPage.SIGNED_OUT}
    assert means.login.own == ("/in", "/out")


def test_signing_out_may_lead_to_a_page_of_the_service(site):
    """What is not under the logout's path is not ours."""
    signing_in(site, accepts=["session"], login={"after_logout": "/bye"}, session={"cookie": "__Host-mine"})

    means = means_of(
        "api", site.load().settings.zones["api"], {"brief": MemorySessions()}, [(SECRET, Pepper(SECRET))], Stats()
    )

    assert means is not None
    assert set(means.login.places.values()) == {LoginPage.LOGIN, LoginPage.LOGOUT}
    assert means.cookie.name == b"__Host-mine"
    assert not means.or_token


def test_a_zone_without_sessions_is_given_nothing(site):
    """Whatever stores there are."""
    assert means_of("api", site.load().settings.zones["api"], {}, [], Stats()) is None


def test_a_store_is_no_material(site):
    """It is written all the time: whoever watched it would reload all the time."""
    files = material_files(signing_in(site).load().settings, {})

    assert files
    assert "sessions.db" not in {path.name for path in files}


def test_zones_on_one_host_are_noted(site):
    """Browsers keep their cookies apart and not their pages: one host is one origin."""
    signing_in(site)
    site.config["zones"]["web"] = {
        "prefix": "web", "peppers": [{"env": "WEB"}], "catalog": "users", "accepts": ["session"], "sessions": "brief",
        "login": {"path": "/web/in", "logout_path": "/web/out"},
    }  # fmt: skip
    site.config["routes"][0]["zone"] = "api"
    site.config["routes"].append({"path": "/web", "zone": "web", "upstream": "legacy"})
    site.save()

    (note,) = notes_of(site.load())
    assert "zones api and web share an origin" in note
    site.config["routes"][-1]["host"] = "web.example.org"
    site.save()
    assert notes_of(site.load()) == []
