"""What every test may rely on: a loop that nobody blocks, tools that are there, and the real command line."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, Phase, settings

from tests.redis_server import RedisServer

# How long examples take tells how busy the machine is, and nothing else.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# In CI the same examples every time: what is found by chance is found by those who look for it.
_STILL = settings(_PATIENT, derandomize=True, database=None)
settings.register_profile("fast", _STILL if "CI" in os.environ else _PATIENT, max_examples=25)
settings.register_profile("deep", _PATIENT, max_examples=2000)
# For comparisons of runs: the same examples every time.
settings.register_profile("still", _STILL, max_examples=25, phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

# In the background of a shell Ctrl-C is ignored, and so it would be by every program that a test ends in that way.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Some tests hold more connections than the 1024 descriptors that many a login shell allows.
_DESCRIPTORS = 65_536
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if _soft < _DESCRIPTORS:
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (_DESCRIPTORS if _hard == resource.RLIM_INFINITY else min(_hard, _DESCRIPTORS), _hard)
    )

# A measured child would write its data beside the parent's and take several times as long to start.
_COVERAGE = ("COVERAGE_", "COV_CORE_")


@pytest.fixture(autouse=True)
def loop_is_never_blocked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Any call inside authproxy that blocks the event loop raises, unless the test is marked `blocks`."""
    if request.node.get_closest_marker("blocks"):
        yield
        return
    with blockbuster_ctx("authproxy"):
        yield


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """`tool("openssl")` is the program's path; without it the test is skipped, or fails where CI is set."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is not None:
            return path
        if os.environ.get("CI"):
            pytest.fail(
                f"{name} is not installed, and CI leaves no test out (add its package to .ci/run)", pytrace=False
            )
        pytest.skip(f"{name} is not installed")

    return find


@pytest.fixture(scope="session")
def shared_redis(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis for all tests that leave it as it is."""
    with RedisServer(tool("redis-server"), tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """The same, emptied."""
    shared_redis.ask("FLUSHALL")
    return shared_redis


class RunAuthproxy(Protocol):
    """Runs `authproxy` with these arguments in a process of its own and returns what came of it."""

    def __call__(
        self,
        *args: str | Path,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 20,
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def run_authproxy(tmp_path: Path) -> RunAuthproxy:
    """The real command line, started in `tmp_path`; `env` is added to the environment, AUTHPROXY_* is not inherited."""

    def run(
        *args: str | Path,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 20,
    ) -> subprocess.CompletedProcess[str]:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith((*_COVERAGE, "AUTHPROXY_", "PYTHONDONTWRITE"))
        }
        return subprocess.run(
            [sys.executable, "-m", "authproxy", *map(str, args)],
            input=stdin,
            env=inherited | dict(env or {}),
            cwd=cwd or tmp_path,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
