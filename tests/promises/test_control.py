"""The control socket of the real process, and `authproxy reload`."""

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.promise


@pytest.fixture
def controlled(house):
    """A house with a state directory; `.reload(*options)` runs the command."""
    house.config["state"] = "kept"
    house.socket = house.directory / "kept" / "control.sock"
    return house


def command(house, *options, **more):
    arguments = [sys.executable, "-m", "authproxy", "reload", "-c", str(house.directory / "authproxy.yaml"), *options]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False, **more)


def parts(done):
    return {part["part"]: part["result"] for part in json.loads(done.stdout)["parts"]}


def test_a_reload_is_waited_for(controlled):
    """Each part is told as it ended, and what it says is at work when the command ends."""
    controlled.start()
    before = command(controlled, "--wait", "--json")
    controlled.config["routes"][0]["headers"] = {"response": {"X-New": "yes"}}
    controlled.put_users(controlled.user, controlled.new_user())
    controlled.save()
    after = command(controlled, "--wait", "--json")

    assert (before.returncode, after.returncode) == (0, 0)
    assert parts(before) == {"config": "unchanged", "trust": "unchanged", "catalog:users": "unchanged"}
    assert parts(after) == {"config": "applied", "trust": "unchanged", "catalog:users": "applied"}
    assert controlled.ask("/", controlled.user).headers["X-New"] == "yes"


def test_a_rejection_is_exit_code_1(controlled, breakage):
    """Whatever is wrong with a certificate: the command names the file, the old certificate is shown."""
    running = controlled.start()
    breakage.spoil(controlled)
    done = command(controlled, "--wait")

    assert done.returncode == 1
    told = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert " rejected: " in told["config"]
    assert breakage.file in told["config"]
    assert " unchanged" in told["trust"]
    assert controlled.ask("/", controlled.user).status == 200
    assert len(running.told("reload.rejected", part="config")) == 1


def test_trust_and_catalogs_have_outcomes_of_their_own(controlled):
    """A garbled token file and a garbled configuration keep back neither each other nor trust."""
    controlled.start()
    controlled.put("ca.pem", controlled.pki.root.certificate_pem() + controlled.pki.other.certificate_pem(), 0o644)
    controlled.put("tokens.yaml", "- {user_id: [\n")
    controlled.put("authproxy.yaml", "state: kept\nnonsense: 1\n")
    done = command(controlled, "--wait", "--json")

    assert done.returncode == 1
    assert parts(done) == {"config": "rejected", "trust": "applied", "catalog:users": "rejected"}


def test_without_waiting_it_is_accepted(controlled, until):
    """The command ends at once; the log tells the rest."""
    running = controlled.start()
    mark = running.mark()
    done = command(controlled)

    assert (done.returncode, done.stdout.split(":")[0]) == (0, "accepted")
    until(lambda: running.events("reload.applied", since=mark, part="config"), what="the reload")


def test_a_pair_that_was_half_written_is_applied(controlled):
    """The key comes within the second: the outcome is that of the second try."""
    running = controlled.start()
    fresh = controlled.pki.server()
    key = fresh.key_pem()
    controlled.put("server.pem", fresh.certificate_pem(), 0o644)
    arguments = [sys.executable, "-m", "authproxy", "reload", "-c", str(controlled.directory / "authproxy.yaml")]
    with subprocess.Popen([*arguments, "--wait", "--json"], stdout=subprocess.PIPE, text=True) as asking:
        running.told("reload.rejected", part="config")
        controlled.put("server.key", key)
        out, _ = asking.communicate(timeout=30)

    assert asking.returncode == 0
    assert {part["part"]: part["result"] for part in json.loads(out)["parts"]}["config"] == "applied"


def test_nobody_there_is_exit_code_69(controlled):
    """With the path, and without a stack; the socket of a process that was killed is nobody's either."""
    controlled.save()
    never = command(controlled, "--wait")
    running = controlled.start()
    running.term(signal.SIGKILL)
    running.wait()
    killed = command(controlled, "--wait")

    for done in (never, killed):
        assert done.returncode == 69
        assert f"authproxy: unix:{controlled.socket}: nobody listens there" in done.stderr


def test_a_configuration_without_control_is_told(house):
    """With the cure."""
    house.save()
    done = command(house)

    assert done.returncode == 78
    assert "authproxy.yaml: control: is not set" in done.stderr


