"""TLS to a Redis: its chain and its name are verified, and it is shown a certificate where it wants one."""

import asyncio
from datetime import UTC, datetime
from typing import cast

import pytest

from authproxy.daemon.material import Sources
from authproxy.daemon.supply import Supply
from authproxy.errors import SessionStoreUnavailable
from authproxy.keystore import fingerprint, load_file, load_truststore
from authproxy.keystore import generate as keys
from authproxy.keystore.trust import Refusals, with_refusals
from authproxy.sessions.contract import session
from authproxy.sessions.redis import kind
from authproxy.sessions.redis_options import RedisOptions
from tests.redis_server import RedisServer

ONE = session(1)
NOW = datetime.now(UTC)
_EC = keys.Algorithm.EC_P256
_DAYS = keys.Validity.of_days(NOW, 20)


@pytest.fixture(scope="module")
def root():
    return keys.new_authority("the root", _DAYS, _EC)


@pytest.fixture(scope="module")
def leaf(root):
    return keys.new_server(root, [keys.alternative_name("localhost")], _DAYS, _EC)


@pytest.fixture(scope="module")
def server(tool, tmp_path_factory, root, leaf):
    """A Redis that wants a client certificate from everybody."""
    folder = tmp_path_factory.mktemp("redis-tls")
    (folder / "ca.pem").write_bytes(root.certificate_pem())
    (folder / "server.pem").write_bytes(keys.combined_file(leaf))
    (folder / "server.pem").chmod(0o600)
    files = ["--tls-cert-file", "server.pem", "--tls-key-file", "server.pem", "--tls-ca-cert-file", "ca.pem"]
    with RedisServer(tool("redis-server"), folder, tls=files) as running:
        yield running


@pytest.fixture
def files(tmp_path, root):
    """Where `trust`, `other` and `mine` stand."""
    other = keys.new_authority("another root", _DAYS, _EC)
    for name, data in (
        ("trust", root.certificate_pem()),
        ("other", other.certificate_pem()),
        ("mine", keys.combined_file(keys.new_client(root, "authproxy", _DAYS, _EC))),
    ):
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o600)
    return tmp_path


@pytest.fixture
async def opened(server, files):
    stores = []

    def trust_of(name):
        deny = files / "deny"
        return with_refusals(
            load_truststore(name, files / name, None), Refusals(crls=(), deny=deny if deny.exists() else None), NOW, None
        )  # fmt: skip

    async def open_one(**more):
        url = more.pop("url", f"rediss://localhost:{server.tls_port}")
        settings = {"kind": "redis", "url": url, "trust": "trust", "keystore": "mine", "timeout": "1s", **more}
        options = RedisOptions.model_validate(settings)
        supply = Supply(cast("Sources", None), ("sessions", "x"), lambda name: load_file(name, files / name), trust_of)
        stores.append(await asyncio.to_thread(kind.open, options, supply))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.aclose()


async def test_tls_with_a_client_certificate(opened):
    """Both sides are sure of one another."""
    store = await opened()
    await store.put(ONE, 10)

    assert await store.get(ONE.key) == ONE


async def test_a_name_that_its_certificate_holds(opened, server):
    """`server_name`, where the URL says an address."""
    store = await opened(url=f"rediss://127.0.0.1:{server.tls_port}", server_name="localhost")

    assert await store.get(session(2).key) is None


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"url": "rediss://127.0.0.1:{port}"}, "IP address mismatch"),
        ({"server_name": "redis.internal"}, "Hostname mismatch"),
        ({"trust": "other"}, "unable to get local issuer|certificate verify failed|self-signed"),
        ({"trust": None}, "unable to get local issuer|certificate verify failed|self-signed"),
        ({"url": "rediss://localhost:{plain}"}, "did not answer|(?i:version|record|EOF|closed|reset)"),
    ],
    ids=["address", "name", "authority", "system", "no TLS"],
)
async def test_nothing_is_sent_to_who_is_not_verified(opened, server, more, problem):
    """There is no way around it."""
    if "url" in more:
        more = {"url": more["url"].format(port=server.tls_port, plain=server.port)}
    store = await opened(**more)

    with pytest.raises(SessionStoreUnavailable, match=problem):
        await store.get(ONE.key)


async def test_without_a_client_certificate(opened):
    """Redis says no, and so does the store."""
    store = await opened(keystore=None)

    with pytest.raises(SessionStoreUnavailable):
        await store.get(ONE.key)


async def test_a_denied_certificate(opened, files, leaf):
    """The truststore's deny list counts here too."""
    (files / "deny").write_text(fingerprint(leaf.certificate) + "\n")
    store = await opened()

    with pytest.raises(SessionStoreUnavailable, match="the deny list names"):
        await store.get(ONE.key)
