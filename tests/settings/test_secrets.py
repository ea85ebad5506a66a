"""Secrets are read where references point, from files that nobody else can touch."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.errors import SecretError
from authproxy.options import SecretRef
from authproxy.settings import read_pepper, read_secret

KEY = bytes(range(32))


@pytest.fixture
def secret_file(tmp_path):
    """`secret_file(content, mode)` is the reference to such a file."""

    def write(content: bytes, mode: int = 0o600) -> SecretRef:
        path = tmp_path / "secret"
        path.write_bytes(content)
        path.chmod(mode)
        return SecretRef(file=path)

    return write


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"hunter2", b"hunter2"),
        (b"hunter2\n", b"hunter2"),
        (b"hunter2\r\n", b"hunter2"),
        (b"hunter2\n\n", b"hunter2\n"),
        (b" hunter2 ", b" hunter2 "),
        (b"hunter2\r", b"hunter2\r"),
        (b"\xff\x00\n", b"\xff\x00"),
    ],
)
def test_one_line_end_is_dropped(secret_file, content, secret):
    """Editors add one; nothing else is touched."""
    assert read_secret(secret_file(content), {}).reveal() == secret


def test_a_secret_comes_from_the_environment():
    """By the name of a variable, whatever bytes it holds."""
    assert read_secret(SecretRef(env="X"), {"X": "hunter2\n"}).reveal() == b"hunter2"
    assert read_secret(SecretRef(env="X"), {"X": os.fsdecode(b"\xff")}).reveal() == b"\xff"


def test_a_credential_is_a_file_in_systemd_s_directory(tmp_path):
    """$CREDENTIALS_DIRECTORY names it."""
    (tmp_path / "api").write_bytes(b"hunter2")
    (tmp_path / "api").chmod(0o400)

    assert read_secret(SecretRef(credential="api"), {"CREDENTIALS_DIRECTORY": str(tmp_path)}).reveal() == b"hunter2"


@pytest.mark.parametrize(
    ("ref", "line"),
    [
        (SecretRef(env="X"), "environment variable X: is not set"),
        (SecretRef(env="EMPTY"), "environment variable EMPTY: is empty"),
        (
            SecretRef(credential="api"),
            "credential api: $CREDENTIALS_DIRECTORY is not set: add LoadCredential=api:PATH to the unit",
        ),
    ],
)
def test_a_missing_secret_is_named(ref, line):
    """The variable, or what the unit lacks."""
    with pytest.raises(SecretError) as refused:
        read_secret(ref, {"EMPTY": "\n"})

    assert refused.value.problems == (line,)


def test_a_missing_file_is_named(tmp_path):
    """With the system's word for it."""
    with pytest.raises(SecretError) as refused:
        read_secret(SecretRef(file=tmp_path / "gone"), {}, where="a.yaml:1:2: key")

    assert str(refused.value) == f"a.yaml:1:2: key: {tmp_path}/gone: cannot be read: there is no such file"


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_s_alone_is_read_without_a_note(secret_file, mode):
    """The way it should be."""
    notes: list[str] = []
    read_secret(secret_file(b"x", mode), {}, notes=notes)

    assert notes == []


def test_a_file_that_its_group_can_read_earns_a_note(secret_file, tmp_path):
    """Kubernetes and Docker mount secrets so."""
    notes: list[str] = []
    read_secret(secret_file(b"x", 0o640), {}, where="a.yaml:1:2: key", notes=notes)

    assert notes == [f"a.yaml:1:2: key: {tmp_path}/secret: its group can read it (mode 0640)"]


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o604, "everybody can read it (mode 0604)"),
        (0o644, "everybody can read it (mode 0644)"),
        (0o602, "everybody can write it (mode 0602)"),
        (0o666, "everybody can read and write it (mode 0666)"),
        (0o620, "its group can write it (mode 0620)"),
        (0o660, "its group can write it (mode 0660)"),
    ],
)
def test_a_file_that_others_can_touch_is_refused_with_the_cure(secret_file, tmp_path, mode, told):
    """Exit code 77, and the chmod to type; a pepper as any other secret."""
    ref = secret_file(KEY, mode)
    for read in (read_secret, read_pepper):
        with pytest.raises(SecretError) as refused:
            read(ref, {})

        assert refused.value.exit_code == 77
        assert str(refused.value) == f"{tmp_path}/secret: {told}: chmod 600 {tmp_path}/secret"


