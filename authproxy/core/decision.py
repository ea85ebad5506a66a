"""May this request pass? Two pure halves with the shell's one await between them.

`ask` says what must be fetched, the shell fetches it, `judge` decides. Refusals are values with a `Reason`, which
goes to the log and the metrics; from outside every refusal looks the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, unique
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple, TypeAlias

from authproxy.core.bearer import token_of
from authproxy.core.match import Match, match
from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.session import SessionReason
from authproxy.core.token import Token, assemble, parse

Network: TypeAlias = IPv4Network | IPv6Network


@unique
class Reason(Enum):
    """Why a request was refused. The values stand in logs and metrics and are stable."""

    NO_CREDENTIAL = "no-credential"
    MALFORMED_TOKEN = "malformed-token"
    WRONG_PREFIX = "wrong-prefix"
    UNKNOWN_USER = "unknown-user"
    TOKEN_MISMATCH = "token-mismatch"
    TOKEN_ROTATED = "token-rotated"
    TOKEN_EXPIRED = "token-expired"
    USER_DISABLED = "user-disabled"
    ROW_REJECTED = "row-rejected"
    NOT_ALLOWED = "not-allowed"
    NETWORK_NOT_ALLOWED = "network-not-allowed"
    NO_CERTIFICATE = "no-certificate"
    CERTIFICATE_UNTRUSTED = "certificate-untrusted"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_UNNAMED = "certificate-unnamed"
    CERTIFICATE_AMBIGUOUS = "certificate-ambiguous"
    CERTIFICATE_NAME_REFUSED = "certificate-name-refused"
    UNKNOWN_CERTIFICATE = "unknown-certificate"
    USER_MISMATCH = "user-mismatch"
    CROSS_ORIGIN = "cross-origin"

    # An enum hashes through Python code; members are singletons, so the object's own hash serves, at a tenth.
    __hash__ = object.__hash__


class Deny(NamedTuple):
    """The request does not pass."""

    reason: Reason | SessionReason
    presented: bool
    """Whether a credential was presented at all (RFC 6750, 3: only then is it called invalid)."""
    user_id: UserId | None = None
    """Whom the credential claimed to be, when it could be read; not proven."""
    detail: str = ""
    """What more there is to say, for the log only."""


class Allow(NamedTuple):
    """The request passes: who is calling, proven."""

    record: TokenRecord
    zone: str
    method: str
    """`token`, `session` or `certificate`."""
    version: int | None
    """The rotation version of the token that was shown, now or at sign-in; in grace one below the record's. None: none was."""
    matched: Match | None
    """Which credential of the record the token met; None: none was shown."""
    pepper: str
    """The id of the pepper that matched; empty: none was asked."""
    answer_lines: tuple[bytes, ...] = ()
    """Lines that the answer to the client must carry, such as a refreshed cookie."""

    @property
    def credential(self) -> tuple[str, UserId, int | None]:
        """The key by which open streams of this credential are found when it is revoked or expires."""
        return self.zone, self.record.user_id, self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What a zone demands of a token."""

    zone: str
    prefix: bytes
    """Lower case."""
    peppers: tuple[Pepper, ...]
    """Newest first; at least one where tokens count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowRules:
    """Whom a route admits, of those who proved who they are. Empty lists admit everybody."""

    users: frozenset[UserId] = frozenset()
    groups: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()


_new: Final = tuple.__new__
_NOTHING_SHOWN: Final = Deny(Reason.NO_CREDENTIAL, presented=False)
_MALFORMED: Final = Deny(Reason.MALFORMED_TOKEN, presented=True)
_WRONG_PREFIX: Final = Deny(Reason.WRONG_PREFIX, presented=True)


def ask(
    rules: TokenRules, authorization: bytes | None, parts: tuple[bytes, bytes, bytes] | None = None
) -> Token | Deny:
    """Return the token whose user the catalog must be asked for, or the refusal that needs no question.

    `authorization` is the field's value without surrounding blanks; `parts` are the groups of `token.SHAPE` in it,
    where they are known. A foreign prefix is refused before any look-up.
    """
    if parts is not None:
        token = assemble(*parts)
    else:
        text = None if authorization is None else token_of(authorization)
        if text is None:
            return _NOTHING_SHOWN
        token = parse(text)
    if token is None:
        return _MALFORMED
    if token[0] != rules.prefix:
        return _WRONG_PREFIX
    return token


def judge(rules: TokenRules, token: Token, record: TokenRecord | None, now: datetime) -> Allow | Deny:
    """Return the verdict on `token`, given what the catalog knows and the wall clock.

    An unknown user costs the same HMAC as a known one, so that timing does not tell who exists.
    """
    matched = match(rules.peppers, token, record, now)
    if matched is None or record is None:
        return Deny(_why(token, record, now), presented=True, user_id=token.user_id)
    # A named tuple's own constructor is Python code; this is the same without it.
    return _new(Allow, (record, rules.zone, "token", token[1], matched[0], matched[1].id, ()))


def judge_certified(zone: str, user_id: UserId, record: TokenRecord | None) -> Allow | Deny:
    """Return the verdict on a user whom a certificate names that the handshake and the zone have verified.

    The record's hashes and ends are those of a token and count for nothing here; that the user is known and not
    disabled counts. Never `presented`: no other certificate can be tried on this connection, so nothing is guessed.
    """
    if record is None:
        return Deny(Reason.UNKNOWN_USER, presented=False, user_id=user_id)
    if record.disabled:
        reason = Reason.ROW_REJECTED if record.rejected else Reason.USER_DISABLED
        return Deny(reason, presented=False, user_id=user_id)
    return Allow(record, zone, "certificate", None, None, "")


def _why(token: Token, record: TokenRecord | None, now: datetime) -> Reason:
    """Name the likeliest cause, for the log only; the order tells nothing to the outside."""
    if record is None:
        return Reason.UNKNOWN_USER
    if record.disabled:
        return Reason.ROW_REJECTED if record.rejected else Reason.USER_DISABLED
    if record.expires_at is not None and now >= record.expires_at:
        return Reason.TOKEN_EXPIRED
    if token.rotation_version != record.rotation_version:
        return Reason.TOKEN_ROTATED
    return Reason.TOKEN_MISMATCH


def admit(rules: AllowRules, record: TokenRecord, address: str) -> Reason | None:
    """Return None when the route admits this user from this address, else why not.

    Any user or group listed, from any network listed; `address` is the client's, behind trusted proxies.
    """
    if rules.users or rules.groups:  # noqa: SIM102  # two questions, in this order
        if record.user_id not in rules.users and rules.groups.isdisjoint(record.groups):
            return Reason.NOT_ALLOWED
    if rules.networks and not is_within(address, rules.networks):
        return Reason.NETWORK_NOT_ALLOWED
    return None


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Tell whether an address lies in one of the networks; what is no address lies in none."""
    parsed = read_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address, an IPv4 one for IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), or None for what is none."""
    if "%" in text:
        # A zone index names an interface of somebody else's machine, and may hold any character.
        return None
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
