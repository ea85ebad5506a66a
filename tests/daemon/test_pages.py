"""The pages that people are shown look as the configuration says, or the configuration is refused."""

from datetime import UTC, datetime

import pytest

from authproxy.daemon.material import open_sources
from authproxy.daemon.pages import pages_of
from authproxy.daemon.reload import attempt
from authproxy.edge.page import TEXTS
from authproxy.edge.refusal import told
from authproxy.errors import ConfigError, SecretError

NOW = datetime.now(UTC)


def pages(site, **settings):
    """The pages of a configuration with this section."""
    site.config["pages"] = settings
    site.save()
    return pages_of(open_sources(site.load(), {}))


def refused(made):
    """The page of a 404."""
    found = told(404)
    assert found is not None
    return made.refused(found, "id7").decode()


def test_without_a_look_of_its_own_the_built_in_pages_serve(site):
    """Nothing is built."""
    assert pages(site) is None


def test_name_and_colours_are_in_the_page(site):
    """Dark mode has the same colour, unless it has its own."""
    page = refused(pages(site, name="A & B", accent="#F5B301"))
    assert "A &amp; B" in page
    assert page.count("--accent: #f5b301; --on-accent: #000000;") == 2

    page = refused(pages(site, accent="#000080", accent_dark="#7cb7f7"))
    assert "--accent: #000080; --on-accent: #ffffff;" in page
    assert "--accent: #7cb7f7; --on-accent: #000000;" in page

    page = refused(pages(site, accent_dark="#010203"))
    assert "--accent: #1b5e9e;" in page
    assert "--accent: #010203;" in page


def test_own_files_stand_in_for_the_built_in_ones(site):
    """The stylesheet in every page, the template for its page."""
    site.put("own.css", "h1{color:{{accent}}}")
    assert "<style>h1{color:#1b5e9e}</style>" in refused(pages(site, style="own.css"))

    site.put("own.html", "<h1>{{message}}</h1>{{request_id}}")
    assert (
        refused(pages(site, refused="own.html"))
        == "<h1>The address may be misspelt, or the page may have moved.</h1>id7"
    )


def test_the_pages_of_a_login_may_be_own_ones_too(site):
    """Each on its own; what a page needs to work must be in it."""
    site.put("in.html", "<form action='{{action}}'>{{problem}}<input name=next value='{{next}}'></form>")
    site.put("out.html", "<a href='{{action}}'>again</a>")

    made = pages(site, sign_in="in.html", signed_out="out.html")

    assert made is not None
    assert made.sign_in(title="", action="/in", wanted="/x").startswith(
        b"<form action='/in'><input name=next value='/x'"
    )
    assert made.signed_out(action="/in") == b"<a href='/in'>again</a>"
    with pytest.raises(ConfigError, match=r"pages\.sign_in: .*out\.html: line 1: \{\{next\}\} is missing"):
        pages(site, sign_in="out.html")


@pytest.mark.parametrize(
    ("files", "problems"),
    [
        ({"refused": "<p>mine</p>"}, ["pages.refused: {}/refused: line 1: {{{{message}}}} is missing"]),
        ({"refused": TEXTS["refused.html"] + "<p onclick=''>"}, ["pages.refused: {}/refused: line 21: the attribute onclick"]),
        ({"style": "</style>"}, ["pages.style: {}/style: <style> holds </style"]),
        ({"style": "{{nmoe}}", "refused": "\n{{nmoe}}"}, ["pages.style: ", "pages.refused: {}/refused: line 2: {{{{nmoe}}}} is not"]),
        ({"refused": b"\xff"}, ["pages.refused: {}/refused: is no UTF-8 text"]),
        ({"refused": None}, ["pages.refused: {}/refused: "]),
    ],
)  # fmt: skip
def test_a_file_that_could_not_be_served_is_refused(site, files, problems):
    """With its place in the configuration, its name and its line; all of them at once."""
    for name, text in files.items():
        if text is not None:
            site.put(name, text)

    with pytest.raises(ConfigError) as raised:
        pages(site, **{name: name for name in files})

    lines = [problem.split(": ", 1)[1] for problem in raised.value.problems]
    assert len(lines) == len(problems)
    for line, start in zip(lines, problems, strict=True):
        assert line.startswith(start.format(site.directory))
    assert not isinstance(raised.value, SecretError)


def test_a_reload_takes_a_changed_page_over_or_leaves_the_old_one(site):
    """The old configuration, built again, has the pages that it had."""
    site.put("own.html", "one {{message}} {{request_id}}")
    site.config["pages"] = {"refused": "own.html"}
    site.save()
    first = site.prepare()

    site.put("own.html", "two {{message}} {{request_id}}")
    second = attempt(site.workshop, site.load, first, NOW, 2)
    site.put("own.html", "broken")
    third = attempt(site.workshop, site.load, second.prepared, NOW, 3)

    assert refused(first.built.runtime.pages).startswith("one ")
    assert refused(second.prepared.built.runtime.pages).startswith("two ")
    assert second.errors == {}
    assert refused(third.prepared.built.runtime.pages).startswith("two ")
    assert "{{message}} is missing" in third.errors["config"]
