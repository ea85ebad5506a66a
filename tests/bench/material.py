"""What a measurement works with: certificates, users with tokens, and the requests that the load repeats."""

import hashlib
import hmac
import json
import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from authproxy.catalogs.append import row_text
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId, user_id_text
from authproxy.core.secret import Secret
from authproxy.core.token import SECRET_BYTES, generate
from authproxy.keystore.generate import Algorithm, Validity, alternative_name, combined_file, new_authority, new_server

PROXY_NAMES: Final = ("proxy.test", "localhost", "127.0.0.1")
UPSTREAM_NAME: Final = "upstream.test"
USERS: Final = 64
REQUESTS: Final = 1024
FORGED: Final = "somebody-else"
"""What every request claims in the identity header; it must never reach the upstream."""

_PEPPER_BYTES: Final = 32
_DAYS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may come in."""

    id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Files that every program of a measurement shares.

    - `ca.pem`, and certificate with key in `server.pem` and `upstream.pem`
    - `pepper` and `tokens.yaml` for authproxy; the same in `tokens.json` for the peers that verify tokens
    - `nginx.map` and `haproxy.map` for those that only compare them, `haproxy-hmac.map` and `haproxy.key` for HMACs of them
    - `requests`: the heads that the load repeats, one behind the other
    """

    folder: Path
    users: tuple[User, ...]

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def requests(self) -> Path:
        return self.folder / "requests"


def make(folder: Path) -> Material:
    """Write fresh keys, tokens and requests into `folder`, which others should not be able to enter."""
    _write_certificates(folder)
    pepper = secrets.token_bytes(_PEPPER_BYTES)
    records, users = [], []
    for number in range(USERS):
        user_id, secret, version = UserId(uuid4().bytes), secrets.token_bytes(SECRET_BYTES), 1 + number % 3
        digest = Pepper(Secret(pepper)).digest(user_id, version, secret)
        records.append(TokenRecord(user_id=user_id, rotation_version=version, hash=digest))
        users.append(User(id=user_id_text(user_id), token=generate("svc", version, user_id, secret)))
    rows = [
        {"id": user_id_text(one.user_id), "version": one.rotation_version, "hash": one.hash.hex()} for one in records
    ]
    texts = {
        "pepper": f"hex:{pepper.hex()}\n",
        "tokens.yaml": "".join(map(row_text, records)),
        "tokens.json": json.dumps({"pepper": pepper.hex(), "users": rows}),
        "nginx.map": "".join(f'"Bearer {user.token}" "{user.id}";\n' for user in users),
        "haproxy.map": "".join(f"{user.token} {user.id}\n" for user in users),
        "haproxy-hmac.map": "".join(f"{_mac(pepper, user.token)} {user.id}\n" for user in users),
        "haproxy.key": b64encode(pepper).decode(),
    }
    for name, text in texts.items():
        _write(folder / name, text.encode())
    material = Material(folder=folder, users=tuple(users))
    _write(material.requests, b"".join(request(number, material.users) for number in range(REQUESTS)))
    return material


def request(number: int, users: tuple[User, ...], cookies: tuple[str, ...] = ()) -> bytes:
    """Return one of the heads of the load: each has its own target, request id and, in turn, user.

    `cookies`: of the users, shown instead of their tokens.
    """
    user = number % len(users)
    shown = f"Cookie: {cookies[user]}" if cookies else f"Authorization: Bearer {users[user].token}"
    return (
        f"GET /api/v1/items/{number * 7919}?page={number % 17} HTTP/1.1\r\n"
        f"Host: {PROXY_NAMES[0]}\r\n"
        "User-Agent: authproxy-bench/1.0 (linux)\r\n"
        "Accept: application/json\r\n"
        "Accept-Encoding: gzip, deflate, br\r\n"
        f"X-Request-Id: {number:08x}-{number * 7919:08x}\r\n"
        f"X-User-Id: {FORGED}\r\n"
        f"{shown}\r\n\r\n"
    ).encode()


def _mac(key: bytes, token: str) -> str:
    return hmac.digest(key, token.encode(), hashlib.sha512).hex().upper()


def _write_certificates(folder: Path) -> None:
    validity = Validity.of_days(datetime.now(UTC), _DAYS)
    authority = new_authority("authproxy bench", validity, Algorithm.EC_P256)
    _write(folder / "ca.pem", authority.certificate_pem())
    for file, names in (("server.pem", PROXY_NAMES), ("upstream.pem", (UPSTREAM_NAME,))):
        leaf = new_server(authority, [alternative_name(name) for name in names], validity, Algorithm.EC_P256)
        _write(folder / file, combined_file(leaf))


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