def test_a_link_is_judged_by_what_it_leads_to(secret_file, tmp_path):
    """Kubernetes mounts links."""
    target = secret_file(b"x", 0o600).file
    (tmp_path / "link").symlink_to(target)

    assert read_secret(SecretRef(file=tmp_path / "link"), {}).reveal() == b"x"


def test_what_is_not_a_file_is_refused_at_once(tmp_path):
    """A named pipe without a writer does not hang the start."""
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(SecretError, match="is not a regular file"):
        read_secret(SecretRef(file=tmp_path / "pipe"), {})
    with pytest.raises(SecretError, match="is a directory"):
        read_secret(SecretRef(file=tmp_path), {})


def test_a_file_that_is_too_large_for_a_secret_is_refused(secret_file):
    """Both sides of 64 KiB."""
    assert len(read_secret(secret_file(b"x" * 65536), {}).reveal()) == 65536
    with pytest.raises(SecretError, match="larger than 65536 bytes"):
        read_secret(secret_file(b"x" * 65537), {})


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_holds_no_secret(secret_file, content):
    """A password of nothing is a mistake."""
    with pytest.raises(SecretError, match="is empty"):
        read_secret(secret_file(content), {})


@pytest.mark.parametrize(
    "content",
    [
        KEY,
        b"hex:" + KEY.hex().encode(),
        b"hex:" + KEY.hex().upper().encode() + b"\n",
        b"base64:" + base64.b64encode(KEY),
        b"base64:" + base64.b64encode(KEY) + b"\r\n",
    ],
)
def test_a_pepper_has_three_spellings(secret_file, content):
    """Raw, hexadecimal, base64."""
    assert read_pepper(secret_file(content), {}).reveal() == KEY


@given(st.binary(min_size=32, max_size=200).filter(lambda raw: not raw.startswith((b"hex:", b"base64:"))))
def test_a_raw_pepper_is_taken_byte_by_byte(tmp_path_factory, raw):
    """A newline at its end belongs to it."""
    path = tmp_path_factory.getbasetemp() / "raw.pepper"
    path.write_bytes(raw)
    path.chmod(0o600)

    assert read_pepper(SecretRef(file=path), {}).reveal() == raw


def test_a_pepper_has_32_bytes_at_least(secret_file):
    """After decoding, in every spelling."""
    for short in (KEY[:31], b"hex:" + KEY[:31].hex().encode(), b"base64:" + base64.b64encode(KEY[:31]), b"hex:", b""):
        with pytest.raises(SecretError, match="at least 32 bytes"):
            read_pepper(secret_file(short), {})


@pytest.mark.parametrize(
    ("content", "scheme"),
    [(b"hex:zz", "hex"), (b"hex:abc", "hex"), (b"base64:!!", "base64"), (b"base64:abc", "base64")],
)
def test_what_is_not_what_it_says_is_refused_without_repeating_it(secret_file, tmp_path, content, scheme):
    """Neither in the message nor in the cause, which a traceback would show."""
    with pytest.raises(SecretError) as refused:
        read_pepper(secret_file(content), {})

    assert str(refused.value) == f"{tmp_path}/secret: what stands behind {scheme}: is not {scheme}"
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_hexadecimal_without_hex_earns_a_note(secret_file, tmp_path):
    """`openssl rand -hex 32 > pepper` makes 65 bytes, not 32; it works, but it should be meant."""
    notes: list[str] = []
    pepper = read_pepper(secret_file(KEY.hex().encode() + b"\n"), {}, notes=notes)

    assert len(pepper.reveal()) == 65
    assert notes == [
        f"{tmp_path}/secret: hexadecimal digits are taken as they are: write hex: before them if they stand for bytes"
    ]


def test_a_pepper_comes_from_the_environment():
    """There, text is the natural spelling."""
    assert read_pepper(SecretRef(env="P"), {"P": f"hex:{KEY.hex()}"}).reveal() == KEY
