"""A damaged, hostile or huge store is refused in one sentence: it never crashes, hangs or prompts."""

import base64
import contextlib
import hashlib
import re
import time
from collections.abc import Iterable

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authproxy.core.secret import Secret
from authproxy.errors import MaterialError
from authproxy.keystore import Opening, load_file, load_text
from authproxy.keystore.asn1 import INTEGER, OCTETS, OID, SEQUENCE, Malformed, elements, encode, only
from authproxy.keystore.cost import MAX_ROUNDS, rounds_of_key
from authproxy.keystore.jks import read_jks
from authproxy.keystore.pkcs12 import read_pkcs12
from authproxy.keystore.store import Store, choose

WORD = b"changeit"
PASSWORD = Secret(WORD)
LOCK = WORD.decode().encode("utf-16-be")
PBKDF2 = bytes.fromhex("2a864886f70d01050c")
PBES2 = bytes.fromhex("2a864886f70d01050d")
SCRYPT = bytes.fromhex("2b06010401da47040b")

pytestmark = pytest.mark.timeout(120)


def u2(text: bytes) -> bytes:
    return len(text).to_bytes(2) + text


def u4(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def sealed(plain: bytes, salt: bytes = bytes(20)) -> bytes:
    stream, block = b"", salt
    while len(stream) < len(plain):
        block = hashlib.sha1(LOCK + block).digest()
        stream += block
    body = salt + bytes(a ^ b for a, b in zip(plain, stream, strict=False)) + hashlib.sha1(LOCK + plain).digest()
    kind = encode(SEQUENCE, encode(OID, bytes.fromhex("2b060104012a02110101")) + b"\x05\x00")
    return encode(SEQUENCE, kind + encode(OCTETS, body))


def key_entry(person, alias: bytes = b"srv") -> bytes:
    plain = person.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    certificate = u2(b"X.509") + u4(person.certificate.public_bytes(Encoding.DER))
    return b"\0\0\0\1" + u2(alias) + bytes(8) + u4(sealed(plain)) + b"\0\0\0\1" + certificate


def trusted_entry(person, alias: bytes = b"ca", kind: bytes = b"X.509") -> bytes:
    return b"\0\0\0\2" + u2(alias) + bytes(8) + u2(kind) + u4(person.certificate.public_bytes(Encoding.DER))


def signed(content: bytes) -> bytes:
    """As the owner of the password would write it."""
    return content + hashlib.sha1(LOCK + b"Mighty Aphrodite" + content).digest()


def jks(entries: Iterable[bytes], *, count: int | None = None, version: int = 2) -> bytes:
    listed = list(entries)
    head = b"\xfe\xed\xfe\xed" + version.to_bytes(4) + (len(listed) if count is None else count).to_bytes(4)
    return signed(head + b"".join(listed))


def opened(data: bytes) -> Store:
    """Read everything that there is to read."""
    store = read_jks(data, "s.jks", PASSWORD, None)
    for key in store.keys:
        key.unlock()
    for trusted in store.trusted:
        trusted.load()
    return store


@pytest.fixture(scope="session")
def small_jks(server, root) -> bytes:
    return jks([key_entry(server), trusted_entry(root)])


@pytest.fixture(scope="session")
def small_p12(server, root) -> bytes:
    secrecy = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1).build(WORD)
    return pkcs12.serialize_key_and_certificates(b"srv", server.key, server.certificate, [root.certificate], secrecy)


def test_our_own_jks_is_read(small_jks, server, root):
    """What the other tests break is whole."""
    store = opened(small_jks)

    own = choose(store, "srv").unlock()
    assert own.certificates == (server.certificate,)
    assert own.key.public_key() == server.key.public_key()
    assert [entry.load() for entry in store.trusted] == [root.certificate]


