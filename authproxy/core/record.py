"""What a catalog knows about one user: hashes and dates, never a verdict."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType

UserId = NewType("UserId", bytes)
"""A user id: the 16 bytes of a UUID in network order (`uuid.UUID.bytes`)."""


def user_id_text(user_id: UserId) -> str:
    """Return the canonical 8-4-4-4-12 form, lower case."""
    digits = user_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """One row of a catalog, already checked: whoever makes one answers for the sizes below.

    Times are aware datetimes; an end is exclusive (at that very instant the credential is dead).
    Source: turvata 0.4, catalog.clj; what is stricter here is said at the fields.
    """

    user_id: UserId
    """16 bytes."""
    rotation_version: int
    """0 to 65535: the version of the current credential."""
    hash: bytes
    """64 bytes: HMAC-SHA512 of the current credential."""
    expires_at: datetime | None = None
    """End of the current credential; None: it never ends."""
    previous_hash: bytes | None = None
    """64 bytes, computed with `rotation_version - 1`; None: there is no previous credential."""
    grace_expires_at: datetime | None = None
    """End of the previous credential; None: no grace at all."""
    disabled: bool = False
    """A disabled user is refused whatever the credential."""
    rejected: bool = False
    """The user's row cannot be used; `disabled` is set too."""
    name: str = ""
    """For people; may be empty. No control characters, at most 256 characters."""
    groups: tuple[str, ...] = ()
    """Sorted, without duplicates; visible ASCII without a comma."""
    zone: str | None = None
    """The only zone in which this row counts; None: every zone that asks this catalog."""
    user_id_header: bytes = field(init=False, repr=False, compare=False)
    """The user id as it stands in an identity header, made once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "user_id_header", user_id_text(self.user_id).encode())
