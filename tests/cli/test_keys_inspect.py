"""`authproxy keys inspect`: what a file holds, how long it lasts, who would take it; never a secret."""

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, pkcs12

from authproxy.cli.keys import command
from authproxy.cli.keys_inspect import KEY_PASSWORD_VARIABLE, PASSWORD_VARIABLE
from authproxy.core.secret import Secret
from authproxy.keystore import fingerprint
from authproxy.keystore.generate import (
    Algorithm,
    Issued,
    Validity,
    alternative_name,
    combined_file,
    keys_file,
    new_authority,
    new_client,
    new_server,
    uri_name,
)

pytestmark = pytest.mark.timeout(120)

WORD = b"changeit"
EC = Algorithm.EC_P256
DAY = timedelta(days=1)


class Family:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.root = new_authority("the root", self.lasting(1000), EC)
        self.other = new_authority("other", self.lasting(1000), EC)

    def lasting(self, days: float) -> Validity:
        return Validity(begin=self.now - 3000 * DAY, end=self.now + days * DAY)

    def server(self, days: float = 100, algorithm: Algorithm = EC) -> Issued:
        names = [alternative_name(name) for name in ("a.example", "127.0.0.1")]
        return new_server(self.root, names, self.lasting(days), algorithm)

    def client(self) -> Issued:
        return new_client(self.root, "alice", self.lasting(100), EC, [uri_name("spiffe://e.org/alice")])


@pytest.fixture(scope="module")
def family() -> Family:
    return Family()


@pytest.fixture
def put(tmp_path):
    def write(name: str, data: bytes, mode: int = 0o400) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        path.chmod(mode)
        return path

    return write


def call(*args: object, **env: str | None):
    environ = {PASSWORD_VARIABLE: None, KEY_PASSWORD_VARIABLE: None, **env}
    return CliRunner().invoke(command, ["inspect", *map(str, args)], env=environ)


def told(*args: object, **env: str | None):
    """The first file, as JSON."""
    result = call("--json", *args, **env)
    assert result.exit_code in {0, 1}, result.output
    return json.loads(result.stdout)["files"][0]


def p12(issued: Issued, *issuers: Issued) -> bytes:
    others = [each.certificate for each in issuers]
    return pkcs12.serialize_key_and_certificates(
        b"srv", issued.key, issued.certificate, others, BestAvailableEncryption(WORD)
    )


def test_keys_file_is_laid_open(family, put, tool):
    """Each figure as openssl tells it."""
    server = family.server()

    facts = told(put("server.keys", keys_file(family.root, server)))

    assert (facts["kind"], facts["notes"], facts["days_left"]) == ("keys file", [], 99)
    (key,) = facts["keys"]
    own, root = key["certificates"]
    assert (key["key"], key["alias"]) == ("EC P-256", None)
    assert (own["place"], root["place"]) == ("own", "root")
    assert (own["role"], root["role"]) == ("server", "authority")
    assert (own["subject"], own["issuer"]) == ("CN=a.example", "CN=the root")
    assert own["san"] == {"dns": ["a.example"], "ip": ["127.0.0.1"], "uri": [], "email": []}
    assert own["eku"] == ["serverAuth"]
    assert own["sha256"] == fingerprint(server.certificate)
    assert own["days_left"] == 99
    assert not own["expired"]
    der = server.certificate.public_bytes(Encoding.DER)
    said = subprocess.run(
        [tool("openssl"), "x509", "-inform", "DER", "-noout", "-serial", "-fingerprint", "-sha1"], input=der, capture_output=True, check=True
    ).stdout.decode()  # fmt: skip
    assert f"serial={own['serial'].upper()}\n" in said
    assert said.replace(":", "").lower().strip().endswith(own["sha1"])
    public = subprocess.run(
        [tool("openssl"), "x509", "-inform", "DER", "-noout", "-pubkey"], input=der, capture_output=True, check=True
    ).stdout
    digest = subprocess.run(
        f"{tool('openssl')} pkey -pubin -outform DER | {tool('openssl')} dgst -sha256 -binary",
        input=public, capture_output=True, check=True, shell=True,
    ).stdout  # fmt: skip
    assert own["pin"] == "sha256/" + base64.b64encode(digest).decode()


