"""What deploy/compose.redis.yaml promises: either proxy may go, and everybody stays signed in."""

import contextlib
import secrets

import pytest

from tests.deploy.composed import PAGE, Load, composed, until

pytestmark = pytest.mark.timeout(300)
PROXIES = ("proxy-a", "proxy-b")


@pytest.fixture(scope="module")
def running(docker, tool, tmp_path_factory):
    """One installation for all tests here; each leaves it running."""
    folder = tmp_path_factory.mktemp("compose-redis") / "deploy"
    with composed(tool("docker-compose"), folder, "compose.redis.yaml") as installed:
        yield installed


@pytest.fixture
def house(running):
    """The same, with both proxies at work: the balancer takes a moment to believe in one that was away."""
    client, path = running.client(), f"/{secrets.token_hex(8)}"

    def both_answer() -> bool:
        # As long as it believes in neither, it lets nobody in.
        with contextlib.suppress(OSError):
            return client.ask(path).status == 401 and answered_by(running, path) == set(PROXIES)
        return False

    until(both_answer, "both answer")
    return running


@pytest.fixture
def signed_in(house):
    """Somebody whose browser is signed in."""
    browser = house.client()
    assert browser.sign_in(house.user_id(), house.token).status == 303
    return browser


def answered_by(house, path):
    """The proxies that have written a line for a request to `path`."""
    return {name for name in PROXIES if f'"{path}"' in house.compose("logs", "--no-color", name).stdout}


def test_who_signed_in_at_one_proxy_is_known_at_both(house, signed_in):
    """Connections go to one and the other, with the cookie that one of them has made."""
    answers = set()

    def both_answered() -> bool:
        answers.add(signed_in.ask("/round", **PAGE).status)
        return answered_by(house, "/round") == set(PROXIES)

    until(both_answered, "both answer")

    assert answers == {200}


def test_the_client_is_known_behind_the_balancer(house):
    """The service is told the client's address, not the balancer's."""
    seen = house.client().ask("/who", Authorization=house.bearer).seen["headers"]
    networks = house.state("balancer")["NetworkSettings"]["Networks"]

    assert seen["X-Forwarded-For"] not in {network["IPAddress"] for network in networks.values()}
    assert seen["X-Forwarded-For"] == networks[f"{house.name}_outside"]["Gateway"]


def test_the_loss_of_a_proxy_signs_nobody_out(house, signed_in):
    """One is killed without a word: whoever connects next is answered by the other, signed in as before."""
    house.compose("kill", "-s", "KILL", "proxy-a")
    try:
        alone = [signed_in.ask("/alone", **PAGE) for _ in range(6)]
        again = house.client()
        newcomer = again.sign_in(house.user_id(), house.token)
    finally:
        house.up()

    assert {answer.status for answer in alone} == {200}
    assert all("<h1>Hello alice</h1>" in answer.text for answer in alone)
    assert newcomer.status == 303


def test_a_proxy_that_is_stopped_takes_leave(house, signed_in):
    """It drains while the balancer sends newcomers to the other: no request fails, and it exits 0.

    A kept connection may be closed just as its next request is on its way; then the client asks once more.
    """
    with Load(house) as load:
        until(lambda: load.answered > 50, "load")
        house.compose("stop", "proxy-a")
        seen = load.answered
        until(lambda: load.answered > seen + 50, "load after it")
    state = house.state("proxy-a")["State"]
    still: list[int] = []

    def told() -> bool:
        # A Redis that is busy with others is told to people as 503, and says nothing of who is signed in.
        still.append(signed_in.ask("/still", **PAGE).status)
        return still[-1] != 503

    until(told, "sessions are there")
    house.up()

    assert load.failed == []
    assert len(load.parted) <= 2
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    assert still[-1] == 200


def test_sessions_outlive_redis(house, signed_in):
    """A restart of Redis signs nobody out: what it holds is on its volume."""
    house.compose("restart", "redis")

    until(lambda: signed_in.ask("/back", **PAGE).status == 200, "sessions are back")


def test_redis_speaks_tls_with_a_password_to_the_proxies_alone(house):
    """It has no port, asks for its password, and does not answer in clear."""
    redis = house.state("redis")
    reached = house.compose(
        *("exec", "-T", "redis", "redis-cli", "--tls", "--cacert", "/run/secrets/redis/ca.pem", "-h", "redis", "dbsize")
    )
    plain = house.compose("exec", "-T", "redis", "redis-cli", "-h", "redis", "ping", check=False)

    assert redis["HostConfig"]["PortBindings"] in ({}, None)
    assert set(redis["NetworkSettings"]["Networks"]) == {f"{house.name}_store"}
    assert "NOAUTH" in reached.stdout
    assert "PONG" not in plain.stdout


@pytest.mark.parametrize("service", [*PROXIES, "redis", "balancer", "legacy"])
def test_a_container_may_do_nothing_more_than_it_must(house, service):
    """None is root, none has a capability or can gain one, and no root can be written to."""
    state = house.state(service)
    status = house.compose("exec", "-T", service, "cat", "/proc/1/status").stdout
    facts = {line.split(":")[0]: line.split(":")[1].split()[0] for line in status.splitlines() if ":\t" in line}

    assert facts["Uid"] != "0"
    assert (facts["CapEff"], facts["CapBnd"], facts["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    assert state["HostConfig"]["ReadonlyRootfs"] is True
