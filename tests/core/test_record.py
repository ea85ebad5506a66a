"""What a catalog knows about one user."""

from dataclasses import FrozenInstanceError
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.core.record import TokenRecord, UserId, user_id_text


@given(st.uuids(version=4) | st.binary(min_size=16, max_size=16).map(lambda raw: UUID(bytes=raw)))
def test_user_id_is_written_as_a_uuid(user_id):
    """Any 16 bytes have the canonical text of RFC 9562, and the record holds it ready for a header."""
    made = TokenRecord(user_id=UserId(user_id.bytes), rotation_version=0, hash=bytes(64))

    assert user_id_text(made.user_id) == str(user_id)
    assert made.user_id_header == str(user_id).encode()


def test_a_record_does_not_change():
    """What was handed out stays what it was."""
    made = TokenRecord(user_id=UserId(bytes(16)), rotation_version=0, hash=bytes(64))

    with pytest.raises(FrozenInstanceError):
        made.disabled = True  # type: ignore[misc]


def test_records_with_the_same_values_are_equal():
    """So that a reload can tell whose row has changed."""
    one, other = (TokenRecord(user_id=UserId(bytes(16)), rotation_version=1, hash=bytes(64)) for _ in range(2))

    assert one == other
    assert hash(one) == hash(other)
