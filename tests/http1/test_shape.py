"""What a sequence of names means: where each field stands, what passes, and what may stand once only."""

import pytest

from authproxy.core import names
from authproxy.core.names import AnswerNames, RequestNames
from authproxy.http1.shape import AnswerShape, RequestShape, learn_answer, learn_request

REQUESTS = RequestNames(["X-Authproxy-User"])
ANSWERS = AnswerNames()
PLACES = {
    b"Authorization": "authorization", b"Cookie": "cookie", b"X-Request-Id": "request_id", b"Content-Length": "content_length",
    b"Transfer-Encoding": "transfer_encoding", b"Expect": "expect", b"Upgrade": "upgrade",
}  # fmt: skip


def request(*sequence: bytes) -> RequestShape:
    """The shape of a request with these names."""
    shape = learn_request(sequence, REQUESTS)
    assert isinstance(shape, RequestShape), shape
    return shape


def answer(*sequence: bytes) -> AnswerShape:
    """The shape of an answer with these names."""
    shape = learn_answer(sequence, ANSWERS)
    assert isinstance(shape, AnswerShape), shape
    return shape


def picked(shape: RequestShape | AnswerShape) -> list[int]:
    """The numbers of the lines that pass."""
    return [int(line) for line in shape.passed([b"%d" % number for number in range(shape.fields + 1)])]


# ---------------------------------------------------------------------- requests


@pytest.mark.parametrize("name", [*sorted(PLACES.keys() - {b"X-Request-Id"}), b"Host", b"Content-Type"])
def test_some_fields_stand_once(name):
    """Two of them are two readings, in whatever spelling; the refusal names the field."""
    others = () if name == b"Host" else (b"Host",)

    assert learn_request((*others, name, b"Accept", name.lower()), REQUESTS) == f"repeated {name.decode()}"
    assert learn_request((name, *others, name), REQUESTS) == f"repeated {name.decode()}"
    assert isinstance(learn_request((*others, name, b"Accept"), REQUESTS), RequestShape)


@pytest.mark.parametrize("name", [b"Accept", b"Connection", b"TE", b"X-Forwarded-For", b"Keep-Alive"])
def test_other_fields_may_be_repeated(name):
    """As often as the limits allow."""
    assert request(b"Host", name, name, name).fields == 4


def test_of_two_ids_none_is_found():
    """Whoever forwards a request with two would have to choose."""
    assert request(b"X-Request-Id", b"Host").request_id == 1
    shape = request(b"X-Request-Id", b"Host", b"x-request-id")
    assert (shape.request_id, shape.is_reported, picked(shape)) == (0, True, [])


@pytest.mark.parametrize("sequence", [(), (b"Accept",), (b"X-Host",)])
def test_a_request_has_a_host(sequence):
    """RFC 9112, 3.2."""
    assert learn_request(sequence, REQUESTS) == "Host is missing or malformed"


@pytest.mark.parametrize("bad", [b"", b"X ", b" X", b"X\xff", b"Ho(st"])
def test_names_are_tokens(bad):
    """Told before anything else that is wrong."""
    assert learn_request((b"Host", bad), REQUESTS) == "field name is empty or not a token"
    assert learn_request((bad,), REQUESTS) == "field name is empty or not a token"
    assert learn_answer((b"Server", bad), ANSWERS) == "field name is empty or not a token"


@pytest.mark.parametrize("name", PLACES)
def test_fields_are_where_they_stand(name):
    """By number of line; 0 for what is not there."""
    shape = request(b"Accept", name, b"Host")
    without = request(b"Host", b"Accept")

    assert shape.host == 3
    assert {place: getattr(shape, place) for place in PLACES.values()} == {
        place: 2 if place == PLACES[name] else 0 for place in PLACES.values()
    }
    assert without.host == 1
    assert not any(getattr(without, place) for place in PLACES.values())


def test_fields_that_may_be_repeated_are_all_found():
    """Connection, TE and what is said of the client, the latter with their names in lower case."""
    shape = request(b"Connection", b"Host", b"TE", b"X-Forwarded-For", b"connection", b"te", b"Forwarded")

    assert (shape.connection, shape.te) == ((1, 5), (3, 6))
    assert shape.forwarded == ((b"x-forwarded-for", 4), (b"forwarded", 7))
    plain = request(b"Host")
    assert (plain.connection, plain.te, plain.forwarded) == ((), (), ())


