"""Files that are no files, too big, or not ours to read."""

import os
from pathlib import Path

import pytest

from authproxy.errors import MaterialError, SecretError
from authproxy.keystore.reading import MAX_BYTES, read


def test_directory_is_refused(tmp_path):
    """A directory is named as such."""
    with pytest.raises(MaterialError, match="is a directory, should be a file"):
        read(tmp_path)


def test_missing_file_is_refused(tmp_path):
    """A missing file is named."""
    with pytest.raises(MaterialError, match=r"nowhere.pem: there is no such file$"):
        read(tmp_path / "nowhere.pem")


def test_fifo_is_refused_at_once(tmp_path):
    """A pipe that nobody writes to does not make the daemon wait for ever."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(MaterialError, match="is not a regular file"):
        read(path)


def test_device_is_refused():
    """An endless device is not read."""
    with pytest.raises(MaterialError, match="is not a regular file"):
        read(Path("/dev/zero"))


@pytest.mark.parametrize("size", [0, 1, MAX_BYTES])
def test_file_up_to_the_cap_is_read_whole(size, put):
    """1 MiB is read."""
    assert len(read(put("big", b"x" * size)).data) == size


def test_file_above_the_cap_is_refused(put):
    """One byte more is not."""
    with pytest.raises(MaterialError, match="is larger than 1 MiB"):
        read(put("big", b"x" * (MAX_BYTES + 1)))


def test_unreadable_file_is_a_matter_of_secrets(put, monkeypatch):
    """A file that this user may not read ends with exit code 77."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    path = put("server.pem", "")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(SecretError, match=f"{path}: this user .{os.geteuid()}. may not read it") as caught:
            read(path)

    assert caught.value.exit_code == 77


def test_link_is_followed(put, tmp_path):
    """Kubernetes mounts secrets as links to links."""
    put("data", "here")
    (tmp_path / "link").symlink_to("data")

    assert read(tmp_path / "link").data == b"here"


def test_file_name_with_nul_is_refused(tmp_path):
    """A name that no file can have is a problem of material, not a crash."""
    with pytest.raises(MaterialError, match="is no usable file name"):
        read(tmp_path / "a\0b")
