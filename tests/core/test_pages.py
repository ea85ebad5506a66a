"""The three pages: what they must hold, in whatever look."""

import pytest

from authproxy.core.colour import Colour
from authproxy.core.pages import (
    FILES,
    REFUSED,
    SIGN_IN,
    SIGNED_OUT,
    STYLE,
    Look,
    SignInProblem,
    Told,
    check_template,
    make_pages,
)
from authproxy.core.template import TemplateError

TEXTS = {
    SIGN_IN: "<style>{{style}}</style><h1>{{title}}</h1>{{name}}|{{problem}}|{{action}}|{{invalid}}|{{next}}<script>{{script}}</script>",
    SIGNED_OUT: "{{name}}|{{action}}",
    REFUSED: "{{name}}|{{title}}|{{message}}|{{status}}|{{phrase}}|{{request_id}}|{{again}}",
    STYLE: "a{color:{{accent}};background:{{on_accent}}}b{color:{{accent_dark}};background:{{on_accent_dark}}}",
    "paste.js": "x()",
}
TOLD = Told(status=503, phrase="Service Unavailable", title="Away", message="Wait.", may_pass=True)


def test_a_set_is_made_of_these_files():
    """And of no others."""
    assert set(FILES) == set(TEXTS)


def test_the_form_carries_what_it_was_given():
    """Name, title, problem, path and `next`."""
    pages = make_pages(TEXTS, Look(name="A & B"))

    body = pages.sign_in(title="Go", action="/in", wanted="/x?a=1&b=2", problem=SignInProblem.TOO_MANY).decode()

    assert f"<h1>Go</h1>A &amp; B|{SignInProblem.TOO_MANY.value}|/in|false|/x?a=1&amp;b=2<script>x()</script>" in body
    assert "|||" not in body
    assert pages.signed_out(action="/in") == b"A &amp; B|/in"


@pytest.mark.parametrize("problem", SignInProblem)
def test_fields_are_marked_wrong_only_when_they_are(problem):
    """Too many attempts are not the fields' fault."""
    body = make_pages(TEXTS, Look()).sign_in(title="", action="", problem=problem)

    assert (b"|true|" in body) is (problem in {SignInProblem.REFUSED, SignInProblem.INCOMPLETE})


def test_a_refusal_says_what_happened_and_whether_to_try_again():
    """And the number that finds it in the log."""
    pages = make_pages(TEXTS, Look())

    assert pages.refused(TOLD, "id7") == b"|Away|Wait.|503|Service Unavailable|id7|Try again"
    known = Told(status=403, phrase="Forbidden", title="No", message="Ask.", may_pass=False)
    assert pages.refused(known, "id8") == b"|No|Ask.|403|Forbidden|id8|"


def test_text_on_the_accent_can_be_read_in_either_mode():
    """Chosen by the contrast, not by the operator."""
    look = Look(accent=Colour(0, 0, 0x80), accent_dark=Colour(0xFF, 0xE0, 0))

    body = make_pages(TEXTS, look).sign_in(title="", action="")

    assert b"a{color:#000080;background:#ffffff}b{color:#ffe000;background:#000000}" in body


def test_lines_say_type_and_policy():
    """The Origin of the form must be told to us, hence no `no-referrer`."""
    page = make_pages(TEXTS, Look()).sign_in_page

    first, policy, referrer, end = page.lines.decode().split("\r\n")
    assert first == "Content-Type: text/html; charset=utf-8"
    assert policy == f"Content-Security-Policy: {page.template.policy}"
    assert referrer == "Referrer-Policy: same-origin"
    assert end == ""


@pytest.mark.parametrize("name", [SIGN_IN, SIGNED_OUT, REFUSED])
@pytest.mark.parametrize(
    "use", [lambda _, texts: make_pages(texts, Look()), lambda name, texts: check_template(name, texts, Look())]
)
def test_a_mistake_is_told_with_its_line(name, use):
    """And what is missing."""
    with pytest.raises(TemplateError, match=r"^line 1: \{\{.*\}\} is missing"):
        use(name, TEXTS | {name: "<p>mine</p>"})
    with pytest.raises(TemplateError, match=r"^line 2: \{\{nonsense\}\}"):
        use(name, TEXTS | {name: TEXTS[name] + "\n{{nonsense}}"})
    use(name, TEXTS)


def test_a_stylesheet_is_checked_too():
    """It must stay within its element, and knows the colours alone."""
    check_template(STYLE, TEXTS, Look())
    for wrong in ("</style >", "a{color:{{title}}}", "<!--"):
        with pytest.raises(TemplateError):
            check_template(STYLE, TEXTS | {STYLE: wrong}, Look())


NEEDED = [
    (SIGN_IN, "action"), (SIGN_IN, "next"), (SIGN_IN, "problem"), (SIGNED_OUT, "action"), (REFUSED, "message"),
    (REFUSED, "request_id"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "gap"), NEEDED)
def test_what_a_page_needs_must_be_there(name, gap):
    """The rest may be left out."""
    with pytest.raises(TemplateError, match=gap):
        check_template(name, TEXTS | {name: TEXTS[name].replace("{{" + gap + "}}", "")}, Look())
    check_template(name, TEXTS | {name: "".join("{{" + other + "}}" for own, other in NEEDED if own == name)}, Look())
