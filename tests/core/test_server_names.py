"""A name finds its own entry, then that of its domain, then the default."""

import pytest

from authproxy.core.server_names import ServerNames

NAMES = ServerNames(default="rest", names={"a.test": "a", "*.b.test": "b", "c.b.test": "c", "local": "local"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "rest"), ("a.test", "a"), ("x.b.test", "b"), ("c.b.test", "c"), ("b.test", "rest"), ("x.y.b.test", "rest"),
        ("x.a.test", "rest"), ("local", "local"), ("other", "rest"), ("", "rest"),
    ],
)  # fmt: skip
def test_the_nearest_name_counts(name, expected):
    """A pattern stands for one label."""
    assert NAMES.of(name) == expected
