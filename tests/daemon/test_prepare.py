"""The road of a start, before its first step is done."""

import pytest

from authproxy.errors import ConfigError, SecretError


def test_all_that_is_missing_is_told_at_once(site):
    """Whoever starts with nothing there need not start again for each file; a secret among them decides the code."""
    for name in ("server.pem", "ca.pem", "pepper", "tokens.yaml"):
        (site.directory / name).unlink()

    with pytest.raises(SecretError) as refused:
        site.prepare()

    problems = [
        line.partition(f"{site.directory}/authproxy.yaml:")[2].partition(": ")[2] for line in refused.value.problems
    ]
    assert problems == [
        f"keystores.main: {site.directory}/server.pem: there is no such file",
        f"truststores.ca: {site.directory}/ca.pem: there is no such file",
        (
            f"zones.api.peppers[0]: {site.directory}/pepper: cannot be read: there is no such file"
            f" (a first one is made by `authproxy pepper new --out {site.directory}/pepper`)"
        ),
        f"catalogs.users: {site.directory}/tokens.yaml: there is no such file",
    ]
    assert refused.value.exit_code == 77


def test_without_a_secret_among_them_the_configuration_is_what_is_wrong(site):
    """Exit code 78, as for a single one of them."""
    for name in ("server.pem", "tokens.yaml"):
        (site.directory / name).unlink()

    with pytest.raises(ConfigError) as refused:
        site.prepare()

    assert (len(refused.value.problems), refused.value.exit_code) == (2, 78)
