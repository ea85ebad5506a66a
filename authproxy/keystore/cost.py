"""How long a file wants us to work before it opens: refused when that is absurd.

The number of rounds stands in the file, outside of the encryption. Two thousand million of them would keep a start, or
the thread of a reload, busy for an hour, and nothing could stop it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from authproxy.errors import MaterialError
from authproxy.keystore.asn1 import OID, SEQUENCE, Element, Malformed, only

# What Java takes from a PKCS#12 file; keytool writes 10 000, OpenSSL 2048, careful people 600 000. Some three seconds.
MAX_ROUNDS: Final = 5_000_000
_SCRYPT_ROUND: Final = 4  # one of scrypt's costs as much as some of the others

_RSADSI: Final = bytes.fromhex("2a864886f70d01")


def _iterations(parameters: tuple[Element, ...]) -> int:
    return parameters[1].number()


def _scrypt(parameters: tuple[Element, ...]) -> int:
    cost, block, parallel = (each.number() for each in parameters[1:4])
    return cost * block * parallel // _SCRYPT_ROUND


def _first(parameters: tuple[Element, ...]) -> int:
    return rounds((parameters[0],))


_BY_OID: Final[Mapping[bytes, Callable[[tuple[Element, ...]], int]]] = {
    _RSADSI + b"\x05\x0d": _first,  # PBES2
    _RSADSI + b"\x05\x0e": _first,  # PBMAC1
    _RSADSI + b"\x05\x0c": _iterations,  # PBKDF2
    bytes.fromhex("2b06010401da47040b"): _scrypt,
    # PBES1 of PKCS#5 and of PKCS#12.
    **{_RSADSI + b"\x05" + bytes([kind]): _iterations for kind in (1, 3, 4, 6, 10, 11)},
    **{_RSADSI + b"\x0c\x01" + bytes([kind]): _iterations for kind in range(1, 7)},
}


def rounds(algorithms: Iterable[Element]) -> int:
    """Return how many rounds the AlgorithmIdentifiers ask for, together; unknown ones none. Raises Malformed."""
    total = 0
    for algorithm in algorithms:
        parts = algorithm.inside()
        if algorithm.tag != SEQUENCE or not parts or parts[0].tag != OID:
            raise Malformed("no algorithm where one was expected")
        count = _BY_OID.get(parts[0].body)
        if count is not None and len(parts) > 1:
            try:
                total += count(parts[1].inside())
            except (IndexError, ValueError) as error:
                raise Malformed("an algorithm without its parameters") from error
    return total


def refuse_costly(total: int, source: str) -> None:
    """Refuse what would take longer than anybody means it to.

    Raises:
        MaterialError: more rounds than `MAX_ROUNDS`.
    """
    if total > MAX_ROUNDS:
        problem = f"asks for {total} rounds of key derivation, at most {MAX_ROUNDS} are worked (encrypt it again)"
        raise MaterialError(source, problem)


def rounds_of_key(der: bytes) -> int:
    """Return the rounds of an EncryptedPrivateKeyInfo; none when it cannot be read, which its reader will tell."""
    try:
        return rounds(only(der, SEQUENCE).inside()[:1])
    except Malformed:
        return 0