def test_the_socket_lives_as_long_as_the_process(controlled, until):
    """Made for owner and group in a directory for the owner, there after reloads, gone after the end."""
    running = controlled.start()
    assert stat.S_IMODE(controlled.socket.stat().st_mode) == 0o660
    assert stat.S_IMODE(controlled.socket.parent.stat().st_mode) == 0o700
    born = controlled.socket.stat().st_ino
    command(controlled, "--wait")
    assert controlled.socket.stat().st_ino == born
    running.term()

    assert running.wait() == 0
    assert not controlled.socket.exists()


def test_a_stale_socket_is_replaced(controlled):
    """Left by a process that was killed."""
    running = controlled.start()
    running.term(signal.SIGKILL)
    running.wait()
    assert controlled.socket.exists()
    controlled.start()

    assert command(controlled, "--wait").returncode == 0


def test_a_second_process_does_not_take_the_socket_away(controlled, free_port):
    """It does not start, says why, and the first goes on."""
    controlled.start()
    controlled.config["listeners"]["public"]["bind"] = f"127.0.0.1:{free_port()}"
    controlled.config["ops"]["bind"] = f"127.0.0.1:{free_port()}"
    second = controlled.spawn()

    assert second.wait() == 78
    assert f"state: unix:{controlled.socket}: cannot listen: address already in use" in second.stderr()
    assert command(controlled, "--wait").returncode == 0


def test_the_socket_follows_the_configuration(controlled, until):
    """Whoever asked on the old one is told how it went; the old one is gone, the new one answers."""
    controlled.start()
    moved = controlled.directory / "moved.sock"
    controlled.config["control"] = f"unix:{moved}"
    controlled.save()
    done = command(controlled, "--wait", "--control", str(controlled.socket))

    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: not controlled.socket.exists(), what="the old socket is gone")
    assert command(controlled, "--wait").returncode == 0


def test_a_control_socket_that_cannot_be_had_leaves_the_old_one(controlled):
    """A file is in the way; it stays, and log and command say so, as often as they are asked."""
    running = controlled.start()
    blocked = controlled.put("blocked.sock", "mine")
    controlled.config["control"] = f"unix:{blocked}"
    controlled.save()
    mark = running.mark()
    done = command(controlled, "--wait", "--control", str(controlled.socket))

    [line] = running.told("reload.rejected", since=mark, part="control")
    assert str(blocked) in line["error"]
    assert f"rejected: {line['error']}" in done.stdout
    assert blocked.read_text() == "mine"
    assert [done.returncode, command(controlled, "--wait", "--control", str(controlled.socket)).returncode] == [1, 1]


def test_an_ops_address_that_cannot_be_had_is_told_to_whoever_asked(controlled):
    """`reload --wait` said that all was applied, while monitoring went on asking at the old address."""
    running = controlled.start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        controlled.config["ops"] = {"bind": f"127.0.0.1:{taken.getsockname()[1]}"}
        controlled.save()
        mark = running.mark()
        done = command(controlled, "--wait")

    [line] = running.told("reload.rejected", since=mark, part="ops")
    assert "authproxy.yaml:" in line["error"]
    assert ": ops.bind: " in line["error"]
    assert (done.returncode, f"rejected: {line['error']}" in done.stdout) == (1, True)
    assert running.ops("/livez").status == 200
    assert command(controlled, "--wait").returncode == 0


def test_status_is_told_there_too(controlled):
    """The same as on `ops`."""
    running = controlled.start()
    with contextlib.closing(http.client.HTTPConnection("localhost")) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(controlled.socket))
        connection.request("GET", "/status")
        with connection.getresponse() as response:
            told = json.loads(response.read())

    asked = json.loads(running.ops("/status").body)
    assert response.status == 200
    assert {**told, "connections": 0} == {**asked, "connections": 0}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("loosened", [False, True], ids=["mode 0660", "mode 0666"])
def test_another_user_may_not_ask(house, loosened):
    """Refused by the kernel; and by the process, when somebody has loosened the mode."""
    with tempfile.TemporaryDirectory() as open_directory:
        place = Path(open_directory)
        place.chmod(0o755)
        path = place / "control.sock"
        house.config["control"] = f"unix:{path}"
        running = house.start()
        if loosened:
            path.chmod(0o666)
        # What is imported lies where that user may not read.
        script = (
            "import os, sys\nfrom pathlib import Path\nfrom authproxy.cli.reload import ask\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "try: ask(Path(sys.argv[1]), wait=True, timeout=10)\nexcept Exception as error: print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=30, check=True
        )

        expected = "only the proxy's user, root and the group" if loosened else "this user may not ask"
        assert expected in done.stdout
        if loosened:
            running.told("control.refused")
        assert running.events("reload.applied", part="config") == []
