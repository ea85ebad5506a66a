"""The command line: one module per noun; prints and exit codes live here only.

Modules are loaded when their command is called, so that `authproxy healthcheck` and `authproxy version`
start without importing aiohttp or pydantic.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

from authproxy.cli.group import Group
from authproxy.errors import AuthproxyError, ConfigError, DependencyError, why

COMMANDS = {
    "run": "Run the proxy.",
    "demo": "Show the whole product on this machine in one command.",
    "reload": "Ask a running proxy to reload.",
    "check": "Check a configuration and everything it names.",
    "config": "Show the effective configuration.",
    "schema": "Print the configuration's JSON Schema.",
    "healthcheck": "Ask a running proxy whether it is ready.",
    "connect": "Connect this machine's programs to a server over mutual TLS.",
    "keys": "Make keys and certificates.",
    "pepper": "Make peppers.",
    "token": "Make, read and check API tokens.",
    "session": "List and end the sessions of people who signed in.",
    "completion": "Print the shell's completion script.",
    "version": "Print the version.",
}

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 69
# `file:line:column: `, as compilers write it and editors jump to it.
_PLACE = re.compile(r".+?:[0-9]+:[0-9]+: ")
# What is printed cannot be kept.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
# 128 and the number of SIGINT, as every shell reports it.
EXIT_INTERRUPTED = 130


class LazyGroup(Group):
    """A group whose commands are `authproxy.cli.<name>:command`, imported when asked for."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the overview."""
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, imported now; None for a name that is not ours."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"authproxy.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(cmd_name)
        return command

    # The overview and the shell's completion must not import every command to learn its first line.

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each name with its line from the table."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the names from the table that begin so, and the options of the group."""
        commands: list[CompletionItem[str]] = [
            CompletionItem(name, help=told) for name, told in COMMANDS.items() if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from authproxy.cli.version import number

        click.echo(f"authproxy {number()}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def cli() -> None:
    """A TLS front door for legacy services.

    \b
    Try it:      authproxy demo
    Check it:    authproxy check -c authproxy.yaml
    Run it:      authproxy run -c authproxy.yaml
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (`args`, else the process's own); end the process with the exit code of its outcome."""
    from authproxy.cli.streams import open_missing_streams

    open_missing_streams()
    sys.exit(_outcome(args))


def _outcome(args: Sequence[str] | None) -> int:
    try:
        result: object = cli.main(args, prog_name="authproxy", standalone_mode=False)
        sys.stdout.flush()
    except ConfigError as error:
        # A line that begins with its place needs no name before it; editors want none.
        _complain(*error.problems, bare=_PLACE)
        return error.exit_code
    except AuthproxyError as error:
        _complain(str(error))
        return EXIT_UNAVAILABLE if isinstance(error, DependencyError) else EXIT_FAILED
    except click.ClickException as error:
        _explained(error).show()
        return error.exit_code
    except click.Abort as error:
        return EXIT_INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else EXIT_FAILED
    except BrokenPipeError:
        # The reader has seen enough.
        _discard_output()
        return EXIT_FAILED
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _discard_output()
        _complain(f"cannot write: {why(error)}")
        return EXIT_FAILED
    # click hands the code of `ctx.exit(code)` back as the result.
    return result if isinstance(result, int) else 0


def _discard_output() -> None:
    """Let what is still buffered go nowhere, instead of into a complaint at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(*problems: str, bare: re.Pattern[str] | None = None) -> None:
    for problem in problems:
        click.echo(problem if bare and bare.match(problem) else f"authproxy: {problem}", err=True)


def _explained(error: click.ClickException) -> click.ClickException:
    """Return the complaint with its cure where it lacks one: a configuration is never a bare word."""
    opening, _, word = error.message.partition(" (")
    if opening != "Got unexpected extra argument" or not isinstance(error, click.UsageError) or error.ctx is None:
        return error
    if all(own.name != "config" for own in error.ctx.command.params):
        return error
    cure = f"a configuration is named with -c, as in -c {word.removesuffix(')')}"
    return click.UsageError(f"{error.message}: {cure}", error.ctx)
