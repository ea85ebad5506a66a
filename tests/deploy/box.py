"""A container engine of one's own, with the images that deploy/ needs, and a command run beside it.

    python -m tests.deploy.box COMMAND ...

Starts Debian's dockerd privately, builds the image, and runs the command in the network namespace of the containers,
where the ports they publish are on loopback; nothing of the machine's network is changed. No image registry is asked:
what the files name as `python`, `redis` and `haproxy` is made of Debian packages. The base and the engine's data are
kept in a cache, so that a second run builds only what has changed.

Where DOCKER_HOST is set, that engine is used as it is, with the images that it has or gets.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGE = "authproxy:local"
BASE = "python:3.13-slim-trixie"
STAND_INS = ("redis:8.0", "haproxy:3.0")
SUITE = "trixie"
PACKAGES = "python3,python3-venv,ca-certificates"
# What this machine reaches its package indexes with is carried into the base, so that the Dockerfile is built unchanged.
CARRIED = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
# Program, and the Debian package that has it.
NEEDED = {
    "/usr/sbin/dockerd": "docker.io",
    "/usr/bin/docker": "docker.io",
    "mmdebstrap": "mmdebstrap",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
}
# The path, where there is one, since another client of that name may come first.
DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
TRIES = 3
PATIENCE = 90.0


class CannotRun(Exception):
    """This machine has no engine and cannot have one; the message says what is missing."""


def say(text: str) -> None:
    """Tell on standard output what is going on."""
    print(f"  {text}", flush=True)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long the block took."""
    start = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start:.0f} s")


def cache() -> Path:
    """Return the directory for what is worth keeping between runs; it exists."""
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "authproxy-deploy-test"
    path.mkdir(parents=True, exist_ok=True)
    return path


def check_machine() -> None:
    """Raise CannotRun, with a cure, unless an engine can be started here."""
    missing = {package for program, package in NEEDED.items() if shutil.which(program) is None}
    if missing:
        raise CannotRun(f"missing here: apt-get install {' '.join(sorted(missing))}")
    if os.geteuid() != 0:
        raise CannotRun("an engine of its own needs root; or set DOCKER_HOST to one that you may use")
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise CannotRun(f"this machine does not permit namespaces of one's own: {tried.stderr.strip()}")
    if not any(Path("/sys/fs/cgroup").iterdir()):
        raise CannotRun("no cgroups are mounted at /sys/fs/cgroup, and containers need them")


def base_tar(state: Path) -> Path:
    """Return the file system of the base image, made once for each change of what it is made of."""
    carried = [path for path in CARRIED if Path(path).exists()]
    key = hashlib.sha256(b"\0".join([SUITE.encode(), PACKAGES.encode(), *(Path(p).read_bytes() for p in carried)]))
    tar = state / f"base-{key.hexdigest()[:16]}.tar"
    if tar.exists():
        return tar
    part = tar.with_suffix(".part")
    hooks = [f"--customize-hook=upload {path} {path}" for path in carried]
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", f"--include={PACKAGES}", *hooks, SUITE]
    for attempt in range(1, TRIES + 1):
        made = subprocess.run([*command, part], capture_output=True, text=True, check=False)
        if made.returncode == 0:
            for old in state.glob("base-*.tar"):
                old.unlink()
            return part.rename(tar)
        say(f"mmdebstrap failed, try {attempt} of {TRIES}: {made.stderr.strip()[-500:]}")
    raise CannotRun("the base image could not be made of Debian packages")


