"""Words of HTTP and of this file: names, hosts, paths, methods, header names. Each is checked where it is read."""

import base64
import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from authproxy.core import names
from authproxy.core.token import MAX_PREFIX_LENGTH

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_TOKEN: Final = 128
# As much as leaves room for the rest of a token: turvata knows no other bound.
_PREFIX: Final = re.compile(rf"[A-Za-z0-9-]{{1,{MAX_PREFIX_LENGTH}}}")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_V6_HOST: Final = re.compile(r"\[[0-9a-f:.]{2,45}\]")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]*")
_FIELD_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_DEFAULT_PORTS: Final = {"https": "443", "http": "80"}
# Protocols in which the other end takes requests: RFC 9113, 3.1 (h2c), RFC 2817 (TLS, with HTTP inside).
_HTTP_WITHIN: Final = frozenset({"h2c", "h2", "h3", "http", "https", "spdy", "tls"})
_PIN: Final = re.compile(r"sha256/([A-Za-z0-9+/]{43}=)")
_ENV: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_GROUP: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,256}")

# RFC 9110 7.6.1 and 7.8, RFC 9112 6; with Host and Expect, whose meaning is the proxy's own business on either side.
_FRAMING: Final = frozenset(
    {b"CONNECTION", b"CONTENT_LENGTH", b"EXPECT", b"HOST", b"KEEP_ALIVE", b"TE", b"TRAILER", b"TRANSFER_ENCODING"}
    | {b"UPGRADE", b"PROXY"}
)


def fold(name: str) -> bytes:
    """Return a header name as the loosest reader would see it."""
    return names.fold(name.encode())


def is_framing(name: str) -> bool:
    """Return whether a header belongs to one connection, frames the message, or names the host."""
    return fold(name) in _FRAMING or fold(name).startswith(b"PROXY_")


def check_path(path: str) -> str:
    """Return `path` if it has one reading only: what a request is matched with after decoding once."""
    if not path.startswith("/"):
        raise ValueError("must begin with /")
    if not _VISIBLE.fullmatch(path):
        raise ValueError("must be visible ASCII without blanks")
    if path.rpartition("/")[2] in {"*", "**"}:
        raise ValueError("a path needs no *: it covers everything under it by whole segments: /a is /a/b too")
    for sign in "%;\\?#":
        if sign in path:
            raise ValueError(f"must not contain {sign}: write the path as it reads once decoded, without query")
    if "//" in path:
        raise ValueError("must not contain //")
    if {".", ".."} & set(path.split("/")):
        raise ValueError("must not contain . or .. as a segment")
    return path


def _is_token(value: str) -> bool:
    return len(value) <= _LONGEST_TOKEN and names.is_token(value.encode())


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name is 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first")
    return value


def check_host(value: str) -> str:
    """Return a host as it is compared: lower case, no scheme, no port."""
    if value != value.lower():
        raise ValueError(f"hosts are written in lower case: {value.lower()}")
    if _V6_HOST.fullmatch(value):
        return value
    if "://" in value or "/" in value:
        raise ValueError("a host has no scheme and no path, as in app.example.org")
    if ":" in value:
        raise ValueError("a host has no port: the listener has one")
    if "*" in value.removeprefix("*."):
        raise ValueError("a wildcard stands for the first labels only, as in *.example.org")
    if not _HOST.fullmatch(value):
        raise ValueError("must be a host such as app.example.org, or *.example.org for every host under it")
    return value


def _method(value: str) -> str:
    if value.upper() in {"CONNECT", "TRACE"}:
        raise ValueError(f"{value.upper()} is never forwarded")
    if not _is_token(value):
        raise ValueError("must be a method such as GET")
    if value != value.upper():
        raise ValueError(f"methods are case-sensitive: {value.upper()}")
    return value


def _header(value: str) -> str:
    if not _is_token(value):
        raise ValueError("a header's name is letters, digits and hyphens, as in X-Api-Key")
    return value


def _header_text(value: str) -> str:
    if not _FIELD_VALUE.fullmatch(value):
        raise ValueError("a header's value is visible ASCII on one line, without blanks around it; null removes it")
    return value


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError(
            f"a prefix is 1 to {MAX_PREFIX_LENGTH} letters, digits and hyphens (no underscore: it ends the prefix)"
        )
    return value


def _origin(value: str) -> str:
    if value == "*":
        return value
    scheme, separator, rest = value.partition("://")
    host, bracket, port = rest.rpartition(":") if not rest.endswith("]") and ":" in rest else (rest, "", "")
    if value == "null" or not separator or scheme not in {"https", "http"} or "/" in rest:
        raise ValueError("must be an origin as browsers send it, such as https://app.example.org, or *")
    if "*" in value:
        raise ValueError("a browser's origin is compared whole: no wildcard within it")
    check_host(host)
    if bracket and not re.fullmatch(r"[1-9][0-9]{0,4}", port):
        raise ValueError("the port of an origin is a number without zeros before it")
    if port == _DEFAULT_PORTS[scheme]:
        raise ValueError(f"browsers leave the default port away: {scheme}://{host}")
    return value


