"""A recording upstream, the real proxies before it, and a client that sends exact bytes."""

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.proxy import Material, Proxy, request, start
from tests.conformance.upstream import TRUSTED, RecordingUpstream
from tests.conformance.wire import Answer, Wire


@pytest.fixture(scope="session")
def material() -> Material:
    """Keys and certificates."""
    return Material.make()


@pytest.fixture(scope="session")
def recorder(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingUpstream]:
    """The upstream of the whole run."""
    upstream = RecordingUpstream(material.upstream_context(tmp_path_factory.mktemp("upstream")))
    yield upstream
    upstream.stop()


@pytest.fixture(scope="session")
def blackhole() -> Iterator[int]:
    """A port where connections are taken by the kernel and by nobody else."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(scope="session")
def closed_port() -> Iterator[int]:
    """A port that is bound and does not listen: connections are refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _base(recorder: RecordingUpstream) -> dict[str, object]:
    url = f"https://127.0.0.1:{recorder.port}"
    return {
        "version": 1,
        "keystores": {"main": {"file": "server.pem"}},
        "truststores": {"ca": {"file": "ca.pem"}, "stranger": {"file": "stranger.pem"}},
        "catalogs": {"users": {"kind": "file", "file": "tokens.yaml"}},
        "zones": {
            "api": {"prefix": "svc", "peppers": [{"file": "api.pepper"}], "catalog": "users"},
            "web": {"prefix": "web", "peppers": [{"file": "web.pepper"}], "catalog": "users"},
        },
        "upstreams": {"up": {"urls": [url], "trust": "ca", "server_name": "upstream.test"}},
        "trusted_proxies": [f"{TRUSTED}/32", "10.0.0.0/8"],
    }