@contextmanager
def engine(state: Path, *, reaches_registries: bool) -> Iterator[int]:
    """Run dockerd, and yield its process id; DOCKER_HOST leads to it meanwhile.

    With `reaches_registries` it lives in the machine's network, makes no bridge and no firewall rule, and is good for
    builds alone. Without, in a network namespace of its own, with bridges, names and published ports.
    """
    options = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
    home = state / "engine"
    home.mkdir(exist_ok=True)
    socket, log = f"unix://{home}/docker.sock", home / "dockerd.log"
    (home / "docker.pid").unlink(missing_ok=True)
    daemon: list[str | Path] = [
        *("/usr/sbin/dockerd", "--data-root", home / "data", "--exec-root", home / "exec"),
        *("--pidfile", home / "docker.pid", "-H", socket),
    ]
    # It ends with us, however we do: one that was left behind would hold the data against the next.
    spaces = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "--propagation", "private"]
    if reaches_registries:
        daemon += options
    else:
        spaces += ["--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the tests, which still need the engine to tidy up.
        process = subprocess.Popen([*spaces, *daemon], stdout=output, stderr=output, start_new_session=True)
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = socket
    try:
        wait_for(process, log)
        yield process.pid
    finally:
        if before is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = before
        process.terminate()
        process.wait(PATIENCE)


def wait_for(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when the engine answers; raises CannotRun with the end of its log when it does not."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if subprocess.run([DOCKER, "version"], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    process.terminate()
    raise CannotRun("dockerd does not start here:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))


def docker(*words: str | Path) -> str:
    """Return what `docker words...` prints; raises CannotRun with its complaint."""
    environ = os.environ | {"DOCKER_BUILDKIT": "1"}
    done = subprocess.run([DOCKER, *words], env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRun(f"docker {' '.join(map(str, words))} failed:\n{done.stdout[-1000:]}{done.stderr[-5000:]}")
    return done.stdout


def build(*words: str | Path) -> None:
    """Build an image; what goes into it is loaded from package indexes, which do not answer always."""
    for attempt in range(1, TRIES + 1):
        try:
            docker("build", "--network", "host", *words)
        except CannotRun as error:
            if attempt == TRIES:
                raise
            say(f"docker build failed, try {attempt} of {TRIES}: {str(error)[-500:]}")
        else:
            return


def known(image: str) -> bool:
    """Return whether the engine has it."""
    return bool(docker("images", "--quiet", image).strip())


def make_images(tar: Path | None) -> None:
    """Build the image of this tree; before that its base from `tar`, if one is given and it has changed."""
    if tar is not None:
        if not known(BASE) or tar.stem not in docker("image", "inspect", "--format", "{{.Comment}}", BASE):
            docker("import", "--message", tar.stem, tar, BASE)
        build(*(word for tag in STAND_INS for word in ("--tag", tag)), stand_ins())
    build("--tag", IMAGE, ROOT)
    if tar is not None:
        # The engine is ours, and so is what it keeps.
        docker("image", "prune", "--force")
        docker("builder", "prune", "--force", "--keep-storage", "3GB")
    sizes = [int(docker("image", "inspect", "--format", "{{.Size}}", image)) for image in (IMAGE, BASE)]
    say(f"size: {sizes[0] / 1e6:.0f} MB, of which the base {sizes[1] / 1e6:.0f} MB")


def stand_ins() -> Path:
    """Return the directory of the Dockerfile that makes `redis` and `haproxy` of Debian's packages."""
    return Path(__file__).parent / "stand_ins"


def run(command: Sequence[str]) -> int:
    """Run `command` beside an engine that has the images, and return its exit code."""
    if "DOCKER_HOST" in os.environ:
        with timed("images"):
            make_images(None)
        return subprocess.run(command, check=False).returncode
    check_machine()
    state = cache()
    # One at a time: they would share the engine's data.
    with (state / "lock").open("w") as lock:
        with timed("waited for others who do this"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        with timed("base image"):
            tar = base_tar(state)
        with timed("images"), engine(state, reaches_registries=True):
            make_images(tar)
        with engine(state, reaches_registries=False) as pid, timed("tests"):
            return subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *command], check=False).returncode


def main() -> int:
    """Do what the module says; 1 and a reason when this machine cannot."""
    start = time.monotonic()
    try:
        return run(sys.argv[1:])
    except CannotRun as error:
        print(f"make deploy-test: {error}", file=sys.stderr)
        return 1
    finally:
        say(f"all of it: {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