def _upgrade(value: str) -> str:
    name, slash, version = value.partition("/")
    if not _is_token(name) or (slash and not _is_token(version)):
        raise ValueError("a protocol is a token, with a version or without, such as websocket or proto/1.0")
    if name.lower() in _HTTP_WITHIN:
        raise ValueError(
            f"{name} would carry further requests through the tunnel, past every check of this proxy: it is never allowed"
        )
    return value.lower()


def check_server_name(value: str) -> str:
    """Return `value` if a certificate can be checked against it: one host, or an address."""
    if value.startswith("*"):
        raise ValueError("a certificate is checked against one name: no wildcard here")
    return value if re.fullmatch(r"[0-9a-f:]*:[0-9a-f:.]*", value) else check_host(value)


def check_pin(value: str) -> str:
    """Return `value` if it is the digest of a public key, written as such are."""
    found = _PIN.fullmatch(value)
    # The last of 43 digits has two bits to spare: with those set, no digest would ever be written so.
    if found is None or base64.b64encode(base64.b64decode(found[1])).decode() != found[1]:
        raise ValueError(
            "must be sha256/ and the base64 of a public key's SHA-256, 44 characters: openssl x509 -noout -pubkey | "
            "openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64"
        )
    return value


def _env_name(value: str) -> str:
    if not _ENV.fullmatch(value):
        raise ValueError("must be the name of an environment variable, such as SERVER_KEYS")
    return value


def _group(value: str) -> str:
    if not _GROUP.fullmatch(value):
        raise ValueError("a group is visible ASCII without blanks and commas")
    return value


def _alias(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be the name of a private key in the file, as `authproxy keys inspect` lists them")
    return value


def later(*values: str, now: str) -> BeforeValidator:
    """Refuse values that the next versions will know, saying which ones this version knows."""

    def check(value: object) -> object:
        if isinstance(value, str) and value in values:
            raise ValueError(f"{value} is not available in this version: {now} is")
        return value

    return BeforeValidator(check)


class Several:
    """Stands beside a tuple in `Annotated`: one value stands for a list of one, and an empty list lacks its `word`."""

    def __init__(self, word: str) -> None:
        self._word = word

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the tuple, behind what makes a list of one value."""
        return core_schema.no_info_before_validator_function(self._listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return what editors should know: one, or a list."""
        several = handler(schema)
        return {"anyOf": [several["items"], {**several, "minItems": 1}]}

    def _listed(self, value: object) -> object:
        if isinstance(value, list | tuple) and not value:
            raise ValueError(f"needs at least one {self._word}")
        return value if isinstance(value, list | tuple) else [value]


def at_least_one(word: str) -> AfterValidator:
    """Refuse an empty list as lacking `word`: what it would mean is anybody's guess."""

    def check(values: tuple[object, ...]) -> tuple[object, ...]:
        if not values:
            raise ValueError(f"needs at least one {word}; leave the key away for none")
        return values

    return AfterValidator(check)


def _kind(check: Callable[[str], str], *examples: str, pattern: str = "") -> tuple[AfterValidator, WithJsonSchema]:
    shape = {"pattern": f"^{pattern}$"} if pattern else {}
    return AfterValidator(check), WithJsonSchema({"type": "string", **shape, "examples": list(examples)})


Name = Annotated[str, *_kind(_name, "main", "api")]
Host = Annotated[str, *_kind(check_host, "app.example.org", "*.example.org")]
UrlPath = Annotated[str, *_kind(check_path, "/", "/admin")]
Method = Annotated[str, *_kind(_method, "GET", "POST")]
HeaderName = Annotated[str, *_kind(_header, "X-Api-Key")]
HeaderText = Annotated[str, *_kind(_header_text, "DENY")]
Origin = Annotated[str, *_kind(_origin, "https://app.example.org", "http://localhost:3000", "*")]
Upgrade = Annotated[str, *_kind(_upgrade, "websocket", "proto/1.0")]
ServerName = Annotated[str, *_kind(check_server_name, "legacy.internal")]
EnvName = Annotated[str, *_kind(_env_name, "SERVER_KEYS", pattern=_ENV.pattern)]
Prefix = Annotated[str, *_kind(_prefix, "svc", pattern=_PREFIX.pattern)]
Alias = Annotated[str, *_kind(_alias, "srv")]
Pin = Annotated[str, *_kind(check_pin, f"sha256/{'A' * 43}=", pattern=_PIN.pattern)]
Group = Annotated[str, *_kind(_group, "admins")]
