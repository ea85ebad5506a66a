"""Makes the pages that people are shown, in the look that the configuration gives them."""

from pathlib import Path
from typing import Final

from authproxy.core.colour import Colour
from authproxy.core.pages import REFUSED, SIGN_IN, SIGNED_OUT, STYLE, Look, Pages, check_template, make_pages
from authproxy.core.secret import Secret
from authproxy.core.template import TemplateError
from authproxy.daemon.material import Sources
from authproxy.edge.page import TEXTS
from authproxy.errors import AuthproxyError, ConfigError
from authproxy.keystore.reading import read
from authproxy.settings.pages import Pages as PagesSettings

_FILES: Final = {"style": STYLE, "refused": REFUSED, "sign_in": SIGN_IN, "signed_out": SIGNED_OUT}
_BUILT_IN: Final = Look()


def pages_of(sources: Sources) -> Pages | None:
    """Return the configured pages, or None for the built-in ones.

    A file is read once for one configuration: built again, it has the pages that it had.

    Raises:
        ConfigError: with every problem.
    """
    settings = sources.loaded.settings.pages
    if settings == PagesSettings():
        return None
    texts, problems = dict(TEXTS), list[str]()
    look = _look(settings)
    # The stylesheet first: the templates are checked with it.
    for key, name in _FILES.items():
        path = getattr(settings, key)
        if path is None:
            continue
        try:
            own = texts | {name: _text(sources, key, path)}
            check_template(name, own, look)
        except TemplateError as error:
            problems.append(f"{sources.loaded.where('pages', key)}: {path}: {error}")
        except AuthproxyError as error:
            problems.append(f"{sources.loaded.where('pages', key)}: {error}")
        else:
            texts = own
    if problems:
        raise ConfigError(*problems)
    return make_pages(texts, look)


def _look(settings: PagesSettings) -> Look:
    accent = None if settings.accent is None else Colour.parse(settings.accent)
    dark = accent if settings.accent_dark is None else Colour.parse(settings.accent_dark)
    return Look(name=settings.name, accent=accent or _BUILT_IN.accent, accent_dark=dark or _BUILT_IN.accent_dark)


def _text(sources: Sources, key: str, path: Path) -> str:
    """Return what the file at this key holds."""
    place = ("pages", key)
    if place not in sources.remembered:
        sources.remembered[place] = Secret(read(path).data)
    try:
        return sources.remembered[place].reveal().decode()
    except UnicodeDecodeError:
        raise TemplateError("is no UTF-8 text") from None
