"""`authproxy check` as a pipeline reads it: exit code, JSON on standard output, complaints on standard error."""

import json
from pathlib import Path

import pytest

from authproxy.cli import main

CONFIG = Path(__file__).parents[2] / "config"
TOKENS = """\
- {user_id: 550e8400-e29b-41d4-a716-446655440000, rotation_version: 1, hash: HASH}
- {user_id: 550e8400-e29b-41d4-a716-446655440001, rotation_version: 1, hash: HASH, group: [a]}
""".replace("HASH", "ab" * 64)


@pytest.fixture
def place(tmp_path, monkeypatch, capsys):
    """The working directory, with the smallest useful file and what it names; one row of two is bad."""
    monkeypatch.chdir(tmp_path)
    for args in (["keys", "generate", "--out", "."], ["pepper", "new", "--out", "pepper"]):
        with pytest.raises(SystemExit) as ended:
            main(args)
        assert ended.value.code == 0
    (tmp_path / "tokens.yaml").write_text(TOKENS)
    (tmp_path / "authproxy.yaml").write_text((CONFIG / "minimal.yaml").read_text())
    capsys.readouterr()
    return tmp_path


@pytest.fixture
def check(place, capsys):
    """`check(*args)` is exit code, standard output and lines of standard error."""

    def run(*args):
        with pytest.raises(SystemExit) as ended:
            main(["check", *args])
        out, err = capsys.readouterr()
        return ended.value.code, out.replace(f"{place}/", ""), err.replace(f"{place}/", "").splitlines()

    return run


REJECTED = 'tokens.yaml:2: group: unknown key (did you mean "groups"?)'
PROBLEM = (
    "authproxy.yaml:5:27: zones.api.prefix: a prefix is 1 to 4004 letters, digits and hyphens "
    "(no underscore: it ends the prefix)"
)


def test_a_bad_row_is_told_and_the_configuration_is_good(check):
    """It shuts one user out, which the proxy does too, and goes on."""
    assert check() == (
        0,
        "authproxy.yaml: good: 1 listener, 1 route, 1 user in users\n",
        [f"rejected: {REJECTED}"],
    )


def test_strict_does_not_call_good_what_it_fails(check):
    """The last line says why the exit code is 1."""
    code, out, err = check("--strict")

    assert (code, err) == (1, [f"rejected: {REJECTED}"])
    assert out == (
        "authproxy.yaml: not good for --strict, with 1 rejected row and 0 notes: 1 listener, 1 route, 1 user in users\n"
    )


@pytest.mark.parametrize(("args", "code"), [([], 0), (["--strict"], 1)])
def test_the_facts_in_json(check, args, code):
    """`good` says what the exit code says."""
    got, out, err = check("--json", *args)

    assert (got, err) == (code, [])
    assert json.loads(out) == {
        "config": "authproxy.yaml",
        "good": code == 0,
        "problems": [],
        "files": ["authproxy.yaml"],
        "notes": [],
        "rejected": [REJECTED],
        "listeners": ["public"],
        "routes": 1,
        "records": {"users": 1},
    }


def test_problems_are_facts_too(check, place):
    """In JSON on standard output, and as lines for people on standard error, with the same exit code as without --json."""
    (place / "authproxy.yaml").write_text((place / "authproxy.yaml").read_text().replace("prefix: svc", "prefix: a_b"))

    assert check() == (78, "", [PROBLEM])
    code, out, err = check("--json")

    assert (code, err) == (78, [PROBLEM])
    assert json.loads(out) == {"config": "authproxy.yaml", "good": False, "problems": [PROBLEM]}


def test_an_open_secret_is_a_problem_with_its_own_code(check, place):
    """77, in JSON as well."""
    (place / "pepper").chmod(0o644)
    code, out, err = check("--json")

    assert code == 77
    assert json.loads(out)["problems"] == err
    assert err[0].startswith("authproxy.yaml:5:42: zones.api.peppers[0]: pepper: everybody can read it (mode 0644)")
