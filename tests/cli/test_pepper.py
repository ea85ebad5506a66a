"""`authproxy pepper new`."""

import json
import stat

import pytest
from click.testing import CliRunner

from authproxy.cli.pepper import command
from authproxy.core.pepper import Pepper
from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.options import SecretRef
from authproxy.settings import read_pepper


def new(*args: object):
    return CliRunner().invoke(command, ["new", *map(str, args)])


def test_a_pepper_is_shown_once():
    """32 random bytes as `hex:` and 64 digits on standard output, another one each time, and nothing else."""
    one, other = new(), new()

    assert one.exit_code == 0
    assert one.stderr == ""
    assert one.stdout.startswith("hex:")
    assert len(bytes.fromhex(one.stdout.removeprefix("hex:"))) == 32
    assert one.stdout != other.stdout


def test_what_is_shown_is_what_a_zone_reads():
    """The text is a pepper in a configuration's sense."""
    text = new().stdout

    pepper = read_pepper(SecretRef(env="PEPPER"), {"PEPPER": text})

    assert pepper.reveal() == bytes.fromhex(text.removeprefix("hex:"))


def test_a_file_is_the_owners_alone(tmp_path):
    """Mode 0600 from the first moment; the pepper is not shown, its id is."""
    path = tmp_path / "pepper"

    result = new("--out", path)

    pepper = read_pepper(SecretRef(file=path), {})
    assert result.exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert result.output == f"written: {path} (pepper {Pepper(pepper).id})\n"


@pytest.mark.parametrize("make", [lambda path: path.write_text("old"), lambda path: path.symlink_to("elsewhere")])
def test_a_pepper_is_never_overwritten(tmp_path, make):
    """A pepper that is lost cannot be had again; nor is a link followed."""
    path = tmp_path / "pepper"
    make(path)

    result = new("--out", path)

    assert isinstance(result.exception, MaterialError)
    assert "exists already" in str(result.exception)
    assert not (tmp_path / "elsewhere").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    """One clause with the file and the reason."""
    result = new("--out", tmp_path / "no" / "pepper")

    assert str(result.exception) == f"{tmp_path}/no/pepper: cannot be written: no such file or directory"


def test_json_tells_the_id(tmp_path):
    """With the pepper, or with the file that holds it."""
    shown = json.loads(new("--json").stdout)
    written = json.loads(new("--json", "--out", tmp_path / "pepper").stdout)

    key = bytes.fromhex(shown["pepper"].removeprefix("hex:"))
    assert shown == {"id": Pepper(Secret(key)).id, "pepper": shown["pepper"]}
    assert written["file"] == str(tmp_path / "pepper")
    assert "pepper" not in written


def test_the_real_command(run_authproxy, tmp_path):
    """Through the process: 0 when done, 1 when the file is there already."""
    first = run_authproxy("pepper", "new", "--out", "pepper")
    second = run_authproxy("pepper", "new", "--out", "pepper")

    assert (first.returncode, second.returncode) == (0, 1)
    assert second.stderr.startswith("authproxy: pepper: exists already")
    assert (tmp_path / "pepper").read_text().startswith("hex:")
