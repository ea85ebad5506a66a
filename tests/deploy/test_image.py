"""The image, as it was built from this tree."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.deploy.box import BASE, IMAGE

ROOT = Path(__file__).parents[2]
LIMIT = 80_000_000
USER = "10001:10001"
THERE = {"python_version": "3.13", "python_full_version": "3.13.0"}
# As an operator should run it: no capability, nothing to write to.
LOCKED_UP = (
    "run",
    "--rm",
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--network",
    "none",
)


@pytest.fixture(scope="module")
def facts(docker):
    """What the engine knows about an image."""

    def inspect(image):
        (told,) = json.loads(docker("image", "inspect", image).stdout)
        return told

    return inspect


@pytest.fixture
def inside(docker):
    """Runs a Python program in a container of the image, with these arguments, and returns what it printed."""

    def run(program, *options):
        done = docker(*LOCKED_UP, *options, "--entrypoint", "python", IMAGE, "-c", program)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_it_says_how_it_is_to_be_run(facts):
    """User, port, signal and healthcheck stand in the image, so that nobody has to know them."""
    config = facts(IMAGE)["Config"]

    assert config["User"] == USER
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "authproxy", "healthcheck"]
    assert config["Healthcheck"]["StartPeriod"] == 60_000_000_000, "a start on a busy machine is no illness"
    assert (config["Entrypoint"], config["Cmd"]) == (["authproxy"], ["run"])
    assert set(config["ExposedPorts"]) == {"8443/tcp"}


def test_its_labels_are_true(facts):
    """The version in the label is the project's."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    labels = facts(IMAGE)["Config"]["Labels"]

    assert labels["org.opencontainers.image.title"] == "authproxy"
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.base.name"] == BASE


def test_it_is_small(facts):
    """It adds at most 80 MB to its base, which others share."""
    ours, base = facts(IMAGE)["Size"], facts(BASE)["Size"]

    assert 0 < ours - base < LIMIT


def test_it_holds_what_is_locked_and_nothing_else(inside):
    """Every distribution has the version of .ci/requirements.txt; there is no installer, and no source of this tree."""
    found = inside(
        "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    )
    lines = re.findall(r"^([a-z0-9.-]+==[^\\\n]+)", (ROOT / ".ci" / "requirements.txt").read_text(), re.MULTILINE)
    needs = [need for need in map(Requirement, lines) if need.marker is None or need.marker.evaluate(THERE)]
    locked = {need.name: str(need.specifier).removeprefix("==") for need in needs}
    installed = {re.sub(r"[-_.]+", "-", name): version for name, version in json.loads(found).items()}

    assert installed.pop("tls-authproxy")
    assert installed == locked


def test_nothing_in_it_helps_an_intruder_on(inside):
    """No program lends another user's rights, none compiles, none installs Python packages, also not the base's own."""
    told = inside("""
import os, shutil, stat
found = [os.path.join(folder, name) for top in ("/usr", "/opt", "/etc", "/var", "/srv", "/home", "/tmp", "/run")
         for folder, _, names in os.walk(top) for name in names]
regular = [path for path in found if stat.S_ISREG(os.lstat(path).st_mode)]
print(len(regular) > 1000)
print([path for path in regular if os.lstat(path).st_mode & (stat.S_ISUID | stat.S_ISGID)])
print([name for name in ("cc", "gcc", "g++", "make", "pip", "pip3", "curl", "wget", "git") if shutil.which(name)])
print([path for path in found if os.path.basename(path).startswith("pip-") or "/ensurepip/" in path and "whl" in path])
print([path for path in found if "/.cache/" in path or path.startswith(("/root/", "/src/", "/build/"))])
""")

    assert told == "True\n" + "[]\n" * 4


def test_it_says_what_is_missing(docker):
    """Started as it is, it names the file it wants and how to mount it, and ends with the code of a configuration."""
    done = docker(*LOCKED_UP, IMAGE)

    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == (
        "authproxy: /etc/authproxy/authproxy.yaml: there is no such file (name one with -c or AUTHPROXY_CONFIG; "
        "a container needs it mounted, as with -v DIRECTORY:/etc/authproxy:ro)\n"
    )


def test_nothing_can_be_written(inside):
    """The user is not root and owns nothing of the program."""
    told = inside(
        "import os; print(os.getuid(), os.getgid(), [p for d, _, fs in os.walk('/opt') for p in [d, *(os.path.join(d, f) "
        "for f in fs)] if os.stat(p, follow_symlinks=False).st_uid == os.getuid() or os.access(d, os.W_OK)])"
    )

    assert told == "10001 10001 []\n"


def test_a_volume_is_writable(docker, inside):
    """What is mounted for the state for the first time belongs to the user."""
    volume = docker("volume", "create").stdout.strip()
    try:
        inside("open('/var/lib/authproxy/kept', 'x').close()", "--volume", f"{volume}:/var/lib/authproxy")
        kept = inside("import os; print(os.listdir('/var/lib/authproxy'))", "--volume", f"{volume}:/var/lib/authproxy")
    finally:
        docker("volume", "rm", volume)

    assert kept == "['kept']\n"


def test_a_healthcheck_compiles_nothing(docker):
    """Where nothing can be written every start would compile again: all that it imports is there as bytecode."""
    done = docker(
        *LOCKED_UP, "--entrypoint", "python", IMAGE, "-v", "-m", "authproxy", "healthcheck", "--unix", "/none"
    )

    loaded = re.findall(r"^# code object from '?([^'\n]+)'?$", done.stderr, re.MULTILINE)
    ours = [path for path in loaded if path.endswith(".pyc")]
    assert done.returncode == 69
    assert len(ours) > 50
    assert [path for path in loaded if path.endswith(".py")] == []


def test_a_healthcheck_starts_quickly(inside):
    """It costs as much as six starts of Python alone: less than 0.15 s where nothing else runs.

    Twelve are allowed. Cores that are shared make both dearer; all that the proxy imports would cost fifty.
    """
    told = inside("""
import resource, subprocess, sys
def cost(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = subprocess.run(command, capture_output=True).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert code == (0 if command[0] == sys.executable else 69), code
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
pairs = [(cost(sys.executable, "-c", ""), cost("authproxy", "healthcheck", "--unix", "/none")) for _ in range(7)]
print(*map(min, zip(*pairs)))
""")
    bare, healthcheck = map(float, told.split())

    assert healthcheck < 12 * bare
