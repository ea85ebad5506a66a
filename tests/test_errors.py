"""What the system says, in a message of ours."""

import os

import pytest

from authproxy.errors import why


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(2, "No such file or directory"), "no such file or directory"),
        (OSError(28, "No space left on device"), "no space left on device"),
        (PermissionError(13, "Permission denied"), f"permission denied to user {os.geteuid()}"),
        (PermissionError(1, "Operation not permitted"), f"operation not permitted to user {os.geteuid()}"),
        (OSError("Timed out"), "timed out"),
        (OSError(), "unknown error"),
    ],
)
def test_a_reason_says_to_whom_it_was_refused(error, told):
    """In a container the file and the process belong to users who are numbers, and one of them is wrong."""
    assert why(error) == told
