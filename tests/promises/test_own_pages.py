"""Pages of the proxy's own, as a client sees them."""

import http.client

import pytest

pytestmark = pytest.mark.promise


@pytest.mark.parametrize(("hsts", "value"), [("365d", "max-age=31536000"), (None, None)])
def test_the_health_page_carries_the_listener_s_hsts(house, hsts, value):
    """As every other answer; off where it is off."""
    house.config["listeners"]["public"] |= {"health": "/healthz"} | ({"hsts": hsts} if hsts else {})
    house.start()
    answer = house.ask("/healthz")

    assert answer.status == 200
    assert answer.headers.get("Strict-Transport-Security") == value


def test_hsts_is_not_sent_over_plain_http(house, free_port):
    """Where nobody could tell who says so."""
    port = free_port()
    house.config["listeners"]["public"]["hsts"] = "365d"
    house.config["listeners"]["plain"] = {"bind": f"127.0.0.1:{port}", "mode": "redirect", "health": "/healthz"}
    house.start()

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/healthz", headers={"Host": "localhost"})
    with connection.getresponse() as response:
        response.read()
    connection.close()
    assert response.status in {200, 308, 421}
    assert response.getheader("Strict-Transport-Security") is None
