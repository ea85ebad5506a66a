"""What the demo shows: what is running, what to paste, where everything lies, what to try next."""

import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from authproxy.cli.demo_asks import ASKS, IDENTITY_HEADER, Answer, Ask
from authproxy.cli.demo_files import USER_NAME, Guest, Place

_INDENT = " " * 5


def show(text: str) -> None:
    """Print `text`, coloured where a person is watching who did not say NO_COLOR (no-color.org)."""
    environ = os.environ  # noqa: TID251  (this is the border)
    colour = sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    click.echo(text, color=colour)
    sys.stdout.flush()


def opening(place: Place) -> str:
    """Return what is running, in one line and its heading."""
    return "\n".join([
        _bold("authproxy demo: a service that checks nothing, and in front of it a door that does"),
        "",
        f"  curl ==TLS==> {_bold('authproxy')} :{place.port} ==verified TLS, {IDENTITY_HEADER}==> service :{place.legacy_port}",
        "",
    ])  # fmt: skip


def screen(place: Place, guest: Guest, *, kept: bool) -> str:
    """Return everything that is shown while the demo runs; `kept`: the directory stays at the end."""
    return "\n".join([
        opening(place), *_asks(place), *_page(place, guest), *_files(place), *_next(place, guest), _ending(place, kept),
    ])  # fmt: skip


def asked(number: int, ask: Ask, place: Place) -> str:
    """Return a request as it is shown, with the command that sends it."""
    command = textwrap.indent(ask.curl(place), _INDENT)
    return f"  {_bold(str(number))}  {ask.title}\n{click.style(command, fg='cyan')}\n"


def answered(answer: Answer, problem: str) -> str:
    """Return what came back, and whether it is what should."""
    verdict = click.style(f"no: {problem}", fg="red") if problem else click.style("as it should be", fg="green")
    head = f"{_INDENT}{_bold(f'{answer.status} {answer.reason}')}, {verdict}"
    return f"{head}\n{textwrap.indent(answer.body.rstrip(), _INDENT)}\n"


def program() -> str:
    """Return how a shell in any directory calls this program."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return shlex.join([sys.executable, "-m", "authproxy"])
    found = shutil.which(called.name)
    return called.name if found is not None and called.samefile(found) else shlex.quote(str(called.absolute()))


def _asks(place: Place) -> Iterator[str]:
    yield _bold("Paste into another terminal") + "\n"
    for number, ask in enumerate(ASKS, 1):
        yield asked(number, ask, place)


def _page(place: Place, guest: Guest) -> Iterator[str]:
    yield _bold("Sign in with a browser") + "\n"
    yield f"{_INDENT}Page     {click.style(place.page, fg='cyan')}"
    yield f"{_INDENT}User id  {guest.user_id}"
    # On a line of its own it fits into 100 columns, and a double click takes it whole.
    yield f"{_INDENT}Token    {_dim('(paste it into either field, and both are filled in)')}"
    yield f"{_INDENT}{guest.token.reveal()}"
    warning = f"The browser does not know the demo and warns: go on, or let it believe {place.authority.name} for now."
    yield f"{_INDENT}{_dim(warning)}\n"


def _files(place: Place) -> Iterator[str]:
    yield _bold("Look around") + f" in {place.root}\n"
    yield from _table({
        place.config.name: "the whole configuration, with a word about each line: copy it",
        place.users.name: f"who may come in: {USER_NAME}, with the hash of a token",
        place.people.name: f"who may sign in: {USER_NAME}, with the hash of another token",
        place.access_log.name: "a line for each request, and why it was refused",
        place.events_log.name: "what the proxy says about itself",
    })  # fmt: skip


def _next(place: Place, guest: Guest) -> Iterator[str]:
    file = shlex.quote(str(place.config))
    users = shlex.quote(str(place.users))
    ops = f"http://127.0.0.1:{place.ops_port}"
    yield _bold("Then try") + "\n"
    yield from _commands({
        "is the configuration right, and is everything it names usable?": f"{program()} check -c {file}",
        f"put {USER_NAME} out: within 5 seconds 1 and 3 are refused": f"echo '  disabled: true' >> {users}",
        "who is signed in?": f"{program()} session list -c {file}",
        "sign that browser out, in the middle of whatever it does": (
            f"{program()} session revoke -c {file} --user {guest.user_id}"
        ),
        "reload at once; after a mistake the old state stays at work, and events.log says why": f"kill -HUP {os.getpid()}",
        "what has happened so far? (also there: /livez /readyz /status)": f"curl -s {ops}/metrics | grep ^authproxy_requests",
    })  # fmt: skip


def _table(rows: dict[str, str]) -> Iterator[str]:
    width = max(map(len, rows))
    for name, told in rows.items():
        yield f"{_INDENT}{name:{width}}  {_dim(told)}"
    yield ""


def _commands(rows: dict[str, str]) -> Iterator[str]:
    for told, command in rows.items():
        yield f"{_INDENT}{_dim(f'# {told}')}\n{_INDENT}{click.style(command, fg='cyan')}"
    yield ""


def _ending(place: Place, kept: bool) -> str:
    what = f"leaves {place.root}" if kept else "removes its directory (--keep leaves it)"
    return f"{_bold('Ctrl-C')} ends the demo and {what}."


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _dim(text: str) -> str:
    return click.style(text, dim=True)
