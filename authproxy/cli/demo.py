"""`authproxy demo`: the whole product on one machine: keys, one user, a service, and the proxy in front of it.

Why one process is both demo and proxy: what is shown is `authproxy run` itself, and a demo that is killed takes the
proxy with it. The service is a child, and ends when the pipe to it does.
"""

import asyncio
import contextlib
import os
import select
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from authproxy.cli.common import load_settings
from authproxy.errors import DependencyError, MaterialError

if TYPE_CHECKING:
    from authproxy.cli.demo_files import Guest, Place

_PORT: Final = 8443
_OPS_PORT: Final = 9901
_LEGACY_PORT: Final = 9443
_OTHERS: Final = 0o077
_ENDS: Final = (signal.SIGINT, signal.SIGTERM)


@click.command(name="demo")
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="PORT", help=f"Listen there; default: {_PORT}, or a free one."
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Put everything there and leave it there; must be new or empty. Default: a temporary directory.",
)
@click.option("--keep", is_flag=True, help="Leave the temporary directory when the demo ends.")
@click.option("--once", is_flag=True, help="Send the three requests, show the answers, and end: 0 if they are right.")
@click.pass_context
def command(context: click.Context, port: int | None, directory: Path | None, keep: bool, once: bool) -> None:
    """Show the whole product on this machine: a service, the proxy in front of it, and three requests to try.

    \b
    Examples:
      authproxy demo
      authproxy demo --once
      authproxy demo --port 8444 --dir try-authproxy
    """
    kept = keep or directory is not None
    right = not once
    with _ended_by_signals(), _private_directory(directory, kept=kept) as root:
        right = _run(root, port, once=once, kept=kept)
    # Perhaps the terminal is gone; then nobody reads it.
    with contextlib.suppress(OSError):
        click.echo(
            f"{'' if once else os.linesep}The demo has ended; {root} is {'left as it is' if kept else 'removed'}."
        )
    context.exit(0 if right else 1)


def _run(root: Path, port: int | None, *, once: bool, kept: bool) -> bool:
    from authproxy.cli.demo_files import Place, furnish

    with _listen(_LEGACY_PORT) as listening:
        place = Place(
            root=root,
            port=_free(_PORT) if port is None else _wanted(port),
            ops_port=_free(_OPS_PORT),
            legacy_port=int(listening.getsockname()[1]),
        )
        guest = furnish(place, datetime.now(UTC))  # noqa: TID251  (this is the border)
        if once:
            return _serve(place, listening, partial(_ask_all, place, guest.user_id))
        return _serve(place, listening, partial(_show_all, place, guest, kept=kept))


def _serve(place: "Place", listening: socket.socket, show: Callable[[], bool | None]) -> bool:
    """Run service and proxy until a signal; `show` is called when both serve, and what it returns ends them."""
    from authproxy.cli.demo_legacy import legacy_service, wait_for
    from authproxy.daemon.main import run

    outcome: bool | None = None
    with (
        place.events_log.open("a", buffering=1) as events,
        legacy_service(listening, place.legacy_keys, events) as service,
        contextlib.redirect_stderr(events),
    ):

        async def ready(_proxy: object) -> None:
            nonlocal outcome
            await asyncio.to_thread(wait_for, service)
            outcome = await asyncio.to_thread(show)
            if outcome is not None:
                signal.raise_signal(signal.SIGTERM)

        _end_with_terminal()
        run(partial(load_settings, place.config), ready)
        _ignore_signals()
    return outcome is not False


def _show_all(place: "Place", guest: "Guest", *, kept: bool) -> None:
    from authproxy.cli.demo_screen import screen, show

    show(screen(place, guest, kept=kept))


def _ask_all(place: "Place", user_id: str) -> bool:
    from authproxy.cli.demo_asks import ASKS
    from authproxy.cli.demo_screen import answered, asked, opening, show

    show(opening(place))
    right = True
    for number, ask in enumerate(ASKS, 1):
        show(asked(number, ask, place))
        try:
            answer = ask.answer(place)
        except OSError as error:
            raise DependencyError(f"{place.url}: does not answer: {error}") from error
        problem = answer.problem(ask, user_id)
        show(answered(answer, problem))
        right = right and not problem
    return right


# ---------------------------------------------------------------- the directory
@contextlib.contextmanager
def _private_directory(wish: Path | None, *, kept: bool) -> Iterator[Path]:
    """Make a directory for the owner alone, and remove it at the end unless it is kept."""
    root = Path(tempfile.mkdtemp(prefix="authproxy-demo-")) if wish is None else _named_directory(wish)
    try:
        yield root.resolve()
    finally:
        _ignore_signals()
        if not kept:
            shutil.rmtree(root, ignore_errors=True)


def _named_directory(wish: Path) -> Path:
    try:
        with contextlib.suppress(FileExistsError):
            wish.mkdir(mode=0o700)
        if any(wish.iterdir()):
            raise MaterialError(str(wish), "is not empty (name a new directory with --dir)")
        mode = wish.stat().st_mode & 0o777
    except OSError as error:
        raise MaterialError(str(wish), f"cannot be used: {(error.strerror or 'unknown error').lower()}") from error
    if mode & _OTHERS:
        raise MaterialError(str(wish), f"is open to others (mode {mode:04o}): chmod 700 {wish}")
    return wish


# ---------------------------------------------------------------- ports
def _wanted(port: int) -> int:
    if not _is_free(port):
        raise MaterialError(f"--port {port}", "cannot listen there (leave it out for a free one)")
    return port


def _free(preferred: int) -> int:
    if _is_free(preferred):
        return preferred
    with _listen(0) as found:
        return int(found.getsockname()[1])


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    # Whoever holds the port of ::1 would get the requests for localhost, since curl tries that first.
    with socket.socket(socket.AF_INET6) as probe:
        return probe.connect_ex(("::1", port)) != 0


def _listen(preferred: int) -> socket.socket:
    """Return a socket that listens on loopback, so that nobody can take the port before it is used."""
    try:
        return socket.create_server(("127.0.0.1", preferred))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))


# ---------------------------------------------------------------- the end
@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block in good order, also before and after the proxy looks after them."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _ENDS}
    try:
        yield
    except KeyboardInterrupt:
        # What was asked for is no failure.
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """From here on, a second Ctrl-C does not stop the tidying up."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)


def _end_with_terminal() -> None:
    """A closed terminal says SIGHUP, which to the proxy means reload; a demo that nobody sees should end instead."""
    terminal = next((number for number in range(3) if os.isatty(number)), None)
    if terminal is None:
        return
    poll = select.poll()
    # No event is asked for: that the other end has gone is always told.
    poll.register(terminal, 0)

    def wait() -> None:
        poll.poll()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="terminal", daemon=True).start()
