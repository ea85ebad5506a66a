"""A secret prints as nothing."""

import pytest

from authproxy.core.secret import Secret


def test_no_text_form_shows_it():
    """Neither repr nor str nor format nor a container of it."""
    secret = Secret(b"hunter2")
    texts = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>20}",
        repr([secret]),
        repr({"k": secret}),
    ]

    assert not any("hunter2" in text for text in texts)


def test_it_is_revealed_on_request():
    """And only so."""
    assert Secret("x").reveal() == "x"
    assert not [name for name in dir(Secret("x")) if not name.startswith("_") and name != "reveal"]


def test_equal_values_are_equal_secrets():
    """Of the same type, not the value itself."""
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    assert hash(Secret(b"a")) == hash(Secret(b"a"))


def test_an_exception_does_not_carry_it():
    """A traceback shows arguments by their repr."""
    with pytest.raises(ValueError) as caught:
        raise ValueError(Secret("hunter2"))

    assert "hunter2" not in str(caught.value)


def test_it_has_no_room_for_more():
    """No attribute can be set by mistake."""
    with pytest.raises(AttributeError):
        Secret("x").copy = "x"  # type: ignore[attr-defined]