def test_first_version_is_read(root):
    """Which does not say of what kind its certificates are."""
    entry = trusted_entry(root).replace(u2(b"X.509"), b"", 1)

    assert opened(jks([entry], version=1)).trusted[0].load() == root.certificate


def test_truncated_jks_is_refused_at_every_byte(small_jks):
    """By its digest."""
    for end in range(4, len(small_jks)):
        with pytest.raises(MaterialError, match="wrong password or damaged file"):
            opened(small_jks[:end])


def test_truncated_content_is_refused_at_every_byte(small_jks):
    """Also where the digest was made to fit: no length is believed that reaches over the end."""
    for end in range(len(small_jks) - 20):
        with pytest.raises(MaterialError, match=r"is damaged JKS: it (ends at byte \d+|does not begin)"):
            opened(signed(small_jks[:end]))


def test_flipped_byte_of_a_jks_is_refused(small_jks):
    """Every single one."""
    for at in range(len(small_jks)):
        flipped = bytearray(small_jks)
        flipped[at] ^= 0x40
        with pytest.raises(MaterialError, match="wrong password or damaged file"):
            opened(bytes(flipped))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_hostile_jks_is_read_or_refused(small_jks, data):
    """Whatever the owner of the password writes, there is an outcome, and it comes soon."""
    content = bytearray(small_jks[:-20])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
    with contextlib.suppress(MaterialError):
        opened(signed(bytes(content)))


@given(st.binary(max_size=200))
def test_random_bytes_are_no_store(data):
    """Neither of the two."""
    with pytest.raises(MaterialError):
        opened(signed(b"\xfe\xed\xfe\xed" + data) + b"x")
    with pytest.raises(MaterialError):
        read_pkcs12(b"\x30\x80\x02\x01\x03" + data, "s.p12", PASSWORD)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda s, r: jks([], count=0xFFFFFFFF), "ends at byte 12"),
        (lambda s, r: jks([trusted_entry(r)], count=0), "something follows the last entry"),
        (lambda s, r: jks([trusted_entry(r)], version=3), "unknown version 3"),
        (lambda s, r: jks([b"\0\0\0\3" + u2(b"x") + bytes(8)]), r"unknown kind 3 .secret keys need JCEKS"),
        (lambda s, r: jks([b"\0\0\0\1" + u2(b"x") + bytes(8) + b"\xff\xff\xff\xff"]), "ends at byte"),
        (lambda s, r: jks([b"\0\0\0\1" + u2(b"x") + bytes(8) + u4(b"") + b"\xff\xff\xff\xff"]), "ends at byte"),
        (lambda s, r: jks([trusted_entry(r, kind=b"PGP\n")]), r"certificate of the unknown kind PGP\\n"),
    ],
)
def test_impossible_jks_is_refused(content, problem, server, root):
    """Counts and lengths beyond the end, kinds that do not exist: refused at once."""
    with pytest.raises(MaterialError, match=problem):
        opened(content(server, root))


@pytest.mark.parametrize(
    ("locked", "problem"),
    [
        (b"", "is damaged: it is cut off"),
        (b"\x30\x00", "it is no encrypted key"),
        (encode(SEQUENCE, encode(SEQUENCE, encode(OID, PBES2)) + encode(OCTETS, bytes(60))), "a way that JKS does not know"),
        (sealed(b"")[:-1], "cut off"),
        (sealed(b""), "cannot be read: is damaged"),
        (sealed(b"\x30\x00"), "cannot be read: is damaged"),
        (encode(SEQUENCE, sealed(b"")[2:18] + encode(OCTETS, bytes(39))), "it is too short"),
    ],
)  # fmt: skip
def test_impossible_key_is_refused(locked, problem):
    """Only once it is meant; the others of the file are not looked at."""
    store = read_jks(jks([b"\0\0\0\1" + u2(b"x") + bytes(8) + u4(locked) + bytes(4)]), "s.jks", PASSWORD, None)

    with pytest.raises(MaterialError, match=f"the private key of x .*{problem}"):
        store.keys[0].unlock()


