"""A start either serves or says why not, at once, and leaves nothing listening."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys

import pytest

from authproxy.cli import main
from tests.patience import SOON

pytestmark = [pytest.mark.promise, pytest.mark.timeout(120)]


def ended(running):
    """The exit code, soon: within two seconds where nothing else runs. Here it is work that is counted, not time.

    Cores that are shared with others make it dearer, too: up to twice as much has been seen.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = running.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SOON
    return code


def no_pepper(house):
    (house.directory / "pepper").unlink()


def open_pepper(house):
    (house.directory / "pepper").chmod(0o644)


def short_pepper(house):
    house.put("pepper", b"too short")


def unreadable_pepper(house):
    (house.directory / "pepper").unlink()
    (house.directory / "pepper").mkdir()


def unknown_key(house):
    house.config["listeners"]["public"]["keystor"] = "main"


def no_trust(house):
    (house.directory / "ca.pem").unlink()


def empty_trust(house):
    house.put("ca.pem", b"")


def no_client_trust(house):
    house.config["truststores"]["clients"] = {"file": "clients.pem"}
    house.config["listeners"]["public"]["client_certificates"] = {"mode": "required", "trust": "clients"}


def no_catalog(house):
    (house.directory / "tokens.yaml").unlink()


def garbled_catalog(house):
    house.put("tokens.yaml", "- user_id: [\n")


def no_log_directory(house):
    house.config["logging"]["access"] = "./nowhere/access.log"


OTHERS = [
    pytest.param(no_pepper, ("pepper", "cannot be read"), 77, id="no-pepper"),
    pytest.param(open_pepper, ("pepper", "everybody can read"), 77, id="open-pepper"),
    pytest.param(short_pepper, ("pepper", "at least 32 bytes"), 77, id="short-pepper"),
    pytest.param(unreadable_pepper, ("pepper", "cannot be read|not a regular file"), 77, id="unreadable-pepper"),
    pytest.param(unknown_key, ("authproxy.yaml", "keystor"), 78, id="unknown-key"),
    pytest.param(no_trust, ("ca.pem", "no such file"), 78, id="no-trust"),
    pytest.param(empty_trust, ("ca.pem", "CERTIFICATE|no certificate|empty"), 78, id="empty-trust"),
    pytest.param(no_client_trust, ("clients.pem", "no such file"), 78, id="no-client-trust"),
    pytest.param(no_catalog, ("tokens.yaml", "no such file"), 78, id="no-catalog"),
    pytest.param(garbled_catalog, ("tokens.yaml", "tokens.yaml:"), 78, id="garbled-catalog"),
    pytest.param(no_log_directory, ("access.log", "cannot be opened|no such"), None, id="no-log-directory"),
]