def test_good_keys_file_pleases_everybody(family, put):
    """Chain, nREPL, and the strict rules of Python 3.13."""
    (key,) = told(put("server.keys", keys_file(family.root, family.server())))["keys"]

    assert key["chain"] == {"ok": True, "says": "complete, up to the root CN=the root"}
    assert key["nrepl"] == {"ok": True, "says": "accepted"}
    assert key["strict"] == {"ok": True, "says": "accepted"}


def test_client_is_judged_as_a_client(family, put):
    """Its usage says which it is."""
    (key,) = told(put("client.keys", keys_file(family.root, family.client())))["keys"]

    assert key["strict"]["ok"]
    assert key["certificates"][0]["role"] == "client"
    assert key["certificates"][0]["san"]["uri"] == ["spiffe://e.org/alice"]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text, f: combined_file(f.server()), "needs the root that issued"),
        (lambda text, f: text.replace(f.root.certificate_pem(), b"") + f.root.certificate_pem(), "is not their order"),
        (lambda text, f: b"\n".join(b"  " + line for line in text.splitlines()), "plain lines only"),
        (lambda text, f: b"\xef\xbb\xbf" + text, "plain lines only"),
        (lambda text, f: text.replace(b"\n", b"\\n"), "plain lines only"),
        (lambda text, f: b"\n\n" + text, None),
        (lambda text, f: b"# mine\r\n" + text.replace(b"\n", b"\r\n"), None),
    ],
)
def test_what_nrepl_would_not_read_is_told(spoil, why, family, put):
    """Authproxy reads all of these, and says where nREPL does not."""
    text = keys_file(family.root, family.server())

    (key,) = told(put("server.keys", spoil(text, family)))["keys"]

    assert key["nrepl"]["ok"] is (why is None)
    assert (why or "accepted") in key["nrepl"]["says"]


def test_sec1_and_encrypted_keys_are_not_for_nrepl(family, put):
    """It reads PKCS#8 only."""
    server = family.server()
    certificates = family.root.certificate_pem() + server.certificate_pem()
    sec1 = server.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(WORD))
    for key in (sec1, server.key_pem(Secret(WORD))):
        (facts,) = told(put(f"{len(key)}.keys", certificates + key), **{PASSWORD_VARIABLE: WORD.decode()})["keys"]

        assert "unencrypted PKCS#8 keys only" in facts["nrepl"]["says"]


def test_ed25519_needs_a_new_nrepl(family, put):
    """And is told."""
    (key,) = told(put("s.keys", keys_file(family.root, family.server(algorithm=Algorithm.ED25519))))["keys"]

    assert key["nrepl"] == {"ok": True, "says": "from nREPL 1.8 on, with Java 15 or later"}
    assert key["key"] == "Ed25519"


def test_what_strict_readers_refuse_is_told(tool, tmp_path, put):
    """NREPL's own openssl recipe makes certificates without extensions: good here, refused by Python 3.13."""
    recipe = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=root -keyout r.key -out r.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout s.key -out s.csr
