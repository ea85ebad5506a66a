"""Exit codes and complaints of the command line as a whole."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from authproxy.cli import COMMANDS, cli, common, main
from authproxy.cli.group import LATER
from authproxy.errors import (
    AuthproxyError,
    CatalogUnavailable,
    ConfigError,
    DependencyError,
    MaterialError,
    SecretError,
)


@pytest.fixture
def outcome(monkeypatch, capsys):
    """Returns exit code, stdout and stderr of `authproxy demo` when that command does what `body` does."""

    def run(body, *args):
        command = click.Command("demo", callback=body)
        monkeypatch.setitem(sys.modules, "authproxy.cli.demo", SimpleNamespace(command=command))
        with pytest.raises(SystemExit) as ended:
            main(["demo", *args])
        return ended.value.code, *capsys.readouterr()

    return run


def raising(error):
    def body():
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (ConfigError("a.yaml:1:1: no", "a b.yaml:22:10: c: no"), 78, ["a.yaml:1:1: no", "a b.yaml:22:10: c: no"]),
        (ConfigError("a.yaml: there is no such file"), 78, ["authproxy: a.yaml: there is no such file"]),
        (SecretError("pepper: everybody can read it"), 77, ["authproxy: pepper: everybody can read it"]),
        (MaterialError("a.pem", "has no key"), 1, ["authproxy: a.pem: has no key"]),
        (CatalogUnavailable("tokens.yaml"), 69, ["authproxy: tokens.yaml"]),
        (DependencyError("[::1]:9901: refused"), 69, ["authproxy: [::1]:9901: refused"]),
        (AuthproxyError("no"), 1, ["authproxy: no"]),
    ],
)
def test_a_failure_is_a_line_for_each_problem_and_a_code(outcome, error, code, lines):
    """What the program raises on purpose ends as lines on stderr and an exit code, without a traceback.

    A line with a place begins with it, as editors want it; any other says who speaks.
    """
    got = outcome(raising(error))

    assert got == (code, "", "".join(f"{line}\n" for line in lines))


def test_an_unexpected_error_shows_where(outcome):
    """A defect is not hidden: anything else comes through with its traceback."""
    with pytest.raises(ZeroDivisionError):
        outcome(raising(ZeroDivisionError()))


def test_an_interrupt_is_130(outcome):
    """Ctrl-C ends with the code that every shell expects, and says nothing."""
    code, out, err = outcome(raising(KeyboardInterrupt()))

    assert (code, out, err.strip()) == (130, "", "")


def test_an_abandoned_prompt_failed(outcome):
    """End of input at a question is a failure, not an interrupt."""
    code, _, _ = outcome(raising(EOFError()))

    assert code == 1


@pytest.mark.parametrize("code", [0, 1, 69])
def test_a_command_may_end_with_its_own_code(outcome, code):
    """`ctx.exit(code)` is the exit code of the process."""
    got = outcome(lambda: click.get_current_context().exit(code))

    assert got == (code, "", "")


@pytest.mark.parametrize(("result", "code"), [(None, 0), ("text", 0), (0, 0), (3, 3)])
def test_a_result_counts_only_as_a_number(outcome, result, code):
    """A command that returns something else than a number was done."""
    assert outcome(lambda: result)[0] == code


def test_wrong_usage_is_2(outcome):
    """An option that does not exist is told on stderr with the usage line."""
    code, out, err = outcome(lambda: None, "--nonsense")

    assert (code, out) == (2, "")
    assert "Usage: authproxy demo" in err
    assert "--nonsense" in err


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("healtcheck", "there is no command 'healtcheck' (did you mean 'healthcheck'?)"),
        ("zzzzz", "there is no command 'zzzzz'\n"),
        ("token verifo", "there is no command 'token verifo' (did you mean 'verify'?)"),
        ("keys zzzzz", "there is no command 'keys zzzzz'\n"),
        ("audit verify", "'audit' is not available in this version\n"),
        ("token rotate", "'token rotate' is not available in this version\n"),
        ("pepper status --json", "'pepper status' is not available in this version\n"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(capsys, typed, told):
    """A slip of the finger costs one look; a word like none of ours gets no guess, and what is to come is told as such."""
    with pytest.raises(SystemExit) as ended:
        main(typed.split())

    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_what_is_to_come_is_not_there():
    """Whoever adds a command takes it off the list."""
    for name in LATER:
        group, _, word = name.rpartition(" ")
        commands = cli if not group else cli.get_command(click.Context(cli), group)

        assert isinstance(commands, click.Group)
        assert word not in commands.list_commands(click.Context(commands))


def test_the_overview_imports_no_command():
    """`authproxy --help` is complete although no command module was loaded."""
    program = """
import sys
from authproxy.cli import cli
cli.main(["--help"], standalone_mode=False)
sys.exit(sum(name.startswith("authproxy.cli.") and name != "authproxy.cli.group" for name in sys.modules))
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)

    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_version_option(capsys):
    """`--version` names program and version."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("authproxy 0.")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_quiet(unbuffered):
    """A reader that leaves early makes no noise, whether the output breaks at the write or at the end."""
    program = """
import sys, types, click
from authproxy.cli import main
demo = click.Command("demo", callback=lambda: print("more", sys.stdin.read()))
sys.modules["authproxy.cli.demo"] = types.SimpleNamespace(command=demo)
main(["demo"])
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )
    # The child writes only after its stdin has ended, so the reader has gone by then.
    assert child.stdout is not None
    child.stdout.close()
    child.stdout = None
    _, complaint = child.communicate(timeout=20)

    assert (child.returncode, complaint) == (1, b"")


