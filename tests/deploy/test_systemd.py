"""The systemd unit: clean for systemd's own checkers, and at work under a real systemd."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from authproxy.keystore import generate as keys
from tests.deploy.systemd_box import ROOT, SYSTEMD, installed, steps

UNIT = (SYSTEMD / "authproxy.service").read_text()
DROP_IN = "/etc/systemd/system/authproxy.service.d/test.conf"
CONFIG = "/etc/authproxy/authproxy.yaml"


def checked(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


# ---------------------------------------------------------------- as files


@pytest.fixture(params=["alone", "port-443.conf"])
def unit(request, tmp_path):
    """The unit, with a command that is there, alone or with its drop-in."""
    command = str(Path(sys.executable).with_name("authproxy"))
    path = tmp_path / "authproxy.service"
    path.write_text(UNIT.replace("/opt/authproxy/bin/authproxy", command))
    if request.param != "alone":
        (tmp_path / "authproxy.service.d").mkdir()
        shutil.copy(SYSTEMD / request.param, tmp_path / "authproxy.service.d")
    return path


def test_systemd_has_nothing_to_say(tool, unit):
    """`systemd-analyze verify` ends well after unknown keys too: what counts is that it is silent."""
    verified = checked(tool("systemd-analyze"), "verify", "--man=no", unit)

    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_a_mistake_would_be_told(tool, unit):
    """The test above can fail."""
    unit.write_text(unit.read_text().replace("WatchdogSec", "WatchDogSec"))

    assert "WatchDogSec" in checked(tool("systemd-analyze"), "verify", "--man=no", unit).stderr


def test_the_sandbox_is_tight(tool, unit):
    """At most 1.4 of 10 by systemd's own count, as its README says; port 443 costs 0.4."""
    limit = "14" if not (unit.parent / "authproxy.service.d").exists() else "18"
    # A path is taken without its drop-ins, a name is looked for where this says.
    found = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=yes", f"--threshold={limit}", "--no-pager", unit.name],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{unit.parent}:"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert found.returncode == 0, found.stdout.splitlines()[-1]


def test_what_is_not_restarted_is_what_cannot_get_better():
    """Exit codes as docs and --help say them: usage, secrets, configuration."""
    assert re.findall(r"^RestartPreventExitStatus=(.*)$", UNIT, re.MULTILINE) == ["2 77 78"]


def test_the_user_is_made_by_sysusers(tool, tmp_path):
    """And is who the unit names."""
    (tmp_path / "etc").mkdir()
    made = checked(tool("systemd-sysusers"), f"--root={tmp_path}", SYSTEMD / "authproxy.sysusers")

    assert (made.returncode, re.sub(r"Creating .*\n", "", made.stderr)) == (0, "")
    assert "\nauthproxy:" in "\n" + (tmp_path / "etc/passwd").read_text()
    assert {"User=authproxy", "Group=authproxy"} <= set(UNIT.splitlines())


# ---------------------------------------------------------------- at work

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can boot a systemd of its own")


@pytest.fixture(scope="module")
def box(tool, tmp_path_factory):
    """A systemd with the unit installed and started by the README's own commands."""
    tool("unshare")
    tool("curl")
    validity = keys.Validity.of_days(datetime.now(UTC), 90)
    root = keys.new_authority("internal", validity, keys.Algorithm.EC_P256)
    names = [keys.alternative_name("legacy.internal")]
    legacy = keys.new_server(root, names, validity, keys.Algorithm.EC_P256)
    files = {"internal-ca.pem": root.certificate_pem(), "legacy.pem": keys.combined_file(legacy)}
    with installed(tmp_path_factory.mktemp("box"), files) as made:
        yield made


@pytest.fixture
def at_work(box):
    """The service as installed, started anew if a test before has left it otherwise."""
    original = (SYSTEMD / "authproxy.yaml").read_text()
    if box.get(CONFIG) != original or box.show("ActiveState") != ["active"] or "test.conf" in drop_ins(box):
        box.sh(f"rm -f {DROP_IN}; systemctl daemon-reload; systemctl reset-failed authproxy || true")
        box.put(CONFIG, original)
        box.sh("chmod 640 /etc/authproxy/tls/server.pem; systemctl restart authproxy")
    return box


def drop_ins(box):
    return box.show("DropInPaths")[0]


def change(box, before, after):
    box.put(CONFIG, box.get(CONFIG).replace(before, after))


def drop_in(box, text):
    box.put(DROP_IN, f"[Service]\n{text}\n", "644")
    box.sh("systemctl daemon-reload")


@needs_root
def test_the_readme_leads_to_a_service_at_work(at_work):
    """With a token the service behind answers, without one it hears nothing."""
    assert at_work.show("ActiveState", "SubState", "StatusText") == [
        "active", "running", "serving generation 1 on public (0.0.0.0:8443)",
    ]  # fmt: skip
    token = at_work.get("/root/billing-job.token").strip()
    assert at_work.curl("--oauth2-bearer", token) == 200
    assert at_work.curl() == 401


