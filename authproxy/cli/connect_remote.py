"""Where `authproxy connect` leads: the keys that it shows, and what must be true of whoever is there."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.cli.connect_wishes import Wishes
from authproxy.core.place import Place
from authproxy.core.secret import Secret
from authproxy.errors import ConfigError, MaterialError, SecretError
from authproxy.keystore import (
    Keystore,
    Role,
    Truststore,
    check,
    load_file,
    load_text,
    load_truststore,
    pin_judge,
    tunnel_context,
)
from authproxy.keystore.pins import pin_of
from authproxy.keystore.reading import read, refuse_if_exposed
from authproxy.keystore.stores import Opening
from authproxy.settings.addresses import Address, UnixSocket
from authproxy.tunnel.remote import Remote
from authproxy.wire.handshake import Unnamed


def remote_of(wishes: Wishes) -> Remote:
    """Return what to connect to, and how it is verified.

    Raises:
        ConfigError: the keys cannot be used; SecretError when they are unreadable or too open.
    """
    verify, pins = wishes["verify"], wishes["pin"]
    if verify == "pin" and not pins:
        raise click.UsageError("--verify pin needs --pin sha256/...")
    way = _way(wishes["remote"])
    name = wishes["server_name"] or way.host
    if verify == "full" and not name:
        raise click.UsageError("a unix socket has no name: add --server-name, or --verify ca-only")
    try:
        own = _keystore(wishes)
        check(own, Role.CLIENT, datetime.now(UTC))  # noqa: TID251  # the clock enters here
        context = tunnel_context(_trust(wishes, own), own, names=verify == "full")
    except MaterialError as error:
        raise ConfigError(str(error)) from error
    server_name = name if verify == "full" else Unnamed(name)
    return Remote(
        way=way, context=context, server_name=server_name, judge=_judge(own, pins), limit=wishes["timeout"]
    )  # fmt: skip


def _way(address: Address) -> Place:
    return Place(unix=address.path) if isinstance(address, UnixSocket) else Place(host=address.host, port=address.port)


def _keystore(wishes: Wishes) -> Keystore:
    path, variable = wishes["keys"], wishes["keys_env"]
    if (path is None) == (variable is None):
        raise click.UsageError("needs one of --keys FILE and --keys-env VAR")
    password = _password(wishes["password_file"])
    if path is not None:
        return load_file("keys", path, Opening(password=password))
    text = os.environ.get(variable or "")  # noqa: TID251  # this is the border
    if not text:
        raise SecretError(f"environment variable {variable}: is not set")
    return load_text("keys", text, f"${variable}", password)


def _password(path: Path | None) -> Secret[bytes] | None:
    if path is None:
        return None
    content = read(path)
    refuse_if_exposed(content, "password")
    return Secret(content.data.removesuffix(b"\n").removesuffix(b"\r"))


def _trust(wishes: Wishes, own: Keystore) -> Truststore:
    if wishes["trust"] is not None:
        return load_truststore("trust", wishes["trust"])
    if own.root is None:
        raise MaterialError(own.source, "holds no root to believe the server by (use a keys file, or add --trust FILE)")
    return Truststore(name="root", certificates=(own.root,), source=own.source)


def _judge(own: Keystore, pins: tuple[str, ...]) -> Callable[[bytes], str]:
    ours = pin_of(own.leaf.public_bytes(Encoding.DER))
    pinned = pin_judge(pins, "--pin") if pins else None

    def judge(der: bytes) -> str:
        try:
            # Without names in certificates, any client could play the server; one with our own key surely does.
            if pin_of(der) == ours:
                return "shows our own key: it is no server, or was given the client's keys"
        except ValueError as error:
            return f"its certificate cannot be read: {error}"
        return "" if pinned is None else pinned(der)

    return judge