def test_completion_offers_every_command():
    """The shell gets the names with their first lines, and the group's own options, without loading anything."""
    context = click.Context(cli)

    offered = {item.value: item.help for item in cli.shell_complete(context, "")}
    options = {item.value for item in cli.shell_complete(context, "--")}

    assert offered == COMMANDS
    assert {"--version", "--help"} <= options


@pytest.fixture
def named(monkeypatch, tmp_path):
    """Returns the configuration file that a command is given for these arguments, started in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common, "SYSTEM_CONFIG", tmp_path / "etc.yaml")

    @click.command
    @common.config_option
    def command(config):
        return config

    def name(*args, **env):
        return CliRunner().invoke(command, args, env=env, standalone_mode=False).return_value

    return name


def test_the_option_outranks_the_environment(named):
    """-c counts before AUTHPROXY_CONFIG."""
    assert named("-c", "a.yaml", AUTHPROXY_CONFIG="b.yaml") == Path("a.yaml")
    assert named(AUTHPROXY_CONFIG="b.yaml") == Path("b.yaml")


@pytest.mark.parametrize(
    ("present", "chosen"),
    [
        ([], "authproxy.yaml"),
        (["etc.yaml"], "etc.yaml"),
        (["authproxy.yaml"], "authproxy.yaml"),
        (["authproxy.yaml", "etc.yaml"], "authproxy.yaml"),
    ],
)
def test_the_nearest_configuration_is_the_default(named, tmp_path, present, chosen):
    """The working directory's file comes before the machine's; with neither, the nearer one is complained about."""
    for name in present:
        (tmp_path / name).touch()

    assert named().name == chosen


def test_a_missing_configuration_says_how_to_name_one(tmp_path):
    """No file: the message names it and both ways to name another."""
    with pytest.raises(
        ConfigError, match=r"none\.yaml: there is no such file \(name one with -c or AUTHPROXY_CONFIG\)"
    ):
        common.load_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize("command", ["run", "check", "healthcheck"])
@pytest.mark.parametrize("closed", ["etc/authproxy.yaml", "etc"])
def test_a_configuration_that_may_not_be_read_is_a_wrong_one(tool, tmp_path, command, closed):
    """Exit code 78 and one line with the reason: it was made for somebody else, as a clone under umask 077 is."""
    path = tmp_path / "etc" / "authproxy.yaml"
    path.parent.mkdir()
    path.write_text("version: 1")
    (tmp_path / closed).chmod(0)
    # Root may read everything, unless it goes without the capability for that.
    obeying = [tool("setpriv"), "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

    done = subprocess.run(
        [*obeying, sys.executable, "-m", "authproxy", command, "-c", path], capture_output=True, text=True, timeout=20
    )
    (tmp_path / "etc").chmod(0o700)

    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.lower().startswith(f"authproxy: {path}: permission denied".lower())
    assert done.stderr.count("\n") == 1


def test_a_missing_configuration_of_the_machine_says_how_to_mount_it(monkeypatch, tmp_path):
    """That is the one which the image looks for, and a first `docker run` has mounted nothing."""
    monkeypatch.setattr(common, "SYSTEM_CONFIG", tmp_path / "etc.yaml")

    with pytest.raises(ConfigError, match=r"etc\.yaml: there is no such file .* -v DIRECTORY:/etc/authproxy:ro\)$"):
        common.load_settings(tmp_path / "etc.yaml")


@pytest.mark.parametrize("name", ["check", "run", "healthcheck", "reload", "config show"])
def test_a_configuration_named_as_a_bare_word_is_told_how(capsys, name):
    """Who forgets -c learns of it from the message; nothing is read or run."""
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "proxy.yaml"])

    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(
        "Error: Got unexpected extra argument (proxy.yaml): a configuration is named with -c, as in -c proxy.yaml\n"
    )


def test_a_bare_word_is_no_configuration_where_none_is_read(capsys):
    """The hint stands only where it leads somewhere."""
    with pytest.raises(SystemExit) as ended:
        main(["version", "proxy.yaml"])

    assert (ended.value.code, "-c" in capsys.readouterr().err) == (2, False)


@pytest.mark.parametrize("name", ["config", "keys", "pepper", "session", "token"])
def test_no_overview_breaks_off_in_the_middle_of_a_sentence(name):
    """What a group's help, or the shell's completion, says of each command is a whole line."""
    group = importlib.import_module(f"authproxy.cli.{name}").command

    assert group.commands
    assert [one.name for one in group.commands.values() if one.get_short_help_str().endswith("...")] == []


def every_command():
    """The words of each command, and of each group."""
    for name in COMMANDS:
        found = importlib.import_module(f"authproxy.cli.{name}").command
        yield name
        if isinstance(found, click.Group):
            yield from (f"{name} {one}" for one in found.commands)


@pytest.mark.parametrize("words", list(every_command()))
def test_every_help_fits_a_terminal(words):
    """80 columns, examples included: a line that the terminal breaks is copied with the break."""
    told = CliRunner().invoke(
        cli, [*words.split(), "--help"], prog_name="authproxy", terminal_width=80, max_content_width=80
    )

    assert told.exit_code == 0
    assert [line for line in told.output.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("words", list(every_command()))
def test_every_help_has_an_example(words):
    """One that begins with the command itself, so that it can be typed."""
    told = CliRunner().invoke(cli, [*words.split(), "--help"], prog_name="authproxy").output

    example = told.partition("Example")[2].partition("authproxy ")
    assert (example[1] + example[2]).startswith(f"authproxy {words}")
