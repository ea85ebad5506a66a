"""The state directory: made for this user alone, and refused where somebody else could write."""

import stat

import pytest

from authproxy.daemon.state import check_state, make_state
from authproxy.errors import ConfigError


@pytest.fixture
def loaded(site):
    """`state` is a directory beside the configuration that does not exist yet."""
    site.config["state"] = "kept"
    site.save()
    return site.load()


def test_it_is_made_for_this_user_alone(loaded, tmp_path):
    """And found again."""
    make_state(loaded)
    make_state(loaded)

    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_a_check_makes_nothing(loaded, tmp_path):
    """It only says whether it could be made."""
    check_state(loaded)

    assert not (tmp_path / "kept").exists()


def test_without_the_key_there_is_nothing_to_make(site):
    """Nor to check."""
    make_state(site.load())
    check_state(site.load())


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_directory_that_others_can_write_is_refused(loaded, tmp_path, mode):
    """They could put a socket of theirs there."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(mode)
    for look in (make_state, check_state):
        with pytest.raises(ConfigError, match=rf"state: .*kept: others can write there, mode {mode:04o}"):
            look(loaded)


def test_one_that_others_can_read_will_do(loaded, tmp_path):
    """A package may have made it so."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(0o755)
    make_state(loaded)

    check_state(loaded)


def test_a_file_in_its_place_is_told(loaded, site):
    """With file, line and key."""
    site.put("kept", "")
    with pytest.raises(ConfigError, match=r"authproxy\.yaml:\d+:\d+: state: .*kept: cannot be created: file exists"):
        make_state(loaded)
    with pytest.raises(ConfigError, match="is not a directory"):
        check_state(loaded)


def test_a_missing_parent_is_told(site):
    """It is not made: a typo would become a directory."""
    site.config["state"] = "no/such/place"
    site.save()
    for look in (make_state, check_state):
        with pytest.raises(ConfigError, match=r"cannot be created: (no such file|there is no directory)"):
            look(site.load())