def checked(house, capsys):
    """What `authproxy check` makes of it: exit code and lines of complaint."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["check", "-c", str(house.directory / "authproxy.yaml")])
    return end.value.code, capsys.readouterr().err.splitlines()


def fails(house, capsys, file, reason, code):
    """Run, and hold what comes of it against the promise; then check, which must say the same."""
    running = house.spawn()
    found = ended(running)
    said = running.stderr()

    assert found != 0
    assert code in (None, found), said
    lines = [line for line in said.splitlines() if file in line and re.search(reason, line)]
    assert lines, said
    assert "Traceback" not in said
    assert "proxy.started" not in said
    assert house.refuses()
    assert house.refuses(house.ops_port)
    check_code, check_lines = checked(house, capsys)
    assert check_code == found
    assert set(lines) <= set(check_lines)


def test_a_good_start_serves_and_says_so_once(house):
    """One `proxy.started`, one `listener.opened`, a request passes, health is good, and nothing is an error."""
    running = house.start()
    answer = house.ask("/hello?x=1", house.user)

    assert answer.status == 200
    assert answer.json()["path"] == "/hello?x=1"
    assert answer.json()["headers"]["X-Authproxy-User"] == house.user.user_id
    assert len(running.told("proxy.started")) == 1
    assert running.told("proxy.started")[0]["listeners"] == ["public"]
    assert [line["bind"] for line in running.told("listener.opened")] == [f"127.0.0.1:{house.port}"]
    assert [line for line in running.events() if line["level"] == "error"] == []
    assert running.ops("/livez").status == 200
    assert json.loads(running.ops("/status").body)["stage"] == "serving"


def test_a_broken_certificate_stops_the_start(house, breakage, capsys):
    """Each kind of bad certificate ends the start within two seconds, named by file and reason, and fails a check so."""
    breakage.spoil(house)

    fails(house, capsys, breakage.file, breakage.reason, breakage.code)


@pytest.mark.parametrize(("spoil", "said", "code"), OTHERS)
def test_whatever_else_is_broken_stops_the_start(house, capsys, spoil, said, code):
    """A bad secret is exit 77, a bad configuration 78; always within two seconds, always with file and reason."""
    spoil(house)

    file, reason = said
    fails(house, capsys, file, reason, code)


def test_a_good_configuration_passes_the_check(house, capsys):
    """`authproxy check` is content with what runs, also while it runs."""
    house.start()
    code, lines = checked(house, capsys)

    assert code == 0, lines


def test_a_taken_port_stops_the_start(house):
    """A listener whose address somebody else has ends the start, and names the address."""
    with socket.create_server(("127.0.0.1", house.port)):
        running = house.spawn()
        code = ended(running)

    assert code != 0
    assert f"127.0.0.1:{house.port}: cannot listen: address already in use" in running.stderr()
    assert "listeners.public" in running.stderr()
    assert "Traceback" not in running.stderr()


def test_a_second_listener_whose_port_is_taken_leaves_the_first_closed(house, free_port):
    """All listeners open, or none does."""
    port = free_port()
    house.config["listeners"]["second"] = {"bind": f"127.0.0.1:{port}", "keystore": "main"}
    with socket.create_server(("127.0.0.1", port)):
        running = house.spawn()
        code = ended(running)

        assert code != 0
        assert house.refuses()
        assert "listener.opened" not in running.stderr()


def test_a_taken_ops_port_stops_the_start(house):
    """Nobody must believe in monitoring that is not there."""
    with socket.create_server(("127.0.0.1", house.ops_port)):
        running = house.spawn()
        code = ended(running)

    assert code != 0
    assert f"127.0.0.1:{house.ops_port}" in running.stderr()
    assert "proxy.started" not in running.stderr()
    assert "Traceback" not in running.stderr()
    assert house.refuses()


def test_a_bad_row_does_not_stop_the_start(house):
    """It disables its user, names file, line and key, and everybody else comes in."""
    spoilt = house.new_user()
    spoilt.row["hash"] = "0" * 12
    house.put_users(house.user, spoilt)
    running = house.start()

    assert house.ask("/", house.user).status == 200
    assert house.ask("/", spoilt).status == 401
    [line] = running.told("catalog.row_rejected")
    assert "tokens.yaml:" in line["error"]
    assert "hash" in line["error"]


@pytest.mark.parametrize("granted", [6, 12, 63])
def test_too_few_descriptors_are_told_in_one_line(house, granted):
    """With exit code 78; it was a traceback, or with very few the end of the process by a signal."""
    house.save()
    # Those whom a shell starts have its limits.
    command = f"ulimit -n {granted}; exec {sys.executable} -m authproxy run"
    done = subprocess.run(["sh", "-c", command], cwd=house.directory, capture_output=True, text=True, check=False)

    assert done.returncode == 78
    [line] = done.stderr.splitlines()
    assert f"this process may open {granted} files and connections, and needs 64: raise the limit" in line


def test_a_unix_socket_goes_when_its_listener_goes(house, until):
    """At a reload that takes it away, and at the end; what has come in its place is somebody else's."""
    path = house.directory / "door.sock"
    with_it = {**house.config["listeners"], "local": {"bind": f"unix:{path}"}}
    without, house.config["listeners"] = house.config["listeners"], with_it
    running = house.start()
    assert path.is_socket()

    house.config["listeners"] = without
    house.save()
    running.reload()
    until(lambda: not path.exists(), what="the end of the socket")

    house.config["listeners"] = with_it
    house.save()
    running.reload()
    until(path.is_socket, what="the socket")
    running.term()
    assert running.wait() == 0
    assert not path.exists()

    running = house.start()
    path.unlink()
    path.write_bytes(b"precious")
    running.term()
    assert running.wait() == 0
    assert path.read_bytes() == b"precious"


def test_the_ops_socket_goes_when_it_is_not_asked_any_more(house, until):
    """At a reload that moves it, and at the end."""
    path = house.directory / "ops.sock"
    running = house.start()
    for bind, there in ((f"unix:{path}", True), (f"127.0.0.1:{house.ops_port}", False), (f"unix:{path}", True)):
        house.config["ops"] = {"bind": bind}
        house.save()
        running.reload()
        until(lambda there=there: path.is_socket() is there, what=f"ops at {bind}")
    running.term()

    assert running.wait() == 0
    assert not path.exists()


def test_every_answer_on_ops_says_whose_it_is(house):
    """Class and id, never to be kept, and no word about what the server is made of: also where there is no such page."""
    running = house.start()
    wanted = {"/livez": (200, "own-page"), "/readyz": (200, "own-page"), "/status": (200, "own-page"),
              "/metrics": (200, "own-page"), "/": (404, "bad-request")}  # fmt: skip
    answers = {path: running.ops(path) for path in wanted}

    for path, (status, kind) in wanted.items():
        headers = answers[path].headers
        assert answers[path].status == status
        assert re.fullmatch(rf"{kind}; id=[0-9a-f]{{32}}", headers["X-Authproxy-Response"])
        assert (headers["Cache-Control"], headers["Server"]) == ("no-store", "authproxy")
    assert len({answer.headers["X-Authproxy-Response"] for answer in answers.values()}) == len(answers)


def test_a_hangup_during_the_start_is_a_reload_and_no_end(house, until):
    """Whoever writes new keys and signals at once does not have to know how far the start has come."""
    more = house.directory / "more.yaml"
    os.mkfifo(more)
    house.config["include"] = [more.name]
    running = house.spawn()
    # Opened as soon as the process reads its configuration, and that ends when this does.
    with more.open("wb") as pipe:
        os.kill(running.pid, signal.SIGHUP)
        pipe.write(b"pages: {name: Example}\n")
        house.put("other.yaml", b"pages: {name: Example}\n")
        (house.directory / "other.yaml").replace(more)

    assert running.told("proxy.started")
    until(lambda: any(line["part"] == "config" for line in running.events("reload.applied")), what="the reload")
    running.term()
    assert running.wait() == 0