@needs_root
def test_the_process_can_do_little(at_work):
    """As its kernel sees it: another user, no capability, filtered system calls, and a secret of its own."""
    [pid] = at_work.show("MainPID")
    status = dict(line.split(":\t", 1) for line in at_work.get(f"/proc/{pid}/status").splitlines() if ":\t" in line)

    assert status["Uid"].split()[0] == at_work.run("id", "-u", "authproxy").stdout.strip() != "0"
    assert [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")] == [0, 0, 0, 0]
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    inside = ["nsenter", "-t", pid, "-m", "--"]
    assert at_work.run(*inside, "touch", "/etc/authproxy/x", check=False).returncode != 0
    assert at_work.run(*inside, "ls", "/home", "/root").stdout.split() == ["/home:", "/root:"]
    assert at_work.sh("stat -c %a /var/lib/authproxy /run/authproxy /etc/authproxy/credentials").stdout.split() == [
        "700", "750", "700",
    ]  # fmt: skip


@needs_root
def test_a_reload_ends_with_its_outcome(at_work):
    """`systemctl reload` fails when something was rejected, and `status` says what; the old state serves."""
    change(at_work, "health: /healthz", "health: /alive")
    at_work.run("systemctl", "reload", "authproxy")
    assert at_work.show("StatusText")[0].startswith("last reload applied; serving generation 2 on public")

    change(at_work, "upstream: legacy", "upstream: nowhere")
    assert at_work.run("systemctl", "reload", "authproxy", check=False).returncode != 0
    status, active = at_work.show("StatusText", "ActiveState")
    assert re.match(r"last reload rejected, config: \S+authproxy.yaml:\d+:\d+: routes\[0\].upstream: ", status)
    assert (active, at_work.curl()) == ("active", 401)

    change(at_work, "upstream: nowhere", "upstream: legacy")
    at_work.run("systemctl", "reload", "authproxy")
    assert at_work.show("StatusText")[0].startswith("last reload changed nothing; serving generation ")


@needs_root
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ("sed -i 's/upstream: legacy/upstream: nowhere/' " + CONFIG, "78"),
        ("chmod 644 /etc/authproxy/tls/server.pem", "77"),
    ],
    ids=["configuration", "secret"],
)
def test_what_cannot_get_better_is_not_started_again(at_work, spoil, code):
    """The unit fails with the exit code, at once and once."""
    at_work.sh(spoil)
    assert at_work.run("systemctl", "restart", "authproxy", check=False).returncode != 0

    assert at_work.show("ActiveState", "Result", "ExecMainStatus", "NRestarts") == ["failed", "exit-code", code, "0"]


@needs_root
def test_a_killed_process_is_replaced(at_work):
    """Whoever kills it."""
    drop_in(at_work, "RestartSec=100ms")
    [pid] = at_work.show("MainPID")
    at_work.run("kill", "-KILL", pid)

    at_work.until(lambda: at_work.show("NRestarts", "SubState") == ["1", "running"])
    assert at_work.curl() == 401


@needs_root
def test_a_stuck_process_is_replaced(at_work):
    """It gives no sign of life; systemd ends it, and Python tells where it was."""
    drop_in(at_work, "RestartSec=100ms\nWatchdogSec=2500ms")
    at_work.run("systemctl", "restart", "authproxy")
    [pid] = at_work.show("MainPID")
    # Longer than the watchdog waits, it is well while it turns.
    at_work.run("sleep", "3")
    assert at_work.show("MainPID", "NRestarts") == [pid, "0"]
    at_work.run("kill", "-STOP", pid)

    at_work.until(lambda: at_work.show("NRestarts", "SubState") == ["1", "running"])
    assert "Fatal Python error: Aborted" in at_work.get("/run/said")
    assert at_work.curl() == 401


@needs_root
def test_a_drain_longer_than_the_units_is_not_cut(at_work):
    """The proxy tells how long it needs, and ends well."""
    change(at_work, "state:", "timeouts: {pre_stop: 6s}\nstate:")
    drop_in(at_work, "TimeoutStopSec=500ms")
    at_work.run("systemctl", "restart", "authproxy")
    at_work.run("systemctl", "stop", "--no-block", "authproxy")
    at_work.until(lambda: at_work.show("StatusText")[0].startswith("draining, "))
    assert at_work.curl() == 401
    at_work.until(lambda: at_work.show("ActiveState") == ["inactive"])

    assert at_work.show("Result", "ExecMainStatus") == ["success", "0"]


@needs_root
def test_port_443_needs_its_drop_in(at_work):
    """And with it nothing else."""
    change(at_work, "0.0.0.0:8443", "0.0.0.0:443")
    assert at_work.run("systemctl", "restart", "authproxy", check=False).returncode != 0
    at_work.sh(f"install -m 644 /srv/authproxy/deploy/systemd/port-443.conf {DROP_IN}")
    at_work.sh("systemctl daemon-reload; systemctl start authproxy")

    assert at_work.curl(port=443) == 401


def test_the_first_step_makes_what_the_unit_starts():
    """The one step of the README that the box does not take: it has the program already."""
    assert steps()[0] == "python3 -m venv /opt/authproxy\n/opt/authproxy/bin/pip install .\n"
    assert "ExecStart=/opt/authproxy/bin/authproxy run" in UNIT
    assert (ROOT / "pyproject.toml").exists()
