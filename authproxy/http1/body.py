"""Reads a body whose length was announced."""


class LengthReader:
    """Takes the bytes of a body of a known length as they arrive; same shape as `ChunkedReader`."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def done(self) -> bool:
        """Whether the body has ended."""
        return not self._left

    @property
    def left(self) -> int:
        """Bytes still to come."""
        return self._left

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the payload in `data`, and the bytes behind the end of the body."""
        if len(data) <= self._left:
            self._left -= len(data)
            return data, b""
        payload, rest = data[: self._left], data[self._left :]
        self._left = 0
        return payload, rest
