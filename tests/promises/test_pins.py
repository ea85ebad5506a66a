"""`pins`: asked for beside chain and name, of every connection to an upstream."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.keystore.pins import pin_of

pytestmark = pytest.mark.promise


def pin(issued):
    return pin_of(x509.load_pem_x509_certificate(issued.certificate_pem()).public_bytes(Encoding.DER))


def point_at(house, service, *pins, **more):
    house.config["upstreams"]["legacy"] = {
        "urls": [f"https://127.0.0.1:{service.port}"], "trust": "ca", "pins": list(pins), **more,
    }  # fmt: skip


def test_a_pinned_service_is_asked(house, serve, pki):
    """The present key, or one of several."""
    shown, following = pki.server(), pki.server()
    service = serve(shown)
    point_at(house, service, pin(following), pin(shown))
    house.start()

    assert house.ask("/", house.user).status == 200


def test_another_key_is_refused_though_chain_and_name_are_good(house, serve, pki):
    """502 that says nothing; the log has the pin that was shown; not one byte of the request left."""
    shown = pki.server()
    service = serve(shown)
    point_at(house, service, pin(pki.server()), pin(pki.root))
    running = house.start()
    answer = house.ask("/secret", house.user)
    line = running.access(answer)

    assert (answer.status, line["reason"]) == (502, "upstream-unverified")
    assert line["error"].endswith(f": its certificate's key is {pin(shown)}, none of upstreams.legacy.pins")
    assert b"sha256" not in answer.body
    assert service.seen == []


@pytest.mark.parametrize("fault", ["wrong-name", "wrong-authority"])
def test_a_pin_stands_for_neither_name_nor_chain(house, serve, pki, fault):
    """The right key under the wrong certificate is refused."""
    shown = pki.server("elsewhere.test") if fault == "wrong-name" else pki.server(by=pki.other)
    service = serve(shown)
    point_at(house, service, pin(shown))
    running = house.start()
    answer = house.ask("/", house.user)

    assert (answer.status, running.access(answer)["reason"]) == (502, "upstream-unverified")
    assert service.seen == []


def test_health_checks_obey(house, serve, pki, until):
    """A service with another key is unhealthy, and is not asked for its health."""
    service = serve(pki.server())
    point_at(house, service, pin(pki.server()), health={"path": "/health", "every": "1s", "timeout": "1s"})
    running = house.start()

    [line] = running.told("upstream.endpoint_unhealthy")
    assert "sha256/" in line["error"]
    assert service.seen == []
    answer = house.ask("/", house.user)
    assert (answer.status, running.access(answer)["reason"]) == (503, "upstream-unhealthy")


def test_a_pin_that_a_reload_takes_away_counts_at_the_next_request(house, serve, pki):
    """A connection that was made under it is not used again."""
    shown = pki.server()
    service = serve(shown)
    point_at(house, service, pin(shown))
    running = house.start()
    with house.client() as kept:
        assert kept.ask("/one", house.user).status == 200
        point_at(house, service, pin(pki.server()))
        house.save()
        running.reload()

        assert kept.ask("/two", house.user).status == 502
    assert [seen.path for seen in service.seen] == ["/one"]


def test_a_refused_service_is_hung_up_on(house, pki, serve, until):
    """The connection does not stay open."""
    service = serve(pki.server())
    point_at(house, service, pin(pki.server()))
    house.start()
    house.ask("/", house.user)

    until(lambda: service.accepted and not service._open, what="the connection has ended")
