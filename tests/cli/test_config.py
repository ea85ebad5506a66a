"""`authproxy config show`."""

import json
from pathlib import Path

import pytest
import yaml

CONFIG = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize("name", ["minimal.yaml", "authproxy.yaml", "two-zones.yaml"])
def test_shows_the_effective_settings(run_authproxy, name):
    """As YAML, or as JSON with the same content."""
    as_yaml = run_authproxy("config", "show", "-c", CONFIG / name)
    as_json = run_authproxy("config", "show", "--json", "-c", CONFIG / name)

    assert (as_yaml.returncode, as_yaml.stderr, as_json.stderr) == (0, "", "")
    assert yaml.safe_load(as_yaml.stdout) == json.loads(as_json.stdout)
    assert json.loads(as_json.stdout)["limits"]["head"] == "32KiB"


@pytest.mark.parametrize("name", ["minimal.yaml", "authproxy.yaml", "two-zones.yaml"])
def test_what_is_shown_is_a_configuration_that_means_the_same(run_authproxy, tmp_path, name):
    """It can be kept, compared and used, but for what is masked."""
    shown = run_authproxy("config", "show", "-c", CONFIG / name).stdout
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    done = run_authproxy("config", "show", "-c", again)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shown


def test_a_value_from_the_environment_is_masked(run_authproxy, tmp_path):
    """Whoever is shown the output learns no secret."""
    text = (CONFIG / "minimal.yaml").read_text()
    text = text.replace("upstream: legacy}", 'upstream: legacy, headers: {request: {X-Key: "${KEY}"}}}')
    (tmp_path / "authproxy.yaml").write_text(text)
    done = run_authproxy("config", "show", env={"KEY": "hunter2"})

    assert done.returncode == 0
    assert "hunter2" not in done.stdout + done.stderr
    assert "X-Key: (masked)" in done.stdout


def test_a_mistake_ends_with_78_and_one_line_each(run_authproxy, tmp_path):
    """On stderr; nothing is shown."""
    text = (CONFIG / "minimal.yaml").read_text().replace("bind:", "bnid:").replace("prefix: svc", "prefix: a_b")
    (tmp_path / "authproxy.yaml").write_text(text)
    done = run_authproxy("config", "show")

    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines() == [
        'authproxy.yaml:3:22: listeners.public.bnid: unknown key (did you mean "bind"?)',
        (
            "authproxy.yaml:5:27: zones.api.prefix: a prefix is 1 to 4004 letters, digits and hyphens "
            "(no underscore: it ends the prefix)"
        ),
    ]


def test_help_has_an_example(run_authproxy):
    """That can be copied."""
    assert "authproxy config show -c authproxy.yaml" in run_authproxy("config", "show", "--help").stdout