def test_entry_that_is_not_meant_may_be_odd(server):
    """A certificate of a kind that nobody can read stands in nobody's way."""
    odd = b"\0\0\0\2" + u2(b"odd") + bytes(8) + u2(b"X.509") + u4(b"\x30\x00")

    store = read_jks(jks([odd, key_entry(server)]), "s.jks", PASSWORD, None)

    assert choose(store, None).unlock().certificates == (server.certificate,)
    with pytest.raises(MaterialError, match="a certificate of odd is no certificate that can be read"):
        store.trusted[0].load()


def test_names_in_messages_are_tame(server):
    """An alias can hold anything; a log line stays one line."""
    data = jks([key_entry(server, b"a\nb\x1b[31m"), key_entry(server, b"x" * 5000), *[key_entry(server)] * 30])

    with pytest.raises(
        MaterialError, match=r"say which by `alias`: a\\nb\\x1b\[31m, x{120}, (srv, ){9}srv and 20 more$"
    ):
        choose(read_jks(data, "s.jks", PASSWORD, None), None)


def test_two_keys_of_one_name_are_refused(server):
    """Nobody can say which is meant."""
    store = read_jks(jks([key_entry(server), key_entry(server)]), "s.jks", PASSWORD, None)

    with pytest.raises(MaterialError, match="holds 2 private keys with the alias srv"):
        choose(store, "srv")


def test_large_key_takes_no_time():
    """The work is bounded by the file, which is at most a megabyte."""
    entry = b"\0\0\0\1" + u2(b"x") + bytes(8) + u4(sealed(bytes(1 << 20))) + bytes(4)
    store = read_jks(jks([entry]), "s.jks", PASSWORD, None)
    begin = time.process_time()

    with pytest.raises(MaterialError, match="is damaged"):
        store.keys[0].unlock()

    assert time.process_time() - begin < 5


# ---------------------------------------------------------------- PKCS#12


def test_truncated_pkcs12_is_refused_at_every_byte(small_p12):
    """Before anything is derived from the password."""
    for end in range(len(small_p12)):
        with pytest.raises(MaterialError, match=r"is damaged PKCS#12: "):
            read_pkcs12(small_p12[:end], "s.p12", PASSWORD)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_pkcs12_is_refused(small_p12, data):
    """A few bytes changed, anywhere: the MAC, or an earlier look, tells it; or the change meant nothing."""
    content = bytearray(small_p12)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MaterialError):
        for entry in read_pkcs12(bytes(content), "s.p12", PASSWORD).keys:
            entry.unlock()


def with_open_lengths(data: bytes) -> bytes:
    """The same structure in BER, as Firefox and macOS write it: every length of a structure is left open."""
    found = b""
    for element in elements(data):
        if element.tag & 0x20:
            found += bytes([element.tag, 0x80]) + with_open_lengths(element.body) + b"\0\0"
        else:
            found += encode(element.tag, element.body)
    return found


@pytest.mark.parametrize(("secrecy", "password"), [(NoEncryption(), None), (BestAvailableEncryption(WORD), PASSWORD)])
def test_ber_is_read(secrecy, password, server):
    """Lengths left open inside and outside, and bytes in pieces, under one MAC."""
    plain = pkcs12.serialize_key_and_certificates(b"srv", server.key, server.certificate, None, secrecy)
    version, content, *mac = only(plain, SEQUENCE).inside()
    kind, value = content.inside()
    data = value.inside()[0].octets()
    half = len(data) // 2
    pieces = bytes([0x24, 0x80]) + encode(OCTETS, data[:half]) + encode(OCTETS, data[half:]) + b"\0\0"
    info = encode(OID, kind.body) + bytes([0xA0, 0x80]) + pieces + b"\0\0"
    body = encode(version.tag, version.body) + bytes([SEQUENCE, 0x80]) + info + b"\0\0"
    body += b"".join(with_open_lengths(encode(each.tag, each.body)) for each in mac)

    store = read_pkcs12(bytes([SEQUENCE, 0x80]) + body + b"\0\0", "s.p12", password)

    assert choose(store, "srv").unlock().certificates == (server.certificate,)


