"""`authproxy schema`."""

import json

from authproxy.catalogs import registry


def test_prints_the_schema_with_the_installed_kinds(run_authproxy):
    """One JSON document on stdout, nothing else."""
    done = run_authproxy("schema")
    schema = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (0, "")
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert len(schema["properties"]["catalogs"]["additionalProperties"]["oneOf"]) == len(registry.kinds())


def test_help_has_an_example(run_authproxy):
    """That can be copied."""
    assert "authproxy schema > authproxy.schema.json" in run_authproxy("schema", "--help").stdout
