"""What may stand under kind `redis`, and what the messages say of what may not."""

import sys

import pytest
from pydantic import ValidationError

from authproxy.core.place import Place
from authproxy.errors import ConfigError
from authproxy.sessions.redis import kind
from authproxy.sessions.redis_options import RedisOptions, RedisUrl, parse_redis_url
from tests.sessions.supplies import NOTHING


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("redis://127.0.0.1", RedisUrl(tls=False, place=Place(host="127.0.0.1", port=6379), username=None, database=0)),
        ("rediss://Db.Internal:7000/3", RedisUrl(tls=True, place=Place(host="db.internal", port=7000), username=None, database=3)),
        ("rediss://me%40x@[::1]:7000/", RedisUrl(tls=True, place=Place(host="::1", port=7000), username="me@x", database=0)),
        ("unix:/run/redis.sock", RedisUrl(tls=False, place=Place(unix="/run/redis.sock"), username=None, database=0)),
    ],
)  # fmt: skip
def test_where_a_redis_is(text, url):
    """TLS or not, host and port, user, database, or a socket; what was read reads as the same."""
    assert parse_redis_url(text) == url
    if "%" not in text:
        assert parse_redis_url(str(url)) == url


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("redis.internal:6379", "must begin with rediss://"),
        ("http://redis.internal", "must begin with rediss://"),
        ("rediss://", "must be rediss://host:port"),
        ("rediss://redis.internal:0", "must be rediss://host:port"),
        ("rediss://redis.internal:70000", "must be rediss://host:port"),
        ("rediss://red is", "must be rediss://host:port"),
        ("rediss://[::1", "must be rediss://host:port"),
        ("rediss://redis.internal/one", "ends after the number of the database"),
        ("rediss://redis.internal/0/1", "ends after the number of the database"),
        ("rediss://redis.internal?ssl_cert_reqs=none", "ends after the number of the database"),
        ("rediss://redis.internal/0#x", "ends after the number of the database"),
        ("unix:redis.sock", "the path of a unix socket is absolute"),
        ("unix:///run/redis.sock", "the path of a unix socket is absolute"),
        (7, "must be a URL"),
    ],
)
def test_what_is_no_url_is_told(text, problem):
    """With what it should be."""
    with pytest.raises(ValueError, match=problem):
        parse_redis_url(text)


@pytest.mark.parametrize("url", ["redis://:hunter2@127.0.0.1", "rediss://me:hunter2@redis.internal:x", "hunter2"])
def test_a_password_in_the_url_is_refused_and_not_repeated(url):
    """It belongs into a file."""
    with pytest.raises(ValidationError) as refusal:
        RedisOptions.model_validate({"kind": "redis", "url": url})

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"url": "redis://redis.internal"}, "readable and forgeable on the way: use rediss://"),
        ({"url": "redis://127.0.0.1", "trust": "internal"}, "trust has no effect without TLS"),
        ({"url": "redis://127.0.0.1", "keystore": "main"}, "keystore has no effect without TLS"),
        ({"url": "unix:/x", "server_name": "x"}, "server_name has no effect without TLS"),
        ({"url": "rediss://me@x", "username": "me"}, "the user stands in the URL too"),
        ({"url": "rediss://x/1", "database": 1}, "the database stands in the URL too"),
        ({"url": "rediss://x", "database": -1}, "must be between 0 and"),
        ({"url": "rediss://x", "connections": 0}, "must be between 1 and 256"),
        ({"url": "rediss://x", "connections": 257}, "must be between 1 and 256"),
        ({"url": "rediss://x", "timeout": "9ms"}, "must be between 10ms and 2s"),
        ({"url": "rediss://x", "timeout": "2001ms"}, "must be between 10ms and 2s"),
        ({"url": "rediss://x", "prefix": "a b"}, "is made of letters, digits"),
        ({"url": "rediss://x", "prefix": ""}, "is made of letters, digits"),
    ],
)
def test_what_makes_no_sense_is_told(more, problem):
    """Both sides of every bound are below."""
    with pytest.raises(ValidationError, match=problem):
        RedisOptions.model_validate({"kind": "redis", **more})


def test_system_is_what_trust_is_without_a_word():
    """The system's own authorities."""
    told = {"kind": "redis", "url": "rediss://x"}

    assert RedisOptions.model_validate({**told, "trust": "system"}) == RedisOptions.model_validate(told)


@pytest.mark.parametrize(
    "more",
    [
        {"url": "redis://redis.internal", "unsafe_remote_plaintext": True},
        {"url": "redis://[::1]:7000/2"},
        {"url": "redis://localhost", "database": 99_999},
        {"url": "rediss://x", "connections": 1, "timeout": "10ms", "prefix": "{a}:"},
        {"url": "rediss://x", "connections": 256, "timeout": "2s", "trust": "t", "keystore": "k", "server_name": "n"},
    ],
)
def test_what_makes_sense_is_taken(more):
    """And its deadline is a little longer than the store's own, which says why."""
    options = RedisOptions.model_validate({"kind": "redis", **more})

    assert kind.deadline(options) > options.timeout


def test_user_and_database_stand_in_either_place():
    """In the URL or beside it."""
    one = RedisOptions.model_validate({"kind": "redis", "url": "rediss://me@x/3"})
    other = RedisOptions.model_validate({"kind": "redis", "url": "rediss://x", "username": "me", "database": 3})
    none = RedisOptions.model_validate({"kind": "redis", "url": "rediss://x"})

    assert (one.user, one.number) == (other.user, other.number) == ("me", 3)
    assert (none.user, none.number) == (None, 0)


def test_without_the_package_the_operator_is_told_what_to_install(monkeypatch):
    """And not by a traceback."""
    monkeypatch.delitem(sys.modules, "authproxy.sessions.redis_client", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "redis.asyncio.connection", None)

    with pytest.raises(ConfigError, match=r"pip install 'tls-authproxy\[redis\]'"):
        kind.open(RedisOptions.model_validate({"kind": "redis", "url": "unix:/x"}), NOTHING)
