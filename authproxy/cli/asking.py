"""Finding a running proxy through its configuration, without checking that configuration.

Nothing heavy is imported here, and what else is wrong with the files is not its business: whoever asks a running proxy
does so just when something is wrong.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from authproxy.errors import ConfigError

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}|\$\$")


def documents(config: Path, cure: str) -> Iterator[tuple[Path, dict[object, object]]]:
    """Yield the main file and those that it includes directly, as they stand; raises ConfigError, with the `cure`."""
    main = _read(config, cure)
    yield config, main
    included = main.get("include")
    for name in included if isinstance(included, list) else []:
        path = config.parent / str(name)
        yield path, _read(path, cure)


def expand(text: str, path: Path, key: str) -> str:
    """Return the text of `key` in the file at `path` with variables filled in; raises ConfigError for one not set."""

    def value(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        # An empty variable counts as none where there is a default, as in a shell.
        expanded = os.environ.get(found["name"], "") or found["default"]  # noqa: TID251  (cli is a border)
        if expanded is None:
            raise ConfigError(f"{path}: {key}: the environment variable {found['name']} is not set")
        return expanded

    return _VARIABLE.sub(value, text)


def _read(path: Path, cure: str) -> dict[object, object]:
    # Who names a socket or a URL needs no file, and so no YAML: that is a sixth of such a start.
    import yaml

    loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document: object = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506  (it is a safe one)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror} (name a file with -c, or say {cure})") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise ConfigError(f"{path}: not YAML (authproxy check says where; or say {cure})") from error
    return document if isinstance(document, dict) else {}
