"""Downloads: what a proxy spends on answers whose bodies are large."""

import http.client
import ssl
import time
import zlib
from dataclasses import dataclass
from typing import Final

from tests.bench.material import PROXY_NAMES, Material
from tests.bench.measure import NoAnswers, cpu_of, difference
from tests.bench.sample import Sample
from tests.bench.targets import Target
from tests.bench.upstream import BULK_MEBIBYTES, MEBIBYTE

_SMALL_TIMES: Final = 30
_SECONDS: Final = 60
_PIECE: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Spent:
    """For one MiB."""

    cpu_ms: float
    seconds: float


def download(number: int, target: Target, material: Material) -> Sample:
    """Fetch the small answer some times and the large one once, each checked to the last byte.

    Raises:
        NoAnswers: an answer was another one, or cut short.
    """
    context = ssl.create_default_context(cafile=material.authority)
    small_size, large_size = BULK_MEBIBYTES
    connection = http.client.HTTPSConnection("127.0.0.1", target.port, timeout=_SECONDS, context=context)
    try:
        # The first of all opens the connection to the upstream.
        _fetch(connection, target, material, small_size, 1)
        small = _fetch(connection, target, material, small_size, _SMALL_TIMES)
        large = _fetch(connection, target, material, large_size, 1)
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswers(f"{target.name} does not answer: {error}") from error
    finally:
        connection.close()
    figures = {"large_ms": large.cpu_ms, "small_ms": small.cpu_ms, "speed": 1 / large.seconds}
    return Sample(target=target.name, round=number, figures=figures, failed=0)


def _fetch(
    connection: http.client.HTTPSConnection, target: Target, material: Material, size: int, times: int
) -> _Spent:
    headers = {"Host": PROXY_NAMES[0], "Authorization": f"Bearer {material.users[0].token}"}
    piece = bytearray(_PIECE)
    before, begin = cpu_of(target), time.monotonic()
    sums = []
    for _ in range(times):
        connection.request("GET", f"/bulk/{size}", headers=headers)
        response, crc = connection.getresponse(), 0
        while got := response.readinto(piece):
            crc = zlib.crc32(memoryview(piece)[:got], crc)
        sums.append((response.status, crc))
    seconds = time.monotonic() - begin
    cpu = difference(before, cpu_of(target)) / 1e6
    if set(sums) != {(http.HTTPStatus.OK, zlib.crc32(MEBIBYTE * size))}:
        raise NoAnswers(f"{target.name} does not answer with the {size} MiB that the upstream sent")
    return _Spent(cpu / size / times, seconds / size / times)
