"""The page of commands: what every `--help` says, at one width."""

import copy
from collections.abc import Iterator

import click

from authproxy.cli import COMMANDS, cli

WIDTH = 100
PREFACE = """\
# Commands

What `authproxy ... --help` says; this page is made from it (`make reference`).

- **`-c` and `AUTHPROXY_CONFIG`** say which configuration is meant; without either it is
  `authproxy.yaml` in the directory where one is, else `/etc/authproxy/authproxy.yaml`.
- **Secrets** come in by file, environment or standard input, never as an argument; what is made goes out once, to standard output.
- **`--json`** is there wherever facts are printed.

| Exit code | When |
|---|---|
| 0 | done |
| 1 | it failed, or what was asked is not so |
| 2 | wrong usage |
| 69 | something needed cannot be reached |
| 77 | a secret is unreadable, or others can read or change it |
| 78 | the configuration is wrong |
"""


def commands_page() -> str:
    """Return the page."""
    parts = [PREFACE]
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        parts += [f"## {' '.join(path)}\n\n```text\n{_help(one, path)}\n```\n" for path, one in _below(command, [name])]
    return "\n".join(parts)


def _below(command: click.Command, path: list[str]) -> Iterator[tuple[list[str], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from _below(one, [*path, name])


def _help(command: click.Command, path: list[str]) -> str:
    # A command remembers the help option of its first call, which in a test may have been without the group around it.
    command = copy.copy(command)
    command._help_option = None
    context = click.Context(
        command, info_name=" ".join(["authproxy", *path]), terminal_width=WIDTH, max_content_width=WIDTH, color=False
    )
    context.help_option_names = ["-h", "--help"]
    return command.get_help(context).strip()
