"""As much of nREPL as a conversation needs: bencode, and a server that knows `clone`, `eval` and `close`."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.patience import PATIENCE

Value = int | bytes | list["Value"] | dict[str, "Value"]


def encode(value: Value | str) -> bytes:
    """Return a value in bencode; dictionaries in the order of their keys."""
    match value:
        case int():
            return b"i%de" % value
        case str():
            return encode(value.encode())
        case bytes():
            return b"%d:%b" % (len(value), value)
        case list():
            return b"l" + b"".join(map(encode, value)) + b"e"
        case dict():
            return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


class Messages:
    """Reads messages from a socket."""

    def __init__(self, wire: socket.socket) -> None:
        self._file = wire.makefile("rb")

    def __iter__(self) -> Iterator[dict[str, Value]]:
        while first := self._file.read(1):
            value = self._value(first)
            assert isinstance(value, dict)
            yield value

    def _value(self, first: bytes) -> Value:
        if first == b"i":
            return int(self._until(b"e"))
        if first == b"l":
            return list(self._rest())
        if first == b"d":
            parts = list(self._rest())
            names = [part.decode() for part in parts[::2] if isinstance(part, bytes)]
            return dict(zip(names, parts[1::2], strict=True))
        size = int(first + self._until(b":"))
        data = self._file.read(size)
        assert len(data) == size, "cut short"
        return data

    def _rest(self) -> Iterator[Value]:
        while (first := self._file.read(1)) != b"e":
            yield self._value(first)

    def _until(self, end: bytes) -> bytes:
        data = b""
        while (byte := self._file.read(1)) != end:
            assert byte, "cut short"
            data += byte
        return data


class Repl:
    """A server: what it evaluates is a number (of bytes to answer with), or text to give back."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listening.accept()
            except TimeoutError:
                # Nobody yet: a proxy that is started behind this one's back may take its time.
                continue
            except OSError:
                return
            threading.Thread(target=self._converse, args=(wire,), daemon=True).start()

    def _converse(self, wire: socket.socket) -> None:
        wire.settimeout(PATIENCE)
        # A client that is killed is no fault of the server's.
        with wire, contextlib.suppress(OSError):
            for asked in Messages(wire):
                for answer in self._answers(asked):
                    wire.sendall(encode(answer | {"id": asked["id"]}))

    @staticmethod
    def _answers(asked: dict[str, Value]) -> Iterator[dict[str, Value]]:
        match asked["op"]:
            case b"clone":
                yield {"new-session": b"7", "status": [b"done"]}
            case b"eval":
                code = asked["code"]
                assert isinstance(code, bytes)
                yield {"value": b"x" * int(code) if code.isdigit() else code, "ns": b"user"}
                yield {"status": [b"done"]}
            case _:
                yield {"status": [b"done", b"unknown-op"]}


def ask(wire: socket.socket, messages: Iterator[dict[str, Value]], **asked: str) -> list[dict[str, Value]]:
    """Return the answers to one message, up to the one that says `done`."""
    wire.sendall(encode({name: value.encode() for name, value in asked.items()}))
    answers = []
    for answer in messages:
        answers.append(answer)
        status = answer.get("status")
        if isinstance(status, list) and b"done" in status:
            break
    return answers