@pytest.fixture(scope="session")
def proxy(
    material: Material, recorder: RecordingUpstream, closed_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """The proxy with its default limits and times, and a route for every rule."""
    base = _base(recorder)
    url = f"https://127.0.0.1:{recorder.port}"
    good = {"urls": [url], "trust": "ca", "server_name": "upstream.test"}
    upstreams = {
        "up": good,
        "unusual": good,
        "once": {**good, "reuse_after_body": False},
        "own": {**good, "host": "upstream"},
        "refused": {**good, "urls": [f"https://127.0.0.1:{closed_port}"]},
        "misnamed": {**good, "server_name": "other.test"},
        "stranger": {**good, "trust": "stranger"},
    }
    api = {"zone": "api", "upstream": "up", "listeners": ["public"]}
    routes = [
        {**api, "path": "/"},
        {"path": "/public/", "public": True, "upstream": "up", "listeners": ["public"]},
        {**api, "path": "/web/", "zone": "web"},
        {**api, "path": "/methods/", "methods": ["GET", "HEAD", "POST", "PURGE"]},
        {**api, "path": "/unusual/", "upstream": "unusual",
         "unusual_path": ["semicolon", "double_slash", "encoded_slash"]},
        {**api, "path": "/once/", "upstream": "once"},
        {**api, "path": "/own/", "upstream": "own"},
        {**api, "path": "/refused/", "upstream": "refused"},
        {**api, "path": "/misnamed/", "upstream": "misnamed"},
        {**api, "path": "/stranger/", "upstream": "stranger"},
        {**api, "path": "/small/", "max_body": 1024},
        {**api, "path": "/keep/", "unsafe_forward_credentials": True},
        {**api, "path": "/admin/", "allow": {"groups": ["admins"]}},
        {**api, "path": "/near/", "allow": {"networks": ["192.0.2.0/24"]}},
        {**api, "path": "/plain/", "upgrades": []},
        {**api, "path": "/gone/", "strip_prefix": "/gone"},
        {**api, "path": "/some/", "upstream": "unusual", "strip_prefix": "/some/gone", "unusual_path": ["encoded_slash", "double_slash"]},
        {**api, "path": "/old/", "rewrite": "/new"},
        {**api, "path": "/bodies/", "body_methods": ["POST", "DELETE"]},
        {**api, "path": "/exact", "exact": True, "methods": ["PURGE"]},
        {**api, "path": "/headers/", "headers": {
            "request": {"X-Api-Key": "sesame", "X-Unwanted": None},
            "response": {"X-Frame-Options": "DENY", "X-Powered-By": None},
        }},
        {**api, "path": "/told/", "headers": {"request": {
            "X-Forwarded-For": f"192.0.2.9, {TRUSTED}", "X_Forwarded_Proto": "gopher", "forwarded": None, "X-Forwarded-Port": None,
            "X-Forwarded-Prefix": "/told",
        }}},
        {**api, "path": "/brief/", "host": "app.example.org", "listeners": ["hosts"],
         "headers": {"response": {"Strict-Transport-Security": "max-age=60"}}},
        {**api, "path": "/bare/", "host": "app.example.org", "listeners": ["hosts"],
         "headers": {"response": {"strict-transport-security": None}}},
        {"path": "/", "host": "app.example.org", "zone": "api", "upstream": "up", "listeners": ["hosts"]},
        {"path": "/", "host": "*.wild.example.org", "zone": "api", "upstream": "up", "listeners": ["hosts"]},
    ]  # fmt: skip
    configuration = base | {
        "listeners": {
            "public": {"bind": "@public@", "health": "/healthz"},
            "hosts": {"bind": "@hosts@", "drop_unusual_names": True, "hsts": "365d"},
        },
        "upstreams": upstreams,
        "routes": routes,
        # What a connection can do in its life is asked here; how long that lasts is asked in test_lifetime.py.
        "limits": {"requests_per_connection": "off"},
        "identity": {
            "headers": {
                "X-Authproxy-User": "id",
                "Remote-User": "name",
                "X-Authproxy-Groups": "groups",
                "X-Authproxy-Method": "method",
                "Legacy-Login": "id",
            }
        },
    }
    running = start(tmp_path_factory.mktemp("proxy"), material, configuration, ["public", "hosts"], recorder)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def hasty(
    material: Material, recorder: RecordingUpstream, blackhole: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """A proxy with short times and small limits."""
    base = _base(recorder)
    times = {"connect": "1s", "response_head": "1s", "idle": "1s"}
    good = {"trust": "ca", "server_name": "upstream.test", "timeouts": times}
    configuration = base | {
        "listeners": {"public": {"bind": "@public@", "health": "/healthz"}},
        "upstreams": {
            "up": {**good, "urls": [f"https://127.0.0.1:{recorder.port}"]},
            "silent": {**good, "urls": [f"https://127.0.0.1:{blackhole}"]},
        },
        "routes": [
            {"path": "/", "zone": "api", "upstream": "up"},
            {"path": "/silent/", "zone": "api", "upstream": "silent"},
        ],
        "limits": {"head": 1024, "line": 256, "fields": 8},
        "timeouts": {
            "handshake": "1500ms",
            "head": "1s",
            "body_idle": "1s",
            "keep_alive": "1s",
            "tunnel_idle": "1s",
        },
    }
    running = start(tmp_path_factory.mktemp("hasty"), material, configuration, ["public"], recorder)
    yield running
    running.stop()


@pytest.fixture
def upstream(recorder: RecordingUpstream) -> Iterator[RecordingUpstream]:
    """The upstream with nothing recorded yet; what went wrong within it fails the test."""
    recorder.reset()
    yield recorder
    assert not recorder.errors


@pytest.fixture
def dial(proxy: Proxy, upstream: RecordingUpstream) -> Iterator[Callable[..., Wire]]:
    """Opens connections to the proxy that are closed after the test."""
    opened: list[Wire] = []

    def dial(listener: str = "public", **more: str) -> Wire:
        wire = proxy.connect(listener, **more)
        opened.append(wire)
        return wire

    yield dial
    for wire in opened:
        wire.close()


@pytest.fixture
def wire(dial: Callable[..., Wire]) -> Wire:
    """One connection to the proxy."""
    return dial()


@pytest.fixture
def fence(proxy: Proxy, upstream: RecordingUpstream) -> Callable[[], None]:
    """Asserts that nothing reached the upstream so far: a request sent now is the first that it sees."""

    def fence() -> None:
        upstream.scripts.clear()
        other = proxy.connect()
        try:
            answer: Answer = other.ask(request("GET /public/fence HTTP/1.1", auth=b""))
            assert answer.status == 200, answer
        finally:
            other.close()
        assert [seen.target for seen in upstream.requests] == [b"/public/fence"]

    return fence
