"""The manifests: clean for their checkers, strict about what pods may do, and a configuration that serves as mounted."""

import base64
import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.options import parse_duration
from tests.deploy.box import BASE, IMAGE
from tests.deploy.serving import Behind, Serving, ask, trusting
from tests.patience import PATIENCE
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy" / "kubernetes"
OVERLAYS = ["base", "client-certificates"]
STEPS = re.findall(r"^```sh\n(.*?)^```$", (HERE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
# The oldest that the README names, and the newest that is known.
VERSIONS = ["1.30", "1.37"]
AUTHPROXY = Path(sys.executable).with_name("authproxy")


@pytest.fixture(scope="module", params=OVERLAYS)
def rendered(request, tool, tmp_path_factory):
    """What `kubectl apply -k` would send, as a file."""
    built = subprocess.run(
        [tool("kubectl"), "kustomize", HERE / request.param], capture_output=True, text=True, check=False
    )
    assert (built.returncode, built.stderr) == (0, "")
    path = tmp_path_factory.mktemp("rendered") / f"{request.param}.yaml"
    path.write_text(built.stdout)
    return path


@pytest.fixture
def manifests(rendered):
    """The same, by kind; there is one of each."""
    found = list(yaml.safe_load_all(rendered.read_text()))
    assert len({one["kind"] for one in found}) == len(found)
    return {one["kind"]: one for one in found}


@pytest.fixture
def pod(manifests):
    return manifests["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture
def containers(pod):
    return {one["name"]: one for one in pod["containers"]}


@pytest.fixture
def config(manifests):
    return yaml.safe_load(manifests["ConfigMap"]["data"]["authproxy.yaml"])


# ---------------------------------------------------------------- the manifests


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schema_of_kubernetes(tool, rendered, version):
    """Every field is one of this version's, and has the right type."""
    command = [tool("kubernetes-validate"), "--strict", "-k", version, rendered]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert (checked.stdout + checked.stderr).count(" passed for resource ") == 7


def test_a_mistake_would_be_told(tool, rendered, tmp_path):
    """The test above can fail."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(rendered.read_text().replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    checked = subprocess.run(
        [tool("kubernetes-validate"), "--strict", wrong], capture_output=True, text=True, check=False
    )

    assert checked.returncode != 0


def test_pods_are_restricted(manifests, pod, containers):
    """By the standard that the namespace enforces, and further: a read-only root, no account's token, no links."""
    assert manifests["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert [key for key in pod if key.startswith("host")] == []
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert manifests["ServiceAccount"]["automountServiceAccountToken"] is False
    assert {next(key for key in volume if key != "name") for volume in pod["volumes"]} <= {
        "configMap",
        "secret",
        "emptyDir",
    }
    for one in containers.values():
        context = one["securityContext"]
        assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsUser"] > 0
        assert "privileged" not in context
        assert {"cpu", "memory"} <= one["resources"]["requests"].keys()
        assert "memory" in one["resources"]["limits"]
        assert [port for port in one.get("ports", []) if "hostPort" in port] == []


def test_the_proxy_is_the_image_s_user(containers):
    """A number in both places: Kubernetes can see that it is not root."""
    [user] = re.findall(r"^USER (\d+):\1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    context = containers["authproxy"]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(user))


def test_only_the_proxy_is_reached(manifests, containers, config):
    """The one port of the proxy in the policy, behind the service, and under the probes; the other listens on loopback."""
    [port] = containers["authproxy"]["ports"]
    assert config["listeners"]["public"]["bind"] == f"0.0.0.0:{port['containerPort']}"
    assert manifests["NetworkPolicy"]["spec"] == {
        "podSelector": {"matchLabels": manifests["Deployment"]["spec"]["selector"]["matchLabels"]},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": port["containerPort"], "protocol": "TCP"}]}],
    }
    assert [one["targetPort"] for one in manifests["Service"]["spec"]["ports"]] == [port["name"]]
    assert "ports" not in containers["legacy"]
    assert config["upstreams"] == {"legacy": "http://127.0.0.1:8080"}


def test_everything_selects_the_same_pods(manifests):
    """Service, policy and budget mean the pods of the deployment, by labels that these have."""
    wanted = manifests["Deployment"]["spec"]["selector"]["matchLabels"]

    assert wanted.items() <= manifests["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert manifests["Service"]["spec"]["selector"] == wanted
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == wanted
    assert manifests["PodDisruptionBudget"]["spec"]["maxUnavailable"] < manifests["Deployment"]["spec"]["replicas"]


def test_probes_ask_the_listener_s_health_page(containers, config):
    """Over TLS, where it is."""
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = containers["authproxy"][kind]["httpGet"]
        assert asked == {"path": config["listeners"]["public"]["health"], "port": "https", "scheme": "HTTPS"}


def test_a_slow_start_is_no_illness(containers):
    """A minute, as in the image: ten seconds are usual where many pods start at once on few cores."""
    probe = containers["authproxy"]["startupProbe"]

    assert probe["periodSeconds"] * probe["failureThreshold"] >= 60


def test_nobody_is_killed_while_the_proxy_drains(pod, containers, config):
    """The service outlives the drain, and Kubernetes waits for both."""
    timeouts = config["timeouts"]
    drained = sum(parse_duration(timeouts[name]).total_seconds() for name in ("pre_stop", "drain"))
    waits = containers["legacy"]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert drained < waits
    assert waits + 5 <= pod["terminationGracePeriodSeconds"]


def test_what_is_renewed_is_mounted_as_directories(pod, containers):
    """A file mounted alone is never renewed; and the proxy accepts the modes."""
    assert [mount for mount in containers["authproxy"]["volumeMounts"] if "subPath" in mount] == []
    assert {volume["secret"]["defaultMode"] for volume in pod["volumes"] if "secret" in volume} == {0o440}


# ---------------------------------------------------------------- as mounted


@pytest.fixture
def objects(tool, tmp_path):
    """The data of what the README's commands make, by name: `kubectl` only prints it."""
    client = 'kubectl() { command kubectl "$@" --dry-run=client -o json; echo ---; }\n'
    made = [
        line
        for line in "".join(STEPS).replace("\\\n", "").splitlines()
        if re.match(r"authproxy|openssl|\(umask|kubectl.* create ", line)
    ]
    (tmp_path / "ca.crt").write_text("stands in")
    (tmp_path / "users.yaml").write_text("[]\n")
    path = f"{AUTHPROXY.parent}:{Path(tool('kubectl')).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", client + "\n".join(made)], cwd=tmp_path, env=os.environ | {"PATH": path},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (tmp_path / "ca.crt").write_bytes((tmp_path / "keys" / "ca.pem").read_bytes())
    printed = [json.loads(text) for text in re.findall(r"^\{\n.*?^\}$", done.stdout, re.MULTILINE | re.DOTALL)]
    found = {one["metadata"]["name"]: decoded(one) for one in printed}
    found["authproxy-trust"]["ca.crt"] = (tmp_path / "ca.crt").read_bytes()
    return found


def decoded(manifest):
    decode = base64.b64decode if manifest["kind"] == "Secret" else str.encode
    return {name: decode(text) for name, text in manifest["data"].items()}


class Mounts:
    """The directories of the proxy's container, under one of the test's own; `put` swaps one as the kubelet does."""

    def __init__(self, root, pod, data, group=-1):
        self.group = group
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        self.root = root
        self.config = root / "etc" / "authproxy" / "authproxy.yaml"
        self.port = 0
        self.places = {}
        [proxy] = [one for one in pod["containers"] if one["name"] == "authproxy"]
        for mount in proxy["volumeMounts"]:
            volume = volumes[mount["name"]]
            place = root / mount["mountPath"].lstrip("/")
            place.mkdir(parents=True)
            if "emptyDir" in volume:
                # So the kubelet makes it for an fsGroup.
                place.chmod(0o2777)
                continue
            kind = "secret" if "secret" in volume else "configMap"
            name = volume[kind].get("secretName") or volume[kind]["name"]
            self.places[name] = place, volume[kind].get("defaultMode", 0o644)
            self.put(name, data[name])

    def put(self, name, files):
        place, mode = self.places[name]
        fresh = place / f"..{secrets.token_hex(4)}"
        fresh.mkdir()
        for file, content in files.items():
            (fresh / file).write_bytes(content)
            os.chown(fresh / file, -1, self.group)
            (fresh / file).chmod(mode)
        link = place / "..data_tmp"
        link.symlink_to(fresh.name)
        link.replace(place / "..data")
        for file in files:
            if not (place / file).is_symlink():
                (place / file).symlink_to(Path("..data") / file)


@pytest.fixture
def behind():
    """The service in the same pod."""
    with Behind() as service:
        yield service


@pytest.fixture
def mounted(tmp_path, manifests, pod, objects, behind):
    """The pod's files as the kubelet mounts them; paths and ports are the test's."""
    text = manifests["ConfigMap"]["data"]["authproxy.yaml"]
    port, ops = free_port(), free_port()
    text = re.sub(r"(?<![\w.])/(etc|run)/", lambda found: f"{tmp_path}/pod/{found[1]}/", text)
    for before, after in {"0.0.0.0:8443": f"127.0.0.1:{port}", "127.0.0.1:9901": f"127.0.0.1:{ops}",
                          "127.0.0.1:8080": f"127.0.0.1:{behind.port}", "watch: 10s": "watch: 1s", "poll: 5s": "poll: 1s", "pre_stop: 5s": "pre_stop: 0s"}.items():  # fmt: skip
        assert before in text
        text = text.replace(before, after)
    data = objects | {manifests["ConfigMap"]["metadata"]["name"]: {"authproxy.yaml": text.encode()}}
    made = Mounts(tmp_path / "pod", pod, data)
    made.port = port
    return made


def test_the_readme_s_objects_are_all_the_pod_needs(mounted, run_authproxy):
    """`authproxy check` takes the configuration as it is mounted, with all that its commands have made."""
    checked = run_authproxy("check", "-c", mounted.config)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_pod_serves_and_takes_over_what_is_swapped(mounted, behind, tmp_path):
    """A Secret's new certificate and new users arrive without a restart, and the probe asks what is there."""
    ca = (tmp_path / "keys" / "ca.pem").read_text()
    token = (tmp_path / "billing-job.token").read_text().strip()
    with Serving(mounted.config, mounted.port, "legacy.example.org", ca) as proxy:
        assert proxy.ask("/healthz").status == 200
        assert proxy.ask("/", token).status == 200
        assert proxy.ask("/").status == 401
        assert [len(fields.get_all("X-Authproxy-User", [])) for fields in behind.asked] == [1]

        new = subprocess.run(
            [AUTHPROXY, "keys", "generate", "--out", tmp_path / "new", "--san", "legacy.example.org"], capture_output=True, check=True
        )  # fmt: skip
        assert new.returncode == 0
        pem = (tmp_path / "new" / "server.pem").read_bytes()
        mounted.put("authproxy-tls", {"tls.crt": pem, "tls.key": pem})
        leaf = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        proxy.until(lambda: proxy.shown() == leaf)
        mounted.put("authproxy-tokens", {"tokens.yaml": b"[]\n"})
        proxy.trust((tmp_path / "new" / "ca.pem").read_text())
        proxy.until(lambda: proxy.ask("/", token).status == 401)

        assert proxy.end() == 0


# ---------------------------------------------------------------- as containers

# A service that answers when it is told to, on loopback as the manifest wants it.
SERVICE = """
import http.server, threading

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate, seen = threading.Event(), threading.Event()

    def do_GET(self):
        if self.path == "/open":
            self.gate.set()
        if self.path == "/slow":
            self.seen.set()
            self.gate.wait(100)
        if self.path == "/seen":
            self.seen.wait(100)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""


class Containers:
    """The pod's two containers in one network namespace, as the manifest wants them; nothing of it is changed."""

    def __init__(self, docker, pod, mounts):
        self.docker, self.pod, self.port = docker, pod, free_port()
        self.made = []
        self.ask = None
        by_name = {one["name"]: one for one in pod["containers"]}
        binds = []
        for mount in by_name["authproxy"]["volumeMounts"]:
            end = ":ro" if mount.get("readOnly") else ""
            binds += ["--volume", f"{mounts.root}{mount['mountPath']}:{mount['mountPath']}{end}"]
        self.proxy = self._run(by_name["authproxy"], ["--publish", f"127.0.0.1:{self.port}:8443", *binds], IMAGE)
        network = ["--network", f"container:{self.proxy}", "--entrypoint", "python3"]
        self.legacy = self._run(by_name["legacy"], network, BASE, "-c", SERVICE)

    def _run(self, container, options, *image):
        context = container["securityContext"]
        options += [
            "--user",
            f"{context['runAsUser']}:{context['runAsGroup']}",
            "--group-add",
            str(self.pod["securityContext"]["fsGroup"]),
        ]
        options += ["--read-only"] if context["readOnlyRootFilesystem"] else []
        options += [] if context["allowPrivilegeEscalation"] else ["--security-opt", "no-new-privileges"]
        options += [word for capability in context["capabilities"]["drop"] for word in ("--cap-drop", capability)]
        options += ["--memory", container["resources"]["limits"]["memory"].removesuffix("i").lower()]
        done = self.docker("run", "--detach", *options, *image)
        assert done.returncode == 0, done.stderr
        self.made.append(done.stdout.strip())
        return self.made[-1]

    def inspect(self, container, template):
        return self.docker("inspect", "--format", template, container).stdout.strip()

    def until(self, look):
        ends = time.monotonic() + PATIENCE
        while not look():
            if time.monotonic() > ends:
                said = [self.docker("logs", one) for one in self.made]
                pytest.fail(f"not within {PATIENCE:g} s: {[one.stdout + one.stderr for one in said]}")
            time.sleep(0.05)

    def close(self):
        self.docker("rm", "--force", *self.made)


@pytest.fixture
def containers_at_work(docker, tmp_path, manifests, pod, objects):
    """The pod at work, and `ask(path, token)` by its published port."""
    config = manifests["ConfigMap"]
    data = objects | {config["metadata"]["name"]: {"authproxy.yaml": config["data"]["authproxy.yaml"].encode()}}
    mounts = Mounts(tmp_path / "pod", pod, data, pod["securityContext"]["fsGroup"])
    mounts.root.chmod(0o755)
    made = Containers(docker, pod, mounts)
    context = trusting((tmp_path / "keys" / "ca.pem").read_text())
    token = (tmp_path / "billing-job.token").read_text().strip()

    def ask_with(path, *, known=True):
        fields = {"Authorization": f"Bearer {token}"} if known else {}
        return ask(made.port, "legacy.example.org", context, path, **fields).status

    made.ask = ask_with
    yield made
    made.close()


@pytest.mark.parametrize("rendered", OVERLAYS[:1], indirect=True, scope="module")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives Secrets to the pod's group")
def test_the_pod_runs_and_ends_as_the_manifest_says(containers_at_work, containers, pod):
    """The image with these users, mounts and limits passes its probes, and what is in progress at the end ends well."""
    running = containers_at_work
    probe = containers["authproxy"]["startupProbe"]

    def passes(status):
        try:
            return running.ask(probe["httpGet"]["path"], known=False) == status
        except (OSError, http.client.HTTPException):
            return False

    began = time.monotonic()
    running.until(lambda: passes(200))
    assert time.monotonic() - began < probe["failureThreshold"] * probe["periodSeconds"]
    running.until(lambda: running.ask("/") == 200)
    assert running.ask("/", known=False) == 401
    address = running.inspect(running.proxy, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    with socket.socket() as past, pytest.raises(ConnectionRefusedError):
        past.connect((address, 8080))

    slow = []
    asking = threading.Thread(target=lambda: slow.append(running.ask("/slow")))
    asking.start()
    assert running.ask("/seen") == 200
    stopping = threading.Thread(
        target=running.docker, args=("stop", "--time", str(pod["terminationGracePeriodSeconds"]), running.proxy)
    )
    stopping.start()
    running.until(lambda: passes(503))
    # Within pre_stop: who has not heard of the end is served.
    assert running.ask("/open") == 200
    asking.join(PATIENCE)
    stopping.join(2 * PATIENCE)

    assert slow == [200]
    assert running.inspect(running.proxy, "{{.State.ExitCode}} {{.State.OOMKilled}}") == "0 false"
