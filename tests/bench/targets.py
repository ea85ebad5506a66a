"""The proxies that are measured, each as its operator would set it up for this work and one core."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from tests.bench.check import problems, relay_problems
from tests.bench.material import UPSTREAM_NAME, Material
from tests.bench.processes import Crew, StartError, version_of
from tests.bench.signed_in import requests_of, sign_in
from tests.bench.templates import PEERS, fill, user_line
from tests.bench.upstream import Upstream
from tests.ports import free_ports

_BUILD_SECONDS: Final = 300
_SOCKET_SECONDS: Final = 20.0
_SPARE_CONNECTIONS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A proxy at work."""

    name: str
    port: int
    processes: tuple[subprocess.Popen[bytes], ...]
    """Its own and those it cannot do without; what these start counts as well."""
    requests: Path | None = None
    """What the load sends to it, where that is not what everybody is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where targets are started."""

    crew: Crew
    material: Material
    upstream: Upstream
    core: int
    held: int = 0
    """How many idle connections there will be."""

    def start(self, name: str, command: list[str | Path], port: int) -> Target:
        """Start a target of one program and wait until it listens."""
        process = self.crew.start(name, command, self.core)
        self.crew.wait_for(name, process, port)
        return Target(name=name, port=port, processes=(process,))


Starter: TypeAlias = Callable[[Site, str], Target]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A proxy that may be measured."""

    start: Starter
    about: str
    needs: str = ""
    """The program that must be installed."""
    version: tuple[str, ...] = ()
    """The command that tells the version of that program."""
    problems: Callable[[int, Material], list[str]] = problems
    """What must be right before it is measured."""

    @property
    def is_here(self) -> bool:
        """Whether it can be started on this machine."""
        return not self.needs or shutil.which(self.needs) is not None

    def full_name(self) -> str:
        """Return what it is, with its version."""
        version = version_of(self.version) if self.version else ""
        return f"{self.about} ({self.needs} {version})" if version else self.about


def _start_authproxy(site: Site, name: str) -> Target:
    port, ops_port = free_ports(2)
    folder = site.material.folder
    path = folder / "authproxy.yaml"
    path.write_text(product_config(port, ops_port, site.upstream.port, held=site.held))
    return site.start(name, [sys.executable, "-m", "authproxy", "run", "-c", path], port)


def _start_with_sessions(site: Site, name: str) -> Target:
    port, ops_port = free_ports(2)
    folder = site.material.folder / name
    folder.mkdir()
    for file in ("server.pem", "ca.pem", "pepper", "tokens.yaml"):
        shutil.copy2(site.material.folder / file, folder)
    path = folder / "authproxy.yaml"
    path.write_text(product_config(port, ops_port, site.upstream.port, held=site.held, accepts="token, session"))
    target = site.start(name, [sys.executable, "-m", "authproxy", "run", "-c", path], port)
    requests = folder / "requests"
    requests.write_bytes(requests_of(site.material, sign_in(port, site.material)))
    return replace(target, requests=requests)


def product_config(port: int, ops_port: int, upstream_port: int, *, held: int = 0, accepts: str = "token") -> str:
    """Return authproxy's configuration for this work; it stands beside the material.

    Connections are kept for any number of requests, as in the peers' configurations. How many there may be is left to
    the default, unless more are to be held.
    """
    sessions = "sessions:    {browser: {kind: memory}}\n" if "session" in accepts else ""
    connections = f", connections: {held + _SPARE_CONNECTIONS}" if held else ""
    return f"""\
version: 1
workers: 1
keystores:   {{main: {{file: server.pem}}}}
truststores: {{internal: {{file: ca.pem}}}}
listeners:   {{public: {{bind: "127.0.0.1:{port}", keystore: main, tls: {{minimum: "1.3"}}}}}}
catalogs:    {{users: {{kind: file, file: tokens.yaml}}}}
{sessions}zones:       {{api: {{prefix: svc, peppers: [{{file: pepper}}], catalog: users, accepts: [{accepts}]}}}}
upstreams:
  service: {{urls: ["https://127.0.0.1:{upstream_port}"], trust: internal, server_name: {UPSTREAM_NAME}}}
