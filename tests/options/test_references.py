"""Paths, secret references, and the base of every options model."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from authproxy.options import LocalPath, Options, SecretRef, Text


class Sample(Options):
    """A sample."""

    path: LocalPath
    """Where it is."""
    secret: SecretRef | None = None
    """What opens it."""


def test_a_relative_path_starts_at_the_base(tmp_path):
    """The validation context names the directory."""
    sample = Sample.model_validate({"path": "certs/a.pem"}, context={"base": tmp_path})

    assert sample.path == tmp_path / "certs/a.pem"


def test_text_of_another_file_starts_at_that_file_s_directory(tmp_path):
    """An included file elsewhere names its own neighbours."""
    path = Text("a.pem", tmp_path / "elsewhere")

    assert Sample.model_validate({"path": path}, context={"base": tmp_path}).path == tmp_path / "elsewhere" / "a.pem"


def test_an_absolute_path_stays(tmp_path):
    """Nothing is put before it."""
    assert Sample.model_validate({"path": "/run/x"}, context={"base": tmp_path}).path == Path("/run/x")


def test_without_a_context_the_working_directory_is_the_base(tmp_path, monkeypatch):
    """The result is absolute all the same."""
    monkeypatch.chdir(tmp_path)

    assert Sample.model_validate({"path": "x"}).path == tmp_path / "x"


@pytest.mark.parametrize("value", ["", "a\0b", 5, None, ["a"]])
def test_what_is_no_path_is_refused(value):
    """An empty path would be the directory itself."""
    with pytest.raises(ValidationError, match="must be the path of a file"):
        Sample.model_validate({"path": value})


@pytest.mark.parametrize("ref", [{"file": "x"}, {"env": "API_PEPPER"}, {"credential": "api.pepper-1"}])
def test_a_secret_is_in_one_place(ref):
    """Each of the three."""
    assert SecretRef.model_validate(ref).model_dump(exclude_none=True).keys() == ref.keys()


@pytest.mark.parametrize("ref", [{}, {"file": None}, {"file": "x", "env": "X"}, {"env": "X", "credential": "y"}])
def test_a_secret_is_not_in_two_places_nor_in_none(ref):
    """Which one would count?"""
    with pytest.raises(ValidationError, match="exactly one place"):
        SecretRef.model_validate(ref)


@pytest.mark.parametrize(
    "ref", [{"env": "$X"}, {"env": ""}, {"env": "A=B"}, {"credential": "../x"}, {"credential": ""}]
)
def test_a_name_that_cannot_be_one_is_refused(ref):
    """A credential never leaves its directory."""
    with pytest.raises(ValidationError, match="must be the name"):
        SecretRef.model_validate(ref)


def test_options_are_frozen():
    """What was checked stays as it was checked."""
    sample = Sample(path=Path("/x"))

    with pytest.raises(ValidationError, match="frozen"):
        sample.path = Path("/y")  # type: ignore[misc]


def test_an_unknown_key_is_refused_and_no_error_repeats_a_value():
    """A secret that stands in a wrong place does not reach a log through pydantic's text."""
    with pytest.raises(ValidationError) as refused:
        Sample.model_validate({"path": "x", "sceret": "hunter2", "secret": "hunter3"})

    assert "hunter" not in str(refused.value)
    assert {error["type"] for error in refused.value.errors()} == {"extra_forbidden", "model_type"}


def test_docstrings_of_attributes_become_descriptions():
    """The reference and the JSON Schema are made of them."""
    assert Sample.model_fields["path"].description == "Where it is."
    assert TypeAdapter(Sample).json_schema()["properties"]["path"]["description"] == "Where it is."