openssl x509 -req -in s.csr -CA r.pem -CAkey r.key -set_serial 1 -days 9 -out s.pem
cat r.pem s.pem s.key > server.keys; chmod 400 server.keys
"""
    subprocess.run(
        recipe.replace("openssl", tool("openssl")), cwd=tmp_path, shell=True, check=True, capture_output=True
    )

    (key,) = told(tmp_path / "server.keys")["keys"]

    assert key["nrepl"]["ok"]
    assert not key["strict"]["ok"]
    assert key["strict"]["says"]
    assert key["certificates"][0]["role"] == "server and client"


@pytest.mark.parametrize(
    ("left", "warn", "code"),
    [
        (timedelta(days=30, minutes=5), 30, 0),
        (timedelta(days=30, minutes=-5), 30, 1),
        (timedelta(minutes=5), 0, 0),
        (timedelta(minutes=-5), 0, 1),
        (timedelta(days=-5), 0, 1),
    ],
)
def test_end_decides_the_exit_code(left, warn, code, family, put):
    """On both sides of the bound; an expired certificate is shown all the same."""
    file = put("s.pem", combined_file(family.server(left / DAY)))

    result = call(file, "--warn-days", warn)

    assert result.exit_code == code, result.output
    assert ("EXPIRED" in result.output) is (left < timedelta(0))
    assert told(file)["keys"][0]["certificates"][0]["expired"] is (left < timedelta(0))


def test_root_that_ends_counts_too(family, put):
    """Peers look at the root as well."""
    root = new_authority("short", family.lasting(5), EC)
    server = new_server(root, [alternative_name("a.example")], family.lasting(100), EC)

    assert call(put("s.keys", keys_file(root, server)), "--warn-days", 10).exit_code == 1
    assert call(put("ca.pem", root.certificate_pem(), 0o644), "--warn-days", 10).exit_code == 1


def test_stray_certificate_is_shown_and_does_not_count(family, put):
    """It is not sent to anybody."""
    stray = new_server(family.other, [alternative_name("x.example")], family.lasting(-1), EC)
    file = put("s.pem", combined_file(family.server()) + stray.certificate_pem())

    assert call(file).exit_code == 0
    assert [each["place"] for each in told(file)["keys"][0]["certificates"]] == ["own", "not part of the chain"]


def test_bundle_and_der_are_shown(family, put):
    """Certificates without a key."""
    bundle = told(put("ca.pem", family.root.certificate_pem() + family.other.certificate_pem(), 0o644))
    der = told(put("ca.der", family.root.certificate.public_bytes(Encoding.DER), 0o644))

    assert [each["subject"] for each in bundle["certificates"]] == ["CN=the root", "CN=other"]
    assert (bundle["keys"], bundle["kind"], der["kind"]) == ([], "PEM", "DER")
    assert [each["place"] for each in der["certificates"]] == ["trusted"]


def test_pair_is_shown(family, put):
    """Certificate and key in two files; the key's file is the one that must be closed."""
    server, other = family.server(), family.server()
    certificate = put("site.pem", server.certificate_pem() + family.root.certificate_pem(), 0o644)
    key, open_key = put("site.key", server.key_pem()), put("open.key", server.key_pem(), 0o644)

    facts = told(certificate, "--key", key)
    wrong = call(certificate, "--key", put("other.key", other.key_pem()))

    assert (facts["kind"], facts["notes"]) == ("PEM in two files", [])
    assert [each["place"] for each in facts["keys"][0]["certificates"]] == ["own", "root"]
    assert facts["keys"][0]["strict"]["ok"]
    assert not facts["keys"][0]["nrepl"]["ok"]
    assert "open.key: a private key that everybody may read" in told(certificate, "--key", open_key)["notes"][0]
    assert (wrong.exit_code, "no certificate belongs to the private key" in wrong.stderr) == (2, True)
    assert call(certificate, certificate, "--key", key).exit_code == 2
    for files in ((put("s.p12", p12(server)), key), (certificate, put("k.p12", p12(server)))):
        result = call(files[0], "--key", files[1])
        assert (result.exit_code, "is PKCS#12, which holds key and certificate" in result.stderr) == (2, True)


def test_pkcs12_is_shown(family, put):
    """With its alias; the password from the environment or a file, the file first."""
    file = put("s.p12", p12(family.server(), family.root))
    word = put("word", WORD + b"\n")

    for arguments, env in (
        ([], {PASSWORD_VARIABLE: WORD.decode()}),
        (["--password-file", word], {PASSWORD_VARIABLE: "x"}),
    ):
        facts = told(file, *arguments, **env)

        assert facts["kind"] == "PKCS#12"
        assert facts["keys"][0]["alias"] == "srv"
        assert [each["place"] for each in facts["keys"][0]["certificates"]] == ["own", "root"]
        assert facts["keys"][0]["nrepl"]["says"] == "it reads PEM only"
        assert facts["keys"][0]["chain"]["says"] == "complete, up to the root CN=the root"