def test_ber_inside_is_read(server):
    """As NSS writes it: safes and bags have open lengths too."""
    plain = pkcs12.serialize_key_and_certificates(b"srv", server.key, server.certificate, None, NoEncryption())
    version, content = only(plain, SEQUENCE).inside()[:2]
    kind, value = content.inside()
    inner = b"".join(
        encode(SEQUENCE, encode(OID, kind.body) + encode(0xA0, encode(OCTETS, with_open_lengths(each.inside()[1].inside()[0].octets()))))
        for each in only(value.inside()[0].octets(), SEQUENCE).inside()
    )  # fmt: skip
    safes = with_open_lengths(encode(SEQUENCE, inner))
    info = encode(OID, kind.body) + encode(0xA0, encode(OCTETS, safes))
    body = encode(SEQUENCE, encode(version.tag, version.body) + encode(SEQUENCE, info))

    store = read_pkcs12(with_open_lengths(body), "s.p12", None)

    assert choose(store, "srv").unlock().certificates == (server.certificate,)


@pytest.mark.parametrize("depth", [100, 100_000])
def test_endless_nesting_is_refused(depth):
    """Without a deep stack, and without much work."""
    begin = time.process_time()

    with pytest.raises(MaterialError, match="is damaged PKCS#12: nested too deep"):
        read_pkcs12(b"\x30\x80" * depth, "s.p12", PASSWORD)

    assert time.process_time() - begin < 2


def test_absurd_rounds_are_not_worked(small_p12):
    """Two thousand million rounds would keep a start busy for an hour."""
    outer = only(small_p12, SEQUENCE).inside()
    digest, salt, _ = outer[2].inside()
    number = encode(INTEGER, (2**31 - 1).to_bytes(4))
    mac = encode(SEQUENCE, b"".join(encode(part.tag, part.body) for part in (digest, salt)) + number)
    hostile = encode(SEQUENCE, b"".join(encode(part.tag, part.body) for part in outer[:2]) + mac)
    begin = time.process_time()

    with pytest.raises(MaterialError, match=r"asks for \d+ rounds of key derivation, at most 5000000 are worked"):
        read_pkcs12(hostile, "s.p12", PASSWORD)

    assert time.process_time() - begin < 1


def test_rounds_count_wherever_they_stand(server):
    """In the bag of a key, in a safe of certificates, and in the MAC: each alone is refused."""
    secrecy = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(0x011170).build(WORD)
    data = pkcs12.serialize_key_and_certificates(b"srv", server.key, server.certificate, None, secrecy)
    places = [match.start() for match in re.finditer(re.escape(b"\x02\x03\x01\x11\x70"), data)]

    assert read_pkcs12(data, "s.p12", PASSWORD).keys
    assert len(places) >= 2
    for at in places:
        hostile = data[:at] + b"\x02\x03\x7f\xff\xff" + data[at + 5 :]
        with pytest.raises(MaterialError, match="rounds of key derivation"):
            read_pkcs12(hostile, "s.p12", PASSWORD)


def test_nesting_in_what_is_not_looked_at_is_bounded(small_p12):
    """Known lengths, a thousand deep, where the outline does not go."""
    version, content, mac = only(small_p12, SEQUENCE).inside()
    deep = b""
    for _ in range(1000):
        deep = encode(SEQUENCE, deep)
    digest, salt, number = mac.inside()
    odd = encode(
        SEQUENCE, encode(SEQUENCE, digest.body + deep) + encode(OCTETS, salt.body) + encode(INTEGER, number.body)
    )
    data = encode(SEQUENCE, encode(INTEGER, version.body) + encode(SEQUENCE, content.body) + odd)

    with pytest.raises(MaterialError, match="is damaged PKCS#12: nested too deep"):
        read_pkcs12(data, "s.p12", PASSWORD)


