"""Templates: what is filled in is text and nothing else, and nothing of the page loads or runs but what it holds."""

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from authproxy.core.template import Template, TemplateError, put_in

GAPS = ("name", "title")


def made(text, fixed=None, needed=()):
    """A template with two gaps."""
    return Template(text, fixed or {}, GAPS, needed)


class Reader(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    @override
    def handle_starttag(self, tag, attrs):
        """Note it."""
        self.tags.append((tag, attrs))

    @override
    def handle_data(self, data):
        """Note it."""
        self.text += data


def hashed(content):
    """As a policy names it."""
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def test_gaps_are_filled_with_escaped_text():
    """In text and in attributes."""
    page = made('<p title="{{title}}">{{ name }}{{name}}</p>').fill({"name": "<b>&'\"", "title": '"><script>'})

    assert page == b'<p title="&quot;&gt;&lt;script&gt;">' + b"&lt;b&gt;&amp;&#x27;&quot;" * 2 + b"</p>"


@given(st.text(), st.text())
def test_nothing_that_is_filled_in_becomes_markup(name, title):
    """Whatever it is, a reader finds the same elements, and the text that was meant."""
    page = made('<p title="{{title}}">{{name}}</p>').fill({"name": name, "title": title}).decode()
    bare = Reader('<p title="x">y</p>')

    found = Reader(page)

    assert [tag for tag, _ in found.tags] == [tag for tag, _ in bare.tags]
    assert [[key for key, _ in attributes] for _, attributes in found.tags] == [["title"]]
    assert unescape(re.sub("<[^>]*>", "", page)) == unescape(
        name.encode("utf-8", "replace").decode().replace("&", "&amp;")
    )


def test_a_value_is_never_read_as_a_gap():
    """Filled in once."""
    assert made("<p>{{name}}</p>").fill({"name": "{{title}}", "title": "x"}) == b"<p>{{title}}</p>"


def test_the_policy_allows_what_the_page_holds_and_nothing_else():
    """By hash, of what was put in at the start."""
    text = "<style>a{{{colour}}}</style><script>x()</script><script type=module>\r\ny()\r</script>{{name}}"
    page = made(text, {"colour": "red"})

    assert page.policy == (
        f"default-src 'none'; style-src {hashed('a{red}')}; script-src {hashed('x()')} {hashed(chr(10) + 'y()' + chr(10))}; "
        "img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert b"\r" not in page.fill({"name": "", "title": ""})


def test_a_page_without_style_and_script_allows_none():
    """`default-src 'none'` holds for both."""
    policy = made("<p>{{name}}</p>").policy

    assert "style-src" not in policy
    assert "script-src" not in policy
    assert policy.startswith("default-src 'none'; img-src data:;")


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("<p>\n{{nonsense}}</p>", 2, "{{nonsense}} is not known here (name, title are)"),
        ("<p>{{}}</p>", 1, "{{}} is not known here"),
        ("<p\nid={{name}}>", 2, "in quotes"),
        ("<p id= {{name}}>", 1, "in quotes"),
        ("<p>\0</p>", 1, "NUL"),
        ("\n<script>a('{{name}}')</script>", 2, "{{name}} stands inside <script>, where nothing is escaped"),
        ("<style>a{color:{{ title }}}</style>", 1, "{{ title }} stands inside <style>"),
        ("<script><!-- x --></script>", 1, "holds <!--"),
        ("\n\n<script>x()", 3, "<script> has no end"),
        ('<p onclick="x()">', 1, "the attribute onclick is blocked: write it in <script>"),
        ("<p onclick>", 1, "the attribute onclick is blocked"),
        ("<p style='color:red'>", 1, "the attribute style is blocked: write it in <style>"),
        ("<script src=/x.js></script>", 1, "src='/x.js': this page loads nothing"),
        ("<img src='https://a.example/x.png'>", 1, "images as data:"),
        ("<link rel=stylesheet href=/x.css>", 1, "href='/x.css'"),
        ("<img srcset='/x.png 2x'>", 1, "srcset='/x.png 2x'"),
        ("<video poster=/x.png>", 1, "poster='/x.png'"),
        ("<td background=/x.png>", 1, "background='/x.png'"),
        ("<p data=/x.png>", 1, "data='/x.png'"),
        ("<img src=#x>", 1, "src='#x'"),
        ("<svg><use href='/x.svg#a'/></svg>", 1, "href='/x.svg#a'"),
        ("<svg><image xlink:href='//a.example/x.png'/></svg>", 1, "xlink:href='//a.example/x.png'"),
        ("<link href='data:text/css,a{}' rel='Stylesheet'>", 1, "a stylesheet is blocked but in <style>"),
        ("<a href='javascript:x()'>", 1, "is blocked: write it in <script>"),
        ("<a href=' java\nscript:x()'>", 1, "is blocked: write it in <script>"),
        ("\n<style>a{} @IMPORT '/x.css';</style>", 2, "<style> holds '@IMPORT'"),
        ("<style>a{background:url(/x.png)}</style>", 1, "<style> holds 'url('"),
        ("<style>a{background:URL( 'https://a.example/x.png')}</style>", 1, "this page loads nothing"),
        ("<iframe srcdoc=x>", 1, "<iframe> has no place in this page"),
        ("<embed>", 1, "<embed> has no place"),
        ("<frame>", 1, "<frame> has no place"),
        ("<base href=/>", 1, "<base> has no place"),
        ("<object data=data:x>", 1, "<object> has no place"),
        ("<form action='https://a.example/'>", 1, "sent to this origin"),
        ("<form action='//a.example/'>", 1, "sent to this origin"),
        ("<form action=''>", 1, "sent to this origin"),
        ("<button formaction=x>", 1, "sent to this origin"),
    ],
)  # fmt: skip
def test_what_could_not_be_served_safely_is_refused(text, line, problem):
    """With the line, and what to do instead."""
    with pytest.raises(TemplateError, match=re.escape(problem)) as raised:
        made(text)

    assert str(raised.value).startswith(f"line {line}: ")


@pytest.mark.parametrize(
    "text",
    [
        "<img src='data:image/png;base64,AAAA'>", "<link rel=icon href='data:,'>", "<a href='https://a.example/help'>x</a>",
        "<style>a{background:url( 'data:image/png;base64,AAAA')} b{fill:url(#a)}</style>", "<svg><use href='#a'/></svg>",
        "<form action='/auth/login'>", "<form action='{{name}}'>", "<p>a {x} {{name}} }}</p>", "<!-- on purpose -->",
    ],
)  # fmt: skip
def test_what_the_policy_lets_through_is_accepted(text):
    """Images within the page, links to elsewhere."""
    assert made(text).fill({"name": "n", "title": "t"})


def test_what_is_put_in_cannot_end_its_element():
    """The hash would be of something else than what the browser runs."""
    with pytest.raises(TemplateError, match="<style> holds </style"):
        made("<style>{{css}}</style>", {"css": "a{}</STYLE><p>"})


def test_a_gap_that_a_page_needs_must_be_there():
    """A form without it would not work."""
    with pytest.raises(TemplateError, match=re.escape("{{title}} is missing")):
        made("<p>{{name}}</p>", needed=("name", "title"))


def test_what_is_put_in_leaves_other_gaps():
    """For the answers."""
    assert put_in("{{a}} {{ b }} {{c}}", {"a": "1", "b": "{{c}}"}) == "1 {{c}} {{c}}"