def test_jks_is_shown_whole_or_by_alias(family, put, tool, tmp_path):
    """Several keys, a trusted certificate; `--alias` shows one, an unknown one lists them."""
    ca = put("ca.pem", family.other.certificate_pem())
    for alias in ("one", "two"):
        source = ["-srckeystore", put(f"{alias}.p12", p12(family.server())), "-srcstorepass", WORD, "-srcalias", "srv"]
        target = [
            "-destkeystore",
            tmp_path / "s.jks",
            "-deststoretype",
            "JKS",
            "-deststorepass",
            WORD,
            "-destalias",
            alias,
        ]
        subprocess.run(
            [tool("keytool"), "-importkeystore", "-noprompt", *source, *target, "-destkeypass", "second"],
            check=True,
            capture_output=True,
        )
    subprocess.run(
        [
            tool("keytool"),
            "-importcert",
            "-noprompt",
            "-alias",
            "ca",
            "-file",
            ca,
            "-keystore",
            tmp_path / "s.jks",
            "-storepass",
            WORD,
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "s.jks").chmod(0o400)
    env = {PASSWORD_VARIABLE: WORD.decode(), KEY_PASSWORD_VARIABLE: "second"}

    whole, one = told(tmp_path / "s.jks", **env), told(tmp_path / "s.jks", "--alias", "two", **env)
    unknown = call(tmp_path / "s.jks", "--alias", "three", **env)

    assert {key["alias"] for key in whole["keys"]} == {"one", "two"}
    assert [each["alias"] for each in whole["certificates"]] == ["ca"]
    assert [key["alias"] for key in one["keys"]] == ["two"]
    assert unknown.exit_code == 2
    assert "private keys have: " in unknown.stderr


@pytest.mark.parametrize("form", ["keys", "p12", "pem"])
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_no_secret_is_printed(form, as_json, family, put):
    """Neither key nor password, in no form."""
    server = family.server()
    data = {"keys": keys_file(family.root, server), "p12": p12(server), "pem": combined_file(server)}[form]

    said = call(put(f"s.{form}", data), *as_json, **{PASSWORD_VARIABLE: WORD.decode()}).output

    assert "PRIVATE" not in said
    assert WORD.decode() not in said
    number = server.key.private_numbers().private_value
    assert str(number) not in said
    assert f"{number:x}" not in said


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda put, f: put("x", b""), "the text holds no PEM block at all"),
        (lambda put, f: put("x", b"hello"), "the text holds no PEM block at all"),
        (lambda put, f: Path("gone.pem"), "there is no such file"),
        (lambda put, f: put("x", b"\xce\xce\xce\xce"), "is JCEKS, convert it: keytool"),
        (lambda put, f: put("x", p12(f.server())), "wrong password or damaged file"),
        (lambda put, f: put("x", combined_file(f.server())[:-30]), "the text is cut off"),
        (lambda put, f: put("x", f.server().certificate_pem() + f.server().key_pem()), "no certificate belongs to the private key"),
        (lambda put, f: put("x", b"\x30\x03\x02\x01\x01"), "it is no certificate that can be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(make, problem, family, put):
    """Exit code 2, one line, and the other files are shown all the same."""
    good = put("good.pem", combined_file(family.server()))

    result = call(make(put, family), good, **{PASSWORD_VARIABLE: "wrong"})

    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert "good.pem: PEM" in result.stdout


def test_open_key_is_shown_with_a_note(family, put):
    """One looks at a file to find out why a start refuses it."""
    facts = told(put("s.pem", combined_file(family.server()), 0o644))

    (note,) = facts["notes"]
    assert "everybody may read" in note
    assert "a start refuses it" in note


def test_whole_command_line(run_authproxy, family, put):
    """The real process: text, an open password file is 77, and nobody is asked for a password."""
    file, word = put("s.p12", p12(family.server())), put("word", WORD, 0o644)

    good = run_authproxy("keys", "inspect", file, env={PASSWORD_VARIABLE: WORD.decode()})
    exposed = run_authproxy("keys", "inspect", file, "--password-file", word)
    none = run_authproxy("keys", "inspect", file)
    gone = run_authproxy("keys", "inspect", file, "--password-file", "gone")

    assert good.returncode == 0, good.stderr
    assert "private key srv: EC P-256" in good.stdout
    assert (exposed.returncode, none.returncode, gone.returncode) == (77, 2, 2)
    assert "gone: there is no such file" in gone.stderr
    assert "needs a password and none is given" in none.stderr