@pytest.mark.parametrize(("count", "refused"), [(MAX_ROUNDS, False), (MAX_ROUNDS + 1, True)])
def test_rounds_of_an_encrypted_key_are_bounded(count, refused, server):
    """The same for a key in PEM; at the bound it is tried."""
    parameters = encode(SEQUENCE, encode(OCTETS, bytes(8)) + encode(INTEGER, b"\0" + count.to_bytes(4)))
    derive = encode(SEQUENCE, encode(OID, PBKDF2) + parameters)
    kind = encode(SEQUENCE, encode(OID, PBES2) + encode(SEQUENCE, derive))
    der = encode(SEQUENCE, kind + encode(OCTETS, bytes(16)))

    assert rounds_of_key(der) == count
    label = "ENCRYPTED PRIVATE KEY"
    text = f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n"
    with pytest.raises(MaterialError) as told:
        load_text("main", server.cert_pem + text, "$KEYS", PASSWORD)
    assert ("rounds of key derivation" in told.value.problem) is refused


def test_scrypt_counts_as_what_it_costs():
    """Cost, block size and parallelism multiply."""

    def der(cost: int, block: int, parallel: int) -> bytes:
        numbers = b"".join(encode(INTEGER, b"\0" + each.to_bytes(4)) for each in (cost, block, parallel))
        derive = encode(SEQUENCE, encode(OID, SCRYPT) + encode(SEQUENCE, encode(OCTETS, bytes(8)) + numbers))
        return encode(SEQUENCE, encode(SEQUENCE, encode(OID, PBES2) + encode(SEQUENCE, derive)))

    assert rounds_of_key(der(16384, 8, 1)) <= MAX_ROUNDS
    assert rounds_of_key(der(2**17, 1, 2**17)) > MAX_ROUNDS


@given(st.binary(max_size=60))
def test_structures_are_read_or_refused(data):
    """And what is read is written the same, where it was in the short form."""
    try:
        found = elements(data)
    except Malformed:
        return
    again = b"".join(encode(each.tag, each.body) for each in found)
    assert elements(again) == found


def test_huge_store_is_not_read(put):
    """More than a megabyte is no keystore."""
    for head in (b"\xfe\xed\xfe\xed", b"\x30\x84\x00\x20\x00\x00\x02\x01\x03"):
        with pytest.raises(MaterialError, match="is larger than 1 MiB"):
            load_file("main", put(f"{head[0]}.store", head + bytes(1 << 20)), Opening(password=PASSWORD))


def test_several_keys_behind_an_empty_password(server, client):
    """Each is opened as if it stood alone, also where the password is empty."""
    secrecy = BestAvailableEncryption(WORD)
    first, second = (
        only(pkcs12.serialize_key_and_certificates(name, person.key, person.certificate, None, secrecy), SEQUENCE)
        for name, person in ((b"one", server), (b"two", client))
    )
    safes = b"".join(
        encode(each.tag, each.body)
        for whole in (first, second)
        for each in only(whole.inside()[1].inside()[1].inside()[0].octets(), SEQUENCE).inside()
    )
    content = encode(OID, bytes.fromhex("2a864886f70d010701")) + encode(0xA0, encode(OCTETS, encode(SEQUENCE, safes)))
    both = encode(SEQUENCE, b"\x02\x01\x03" + encode(SEQUENCE, content))

    store = read_pkcs12(both, "s.p12", PASSWORD)

    for name, person in (("one", server), ("two", client)):
        assert choose(store, name).unlock().key.public_key() == person.key.public_key()
    with pytest.raises(MaterialError, match="say which by `alias`: one, two"):
        choose(store, None)
