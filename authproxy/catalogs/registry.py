"""Which kinds of catalog this installation knows."""

from typing import Final

from authproxy.catalogs import composite, file, inline
from authproxy.catalogs.interface import CatalogKind
from authproxy.kinds import Family

FAMILY: Final = Family(
    group="authproxy.catalogs",
    member="catalog",
    kind=CatalogKind,
    built_in={"inline": inline.kind, "file": file.kind, "composite": composite.kind},
)
kinds = FAMILY.kinds
