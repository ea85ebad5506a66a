"""The files of keys, certificates, trust and secrets that a configuration names, and what they hold at one instant."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from authproxy.errors import AuthproxyError
from authproxy.keystore.reading import MAX_LIST_BYTES, read
from authproxy.options import Options, SecretRef
from authproxy.settings import Settings

# What is written by this process, or no material.
_LEFT_OUT: Final = frozenset({"include", "logging", "control", "state"})
# Of these only the secrets: they look after their own files.
_FAMILIES: Final = frozenset({"catalogs", "sessions"})


def material_files(settings: Settings, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return every file of material that the settings name, each once; those of the configuration are none of them."""
    found: list[Path] = []
    for key in type(settings).model_fields:
        if key not in _LEFT_OUT:
            value = getattr(settings, key)
            found += _paths(tuple(_secrets(value)) if key in _FAMILIES else value, environ)
    return tuple(dict.fromkeys(found))


def look_at(paths: Iterable[Path]) -> dict[Path, str]:
    """Return what stands for the content and the mode of each file, or why it cannot be read. Blocks.

    Contents count and not dates: Kubernetes replaces a whole directory by moving one symbolic link (`..data`), and
    copies keep dates. So few and small files are read within a millisecond.
    """
    return {path: _stands_for(path) for path in paths}


def _stands_for(path: Path) -> str:
    try:
        content = read(path, MAX_LIST_BYTES)
    except AuthproxyError as error:
        return f"{type(error).__name__}: {error}"
    return f"{content.mode:o} {hashlib.sha256(content.data).hexdigest()}"


def _secrets(value: object) -> Iterator[SecretRef]:
    match value:
        case SecretRef():
            yield value
        case Options():
            yield from _secrets(tuple(getattr(value, key) for key in type(value).model_fields))
        case Mapping():
            yield from _secrets(tuple(value.values()))
        case tuple():
            for one in value:
                yield from _secrets(one)
        case _:
            return


def _paths(value: object, environ: Mapping[str, str]) -> Iterator[Path]:
    match value:
        case Path():
            yield value
        case SecretRef(file=None, credential=str(name)) if directory := environ.get("CREDENTIALS_DIRECTORY"):
            # systemd renews credentials only when it starts the service anew, but others may fill that directory.
            yield Path(directory) / name
        case Options():
            yield from _paths(tuple(getattr(value, key) for key in type(value).model_fields), environ)
        case Mapping():
            yield from _paths(tuple(value.values()), environ)
        case tuple():
            for one in value:
                yield from _paths(one, environ)
        case _:
            return
