"""YAML to frozen values; every message with file, line and dotted key."""

from authproxy.settings.load import Loaded, load
from authproxy.settings.model import Settings
from authproxy.settings.schema import json_schema
from authproxy.settings.secrets import read_pepper, read_secret
from authproxy.settings.show import effective, effective_values

__all__ = [
    "Loaded",
    "Settings",
    "effective",
    "effective_values",
    "json_schema",
    "load",
    "read_pepper",
    "read_secret",
]