@pytest.mark.parametrize(
    ("sequence", "passed"),
    [
        ((b"Host",), []), ((b"Accept", b"Host"), [1]), ((b"Host", b"Content-Type"), [2]), ((b"Host", b"Accept", b"X-A"), [2, 3]),
        ((b"Content-Type", b"Host", b"Accept", b"X-Authproxy-User", b"Remote-User", b"Keep-Alive", b"X-A"), [1, 3, 7]),
        ((b"Host", b"Cookie", b"Authorization", b"TE", b"Connection", b"Content-Length", b"Expect", b"Upgrade"), []),
    ],
)  # fmt: skip
def test_lines_that_pass_keep_their_order(sequence, passed):
    """None, one or several of them."""
    assert picked(request(*sequence)) == passed


@pytest.mark.parametrize(
    ("name", "is_plain", "is_reported"),
    [
        (b"Accept", True, False), (b"Remote-User", True, False), (b"Authorization", True, False), (b"Content-Type", True, False),
        (b"X-Request-Id", True, True), (b"X-Forwarded-For", True, True), (b"Cookie", False, False), (b"Content-Length", False, False),
        (b"Transfer-Encoding", False, False), (b"Expect", False, False), (b"Upgrade", False, False), (b"Connection", False, False),
        (b"TE", False, False),
    ],
)  # fmt: skip
def test_plain_requests_need_no_second_look(name, is_plain, is_reported):
    """There is nothing to read in them but what every request has, and what is read for trusted peers only."""
    shape = request(b"Host", name)

    assert (shape.is_plain, shape.is_reported) == (is_plain, is_reported)
    assert request(b"Host").is_plain
    assert not request(b"Host").is_reported
    assert request(
        b"Host", b"Authorization", b"Content-Type", b"X-Request-Id", b"X-Forwarded-For", b"Keep-Alive", b"Accept"
    ).is_plain


def test_a_shape_knows_its_names():
    """How many, how they are spelt, what they mean, and what lines with them begin with."""
    shape = request(b"host", b"Accept")

    assert (shape.fields, shape.names, shape.kinds) == (2, (b"host", b"Accept"), (names.HOST, names.PASS))
    assert shape.prefixes == (b"", b"host:", b"Accept:")


# ---------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("sequence", "problem"),
    [
        ((b"Content-Length", b"content-length"), "repeated Content-Length"),
        ((b"Transfer-Encoding", b"A", b"transfer-encoding"), "repeated Transfer-Encoding"),
        ((b"Content-Length", b"Transfer-Encoding"), "both Content-Length and Transfer-Encoding"),
    ],
)
def test_an_answer_has_one_framing(sequence, problem):
    """Else 502."""
    assert learn_answer(sequence, ANSWERS) == problem


@pytest.mark.parametrize(
    ("sequence", "passed"),
    [
        ((), []), ((b"Server",), [1]), ((b"Content-Length", b"Server"), [1, 2]),
        ((b"Date", b"Strict-Transport-Security", b"Set-Cookie", b"Keep-Alive", b"Content-Length"), [1, 2, 5]),
        ((b"Connection", b"Transfer-Encoding", b"Upgrade", b"X-Authproxy-Response"), []),
    ],
)  # fmt: skip
def test_lines_of_an_answer_that_pass_keep_their_order(sequence, passed):
    """Content-Length among them; cookies are looked at one by one."""
    assert picked(answer(*sequence)) == passed


def test_fields_of_an_answer_are_where_they_stand():
    """0 or none for what is not there; of several Upgrade fields the last one counts."""
    shape = answer(
        b"Server", b"Content-Length", b"Set-Cookie", b"Connection", b"set-cookie", b"Upgrade", b"connection", b"upgrade"
    )
    assert (shape.fields, shape.content_length, shape.transfer_encoding, shape.upgrade) == (8, 2, 0, 8)
    assert (shape.cookies, shape.connection, shape.hsts) == ((3, 5), (4, 7), False)

    chunks = answer(b"Strict-Transport-Security", b"Transfer-Encoding")
    assert (chunks.transfer_encoding, chunks.content_length, chunks.upgrade) == (2, 0, 0)
    assert (chunks.cookies, chunks.connection, chunks.hsts) == ((), (), True)


@pytest.mark.parametrize(
    ("name", "is_plain"),
    [
        (b"Server", True), (b"Keep-Alive", True), (b"Content-Length", True), (b"Transfer-Encoding", False), (b"Connection", False),
        (b"Upgrade", False), (b"Set-Cookie", False), (b"Strict-Transport-Security", False),
    ],
)  # fmt: skip
def test_plain_answers_need_no_second_look(name, is_plain):
    """There is nothing but lines that pass or go and the length."""
    assert answer(b"Date", name).is_plain is is_plain
    assert answer().is_plain


def test_an_answers_shape_knows_its_names():
    """As a request's does."""
    shape = answer(b"Server", b"date")

    assert (shape.names, shape.kinds, shape.prefixes) == (
        (b"Server", b"date"), (names.PASS, names.PASS), (b"", b"Server:", b"date:"),
    )  # fmt: skip
