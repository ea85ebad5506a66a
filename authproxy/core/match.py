"""Does this token meet this record, now?"""

from datetime import datetime
from enum import Enum
from hmac import compare_digest
from typing import Final

from authproxy.core.pepper import Pepper
from authproxy.core.record import TokenRecord, UserId
from authproxy.core.token import Token


class Match(Enum):
    """Which credential of the record a token met."""

    PRIMARY = "primary"
    """The current one."""
    GRACE = "grace"
    """The previous one, within its grace."""


# Bound once: reaching a member through its class costs a call on Python 3.11.
_PRIMARY: Final = Match.PRIMARY
_GRACE: Final = Match.GRACE

# Stands in for a user whom the catalog does not know, so that the answer takes as long as for one whom it knows.
_NOBODY: Final = TokenRecord(user_id=UserId(bytes(16)), rotation_version=0, hash=bytes(64), disabled=True)


def match(
    peppers: tuple[Pepper, ...], token: Token, record: TokenRecord | None, now: datetime
) -> tuple[Match, Pepper] | None:
    """Return what `token` meets at `now` and under which pepper, or None.

    Compares 64-byte digests in constant time before it looks at version, expiry or `disabled`, once for each pepper
    in turn; an unknown user (`record` None) costs what a wrong token of a known one costs.
    Ends are exclusive: a credential is dead at the very instant of its end. Grace never outlives the current
    credential (unlike turvata, which accepts the previous token even when the current one has expired).
    Whether the token's prefix and the record's zone are the zone's is not checked here.

    Source: turvata 0.4, core.clj, verify-key.
    """
    known = _NOBODY if record is None else record
    _, version, user_id, secret = token
    behind = known.rotation_version - version
    expected = known.hash
    if behind == 1 and known.previous_hash is not None:
        expected = known.previous_hash
    for pepper in peppers:
        if compare_digest(pepper.digest(user_id, version, secret), expected):
            break
    else:
        return None
    if known.disabled or (known.expires_at is not None and now >= known.expires_at):
        return None
    if behind == 0:
        return _PRIMARY, pepper
    # A current hash computed under the previous version is no grace: only `previous_hash` is.
    if behind == 1 and known.previous_hash is not None and _is_before(now, known.grace_expires_at):
        return _GRACE, pepper
    return None


def _is_before(now: datetime, end: datetime | None) -> bool:
    return end is not None and now < end


def still_holds(shown: TokenRecord, version: int, record: TokenRecord | None, now: datetime) -> bool:
    """Tell whether a credential that met `shown` when a stream was opened would be accepted now.

    `version` is the credential's; `record` what the catalog knows now. The token itself is no longer at hand: a hash
    that is the same stands for it.
    """
    if record is None or record.disabled or (record.expires_at is not None and now >= record.expires_at):
        return False
    digest = shown.hash if version == shown.rotation_version else shown.previous_hash
    if version == record.rotation_version:
        return digest == record.hash
    return version == record.rotation_version - 1 and digest == record.previous_hash and _is_before(
        now, record.grace_expires_at
    )  # fmt: skip