routes:      [{{path: /, zone: api, upstream: service}}]
identity:    {{headers: {{X-User-Id: id}}}}
ops:         {{bind: "127.0.0.1:{ops_port}"}}
logging:     {{access: ./access.log}}
limits:      {{requests_per_connection: off{connections}}}
"""


def _start_script(script: str) -> Starter:
    def start(site: Site, name: str) -> Target:
        (port,) = free_ports(1)
        own: list[str | Path] = [sys.executable, PEERS / script, site.material.folder]
        return site.start(name, [*own, str(port), str(site.upstream.port)], port)

    return start


def _start_go(site: Site, name: str) -> Target:
    program = site.material.folder / "reverse_proxy"
    # Nothing is fetched: the source needs the standard library only.
    folder = str(site.material.folder)
    environ = {**os.environ, "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOTMPDIR": folder}
    built = subprocess.run(
        ["go", "build", "-o", program, PEERS / "reverse_proxy.go"],
        cwd=site.material.folder, env=environ, timeout=_BUILD_SECONDS, capture_output=True, text=True,
    )  # fmt: skip
    if built.returncode:
        raise StartError(f"{name} cannot be built: {built.stderr.strip()}")
    (port,) = free_ports(1)
    return site.start(name, [program, site.material.folder, str(port), str(site.upstream.port)], port)


def _start_static(configuration: str) -> Starter:
    def start(site: Site, name: str) -> Target:
        (port,) = free_ports(1)
        folder = site.material.folder
        values = {"user": user_line(), "port": port, "upstream": site.upstream.port, "folder": folder}
        return site.start(name, [*fill(configuration, folder / name, values)], port)

    return start


def _start_haproxy(about: str, *, is_hashed: bool) -> Starter:
    def start(site: Site, name: str) -> Target:
        (port,) = free_ports(1)
        folder = site.material.folder
        lookup = f"map_str({folder}/haproxy.map)"
        if is_hashed:
            lookup = f"hmac(sha512,{(folder / 'haproxy.key').read_text()}),hex,map_str({folder}/haproxy-hmac.map)"
        values = {"about": about, "lookup": lookup, "port": port, "upstream": site.upstream.port, "folder": folder}
        return site.start(name, [*fill("haproxy.cfg", folder / name, values)], port)

    return start


def _start_auth_request(site: Site, name: str) -> Target:
    (port,) = free_ports(1)
    folder = site.material.folder
    path = folder / "verifier.sock"
    verifier = site.crew.start("verifier", [sys.executable, PEERS / "verifier.py", folder, path], site.core)
    ends = time.monotonic() + _SOCKET_SECONDS
    while not path.is_socket():
        if verifier.poll() is not None or time.monotonic() > ends:
            raise StartError(f"{name} has no verifier: {site.crew.said('verifier')}")
        time.sleep(0.01)
    values = {"user": user_line(), "port": port, "upstream": site.upstream.port, "verifier": path}
    proxy = site.start(name, [*fill("nginx_auth_request.conf", folder / name, values)], port)
    return Target(name=name, port=port, processes=(*proxy.processes, verifier))


_NGINX: Final = ("nginx", "-v")
_HAPROXY: Final = ("haproxy", "-v")
KINDS: Final[Mapping[str, Kind]] = {
    "authproxy": Kind(start=_start_authproxy, about="one worker, access log on"),
    "authproxy-session": Kind(start=_start_with_sessions, about="the same, asked by browsers that have signed in"),
    "naive": Kind(start=_start_script("naive.py"), about="aiohttp's application and client session on asyncio"),
    "nginx-auth-request": Kind(
        start=_start_auth_request,
        about="auth_request, tokens verified by an aiohttp daemon",
        needs="nginx",
        version=_NGINX,
    ),
    "nginx-map": Kind(start=_start_static("nginx_map.conf"), about="a list of tokens", needs="nginx", version=_NGINX),
    "haproxy-map": Kind(
        start=_start_haproxy("The best case: whole tokens, in clear, in memory.", is_hashed=False),
        about="a list of tokens",
        needs="haproxy",
        version=_HAPROXY,
    ),
    "haproxy-hmac": Kind(
        start=_start_haproxy("Tokens are looked up by their HMAC.", is_hashed=True),
        about="a list of HMACs of tokens",
        needs="haproxy",
        version=_HAPROXY,
    ),
    "go": Kind(start=_start_go, about="httputil.ReverseProxy, tokens verified", needs="go", version=("go", "version")),
    "tunnel": Kind(
        start=_start_script("tunnel.py"),
        about="the floor: TLS in and out on uvloop, no HTTP, everybody let in",
        problems=relay_problems,
    ),
}
