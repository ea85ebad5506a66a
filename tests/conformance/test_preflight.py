"""CORS preflights: answered here without a credential, and only as the configuration says (Fetch Standard, 3.3)."""

import pytest

from tests.conformance.conftest import _base
from tests.conformance.proxy import request, start

pytestmark = pytest.mark.promise

APP = "https://app.example.org"


@pytest.fixture(scope="module")
def proxy(material, recorder, tmp_path_factory):
    """Routes with and without preflights."""
    up = {"zone": "api", "upstream": "up"}
    running = start(
        tmp_path_factory.mktemp("preflight"),
        material,
        _base(recorder)
        | {
            "listeners": {"public": {"bind": "@public@", "hsts": "1d"}},
            "routes": [
                {**up, "path": "/"},
                {"path": "/public", "public": True, "upstream": "up"},
                {**up, "path": "/app", "methods": ["GET", "PUT"], "preflight": {
                    "origins": [APP, "http://localhost:3000"], "methods": ["GET", "PUT"]}},
                {**up, "path": "/full", "name": "full", "preflight": {
                    "origins": [APP], "methods": ["DELETE"], "headers": ["X-Own"], "max_age": "0s", "credentials": True}},
                {**up, "path": "/bare", "preflight": {"origins": [APP], "methods": ["GET"], "headers": []}},
                {"path": "/any", "public": True, "upstream": "up", "preflight": {"origins": ["*"], "methods": ["GET"]}},
            ],
        },
        ["public"],
        recorder,
    )  # fmt: skip
    yield running
    running.stop()


def ask(target, *lines, origin=APP, method="OPTIONS"):
    about = [f"Origin: {origin}", "Access-Control-Request-Method: PUT"] if origin else []
    return request(f"{method} {target} HTTP/1.1", *about, *lines, auth=b"")


def grants(answer):
    return {
        name.decode()[len("Access-Control-") :]: value.decode()
        for name, value in answer.fields
        if name.startswith(b"Access-Control-")
    }


@pytest.mark.parametrize("origin", [APP, "http://localhost:3000"])
def test_a_listed_origin_is_granted_what_is_configured(wire, fence, origin):
    """204 without a credential, even where OPTIONS is not among the route's methods; nothing is forwarded."""
    answer = wire.ask(ask("/app/x?y", "Access-Control-Request-Headers: authorization, x-evil", origin=origin))

    assert (answer.status, answer.body, answer.kind) == (204, b"", "own-page")
    assert grants(answer) == {
        "Allow-Origin": origin,
        "Allow-Methods": "GET, PUT",
        "Allow-Headers": "Authorization, Content-Type",
        "Max-Age": "600",
    }
    assert answer.one("Vary") == b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    assert answer.one("Cache-Control") == b"no-store"
    fence()


def test_every_key_has_its_field(proxy, wire):
    """Own headers, no memory, cookies; the log knows the route."""
    answer = wire.ask(ask("/full"))
    line = proxy.wait_access(answer.one("X-Request-Id"))

    assert grants(answer) == {
        "Allow-Origin": APP,
        "Allow-Methods": "DELETE",
        "Allow-Headers": "X-Own",
        "Allow-Credentials": "true",
        "Max-Age": "0",
    }
    assert (line["event"], line["route"], line["status"]) == ("request.answered", "full", 204)
    assert "Allow-Headers" not in grants(wire.ask(ask("/bare")))


def test_every_origin_may_be_granted(wire):
    """On a public route too; the answer repeats nothing of the question."""
    assert grants(wire.ask(ask("/any", origin="https://whoever.test")))["Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.test", "https://app.example.org.evil.test", "http://app.example.org", "https://app.example.org:443",
     "https://APP.example.org", "null", "*", "https://app.example.org/", "https://app.example.org https://evil.test"],
)  # fmt: skip
def test_any_other_origin_is_403(proxy, wire, fence, origin):
    """Origins are compared whole; no field of CORS is sent."""
    answer = wire.ask(ask("/app", origin=origin))

    assert answer.status == 403
    assert grants(answer) == {}
    assert proxy.wait_access(answer.one("X-Request-Id"))["reason"] == "origin-not-allowed"
    fence()


@pytest.mark.parametrize("line", [f"Origin: {APP}", "Access-Control-Request-Method: GET"])
def test_two_of_one_are_two_readings(wire, fence, line):
    """400, as for every field that must stand once."""
    assert wire.ask(ask("/app", line)).status == 400
    fence()


def test_without_the_key_options_is_a_method_like_any(wire, upstream):
    """It needs a credential, and is forwarded with one."""
    assert wire.ask(ask("/")).status == 401
    assert wire.ask(request("OPTIONS / HTTP/1.1", f"Origin: {APP}", "Access-Control-Request-Method: PUT")).status == 200
    assert [seen.method for seen in upstream.requests] == [b"OPTIONS"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (ask("/app", origin=""), 405), (ask("/full", origin=""), 401), (request("OPTIONS /full HTTP/1.1", f"Origin: {APP}", auth=b""), 401),
        (request("OPTIONS /full HTTP/1.1", "Access-Control-Request-Method: PUT", auth=b""), 401),
        (ask("/full", method="GET"), 401), (ask("/full", method="options"), 401), (ask("/app", method="POST"), 405),
        (ask("/full/../app"), 400), (ask("/fuller"), 401),
    ],
)  # fmt: skip
def test_what_is_no_preflight_opens_nothing(wire, fence, raw, status):
    """Only OPTIONS with both fields is one, and only under the route's path."""
    assert wire.ask(raw).status == status
    fence()


def test_a_preflight_with_a_body_leaves_the_connection_in_order(wire, upstream):
    """The body is read away, then comes the next request."""
    body = b"GET /smuggled HTTP/1.1\r\n\r\n"
    wire.send(ask("/app", f"Content-Length: {len(body)}") + body + request("GET /app/next HTTP/1.1"))

    assert wire.answer().status == 204
    assert wire.answer().status == 200
    assert [seen.target for seen in upstream.requests] == [b"/app/next"]


def test_actual_answers_are_the_upstreams_business(wire, upstream):
    """Its Access-Control-Allow-Origin passes; none is added."""
    assert grants(wire.ask(request("GET /app HTTP/1.1", f"Origin: {APP}"))) == {}
    upstream.answer(b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://a.test\r\nContent-Length: 0\r\n\r\n")

    assert grants(wire.ask(request("GET /app HTTP/1.1", f"Origin: {APP}"))) == {"Allow-Origin": "https://a.test"}
