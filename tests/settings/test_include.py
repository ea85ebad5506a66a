"""Several files, one configuration."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from authproxy.errors import ConfigError
from authproxy.settings import load

MAIN = """\
version: 1
include: [zones.yaml, apps/app.yaml]
keystores: {main: {file: server.pem}}
listeners: {public: {bind: 0.0.0.0:8443}}
routes: [{path: /, upstream: legacy}]
upstreams: {legacy: https://legacy.internal:9443}
"""
ZONES = """\
catalogs: {users: {kind: file, file: tokens.yaml}}
zones: {api: {prefix: svc, peppers: [{file: pepper}], catalog: users}}
"""
APP = """\
version: 1
upstreams:
  app: {urls: https://app.internal:9443, keystore: app}
keystores: {app: {file: app.pem}}
routes:
  - {host: app.example.org, path: /, upstream: app}
"""


@pytest.fixture
def files(tmp_path, kinds):
    """`files(name=text)` writes files and loads the first; returns Loaded, or the problems without the directory."""

    def write(**texts):
        given = {"authproxy.yaml": MAIN, "zones.yaml": ZONES, "apps/app.yaml": APP}
        given |= {name.replace("__", "/") + ".yaml": text for name, text in texts.items()}
        for name, text in given.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        try:
            return load(tmp_path / "authproxy.yaml", catalog_kinds=kinds, environ={"NAME": "zones"})
        except ConfigError as error:
            return [line.replace(f"{tmp_path}/", "") for line in error.problems]

    return write


def only_keystore_named(text):
    return text.replace("bind: 0.0.0.0:8443", "bind: 0.0.0.0:8443, keystore: main")


MAIN = only_keystore_named(MAIN)


def test_maps_by_name_and_routes_add_up(files, tmp_path):
    """Whoever adds an application adds one file."""
    loaded = files()

    assert list(loaded.settings.upstreams) == ["legacy", "app"]
    assert [route.upstream for route in loaded.settings.routes] == ["legacy", "app"]
    assert loaded.files == (tmp_path / "authproxy.yaml", tmp_path / "zones.yaml", tmp_path / "apps/app.yaml")


def test_a_path_is_relative_to_the_file_that_names_it(files, tmp_path):
    """Not to the one that includes that file."""
    settings = files().settings

    assert settings.keystores["main"].file == tmp_path / "server.pem"
    assert settings.keystores["app"].file == tmp_path / "apps/app.pem"


def test_settings_and_mistakes_are_placed_in_their_own_file(files, tmp_path):
    """Also a route that an included file adds."""
    assert files().where("routes", 1, "host") == f"{tmp_path}/apps/app.yaml:6:12: routes[1].host"
    assert files(apps__app=APP.replace("upstream: app", "upstream: ap")) == [
        'apps/app.yaml:6:48: routes[1].upstream: unknown upstream (did you mean "app"?)'
    ]


def test_a_name_stands_in_one_file_only(files):
    """Which one would count?"""
    assert files(zones=ZONES + "upstreams: {legacy: https://other}\n") == [
        "zones.yaml:3:13: upstreams.legacy: stands in authproxy.yaml:6:13 too: keep one"
    ]


def test_any_other_key_stands_in_one_file_only(files):
    """Limits and the like are no maps by name."""
    assert files(zones=ZONES + "limits: {line: 300}\n", apps__app=APP + "limits: {fields: 9}\n") == [
        "apps/app.yaml:7:1: limits: stands in zones.yaml:3:1 too: keep one"
    ]


def test_a_section_of_another_shape_does_not_add_up(files):
    """A list cannot be added to a map."""
    assert "zones.yaml:3:1: upstreams: stands in authproxy.yaml:6:1 too: keep one" in files(
        zones=ZONES + "upstreams: []\n"
    )


def test_an_included_file_is_of_the_same_version(files):
    """It may leave it away, but not contradict."""
    assert files(zones="version: 1\n" + ZONES).settings.version == 1
    assert files(zones="version: 2\n" + ZONES) == [
        "zones.yaml:1:10: version: must be 1, as in the file that includes this one"
    ]


def test_included_files_may_include(files):
    """Relative to themselves."""
    apps = "include: [app2.yaml]\n" + APP
    loaded = files(apps__app=apps, apps__app2="upstreams: {app2: https://a}\n")

    assert "app2" in loaded.settings.upstreams


@pytest.mark.parametrize("name", ["authproxy.yaml", "./zones.yaml", "apps/../authproxy.yaml"])
def test_each_file_is_included_once(files, name):
    """Circles end at once."""
    [line] = files(zones=f"include: [{name}]\n{ZONES}")

    assert line.startswith("zones.yaml:1:11: include: ")
    assert line.endswith(": each file is included once")


def test_a_file_that_is_not_there_is_told_where_it_is_named(files):
    """With the line that names it."""
    assert files(authproxy=MAIN.replace("zones.yaml", "zone.yaml")) == [
        "authproxy.yaml:2:11: include: zone.yaml: no such file or directory"
    ]


def test_the_name_of_an_included_file_may_come_from_the_environment(files):
    """As any other scalar."""
    assert files(authproxy=MAIN.replace("zones.yaml", '"${NAME}.yaml"')).settings.zones.keys() == {"api"}


def test_one_file_without_a_list_is_told(files):
    """The list is the one spelling."""
    lines = files(authproxy=MAIN.replace("[zones.yaml, apps/app.yaml]", "zones.yaml"))

    assert "authproxy.yaml:2:10: include: must be a list, as in [a, b], is text" in lines


def test_an_empty_included_file_is_told(files):
    """It is a mistake more often than not."""
    assert files(zones="") == [
        "zones.yaml:1:1: the file is empty: write keys into it, or take it out of `include` at authproxy.yaml:2:11"
    ]


def test_a_pipe_without_a_writer_holds_nobody_up(load_text, minimal, tmp_path):
    """It is an empty file; a reload that waited for a writer would be the last one."""
    os.mkfifo(tmp_path / "more.yaml")

    with pytest.raises(ConfigError) as refused:
        load_text(f"{minimal}include: [more.yaml]\n")

    assert refused.value.problems[0].startswith(f"{tmp_path}/more.yaml:1:1: the file is empty: ")


def test_a_pipe_with_a_writer_is_read(load_text, minimal, tmp_path):
    """As a shell makes one of `<(...)`; the reader waits until all is there."""
    os.mkfifo(tmp_path / "more.yaml")
    reader = os.open(tmp_path / "more.yaml", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(tmp_path / "more.yaml", os.O_WRONLY)
    os.close(reader)

    def write():
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(b"timeouts: {head: 5s}\n")

    written = threading.Timer(0.1, write)
    written.start()

    loaded = load_text(f"{minimal}include: [more.yaml]\n")

    written.join()
    assert loaded.settings.timeouts.head == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"version: 1\nx: \xff\n", "authproxy.yaml:2:4: not UTF-8 text"),
        (b"#" * (1024 * 1024 + 1), "authproxy.yaml: larger than 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_text_is_told(tmp_path, kinds, content, line):
    """With its place, where there is one."""
    (tmp_path / "authproxy.yaml").write_bytes(content)

    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "authproxy.yaml", catalog_kinds=kinds, environ={})

    assert str(refused.value).replace(f"{tmp_path}/", "") == line


def test_a_directory_is_no_file(tmp_path, kinds):
    """Nor is what is not there."""
    with pytest.raises(ConfigError, match="is a directory"):
        load(tmp_path, catalog_kinds=kinds, environ={})
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "nothing.yaml", catalog_kinds=kinds, environ={})


def test_a_byte_order_mark_is_no_content(tmp_path, kinds, minimal):
    """Windows editors write one."""
    (tmp_path / "authproxy.yaml").write_bytes(b"\xef\xbb\xbf" + minimal.encode())

    assert load(tmp_path / "authproxy.yaml", catalog_kinds=kinds, environ={}).settings.version == 1


def test_a_relative_name_is_kept_in_messages(tmp_path, kinds, monkeypatch):
    """The file is called what the operator called it; paths in it are absolute all the same."""
    monkeypatch.chdir(tmp_path)
    Path("authproxy.yaml").write_text(MAIN.replace("include: [zones.yaml, apps/app.yaml]\n", ""))

    with pytest.raises(ConfigError, match=r"^authproxy.yaml:4:10: routes\[0\]: who may pass"):
        load(Path("authproxy.yaml"), catalog_kinds=kinds, environ={})


@pytest.mark.parametrize("name", ["\\0", "a\\e[2J", "\\u202e"])
def test_a_path_of_control_characters_is_refused(problems, name):
    """It is no file's, and a line about it would not be one for people."""
    (line,) = problems(f'version: 1\ninclude: ["{name}"]\n')

    assert line == "authproxy.yaml:2:11: include: the path of a file has no control characters"
