"""YAML to values: what is read, what is refused, and that nothing takes long."""

import json

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from authproxy.errors import ConfigError
from authproxy.settings import load
from authproxy.settings.scalars import expand, resolve
from authproxy.settings.tree import MAX_VALUES, Map, Mark, Scalar, parse
from authproxy.settings.values import Values


def values_of(text, **environ):
    node, problems = parse(text, "a.yaml")
    assert node is not None
    values = Values(environ)
    return values.of(node, ()), [problem.line() for problem in (*problems, *values.problems)]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("8190", 8190),
        ("-1", -1),
        ("1.5", 1.5),
        # Text here, though YAML 1.1 reads booleans, octal, hexadecimal, sexagesimal numbers and dates.
        ("yes", "yes"),
        ("off", "off"),
        ("0644", "0644"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1e3", "1e3"),
        ("2027-01-01", "2027-01-01"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_an_unquoted_word_means_one_thing(word, value):
    """YAML 1.2's core schema without its second spellings."""
    assert resolve(word) == value
    assert type(resolve(word)) is type(value)


def test_a_quoted_word_is_text():
    """Whatever it looks like; block scalars too."""
    read, problems = values_of("a: '1'\nb: \"true\"\nc: |\n  2\nd: 1\n")

    assert read == {"a": "1", "b": "true", "c": "2\n", "d": 1}
    assert problems == []


def test_values_know_where_they_stand():
    """Lines and columns count from 1, also behind characters of several bytes."""
    node, _ = parse("ä: {ö: x}\n", "a.yaml")

    assert isinstance(node, Map)
    key, inner = node.entries["ä"]
    assert key == Mark("a.yaml", 1, 1)
    assert isinstance(inner, Map)
    assert inner.entries["ö"] == (Mark("a.yaml", 1, 5), Scalar(mark=Mark("a.yaml", 1, 8), text="x", plain=True))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\na: 2\n", "a.yaml:2:1: a: this key stands twice, first at 1:1: keep one"),
        ("m:\n  a: 1\n  'a': 2\n", "a.yaml:3:3: m.a: this key stands twice, first at 2:3: keep one"),
        ("1: x\n", "a.yaml:1:1: a key must be text: put it in quotes"),
        ("true: x\n", "a.yaml:1:1: a key must be text: put it in quotes"),
        ("? [a]\n: x\n", "a.yaml:1:3: a key must be text: is a value missing its quotes?"),
        (
            "a: !!python/object:os.system x\n",
            "a.yaml:1:4: a: tags (!) have no use here: quote the value if it begins with !",
        ),
        ("a: !b [c]\n", "a.yaml:1:4: a: tags (!) have no use here: quote the value if it begins with !"),
        ("x: &x {a: 1}\ny: {<<: *x}\n", "a.yaml:2:5: y: merge keys (<<) are not read: write the keys out"),
    ],
)
def test_what_could_be_read_in_two_ways_is_told(text, line):
    """The rest of the file is read on, so that all is told at once."""
    assert values_of(text)[1] == [line]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: *x\n", "a.yaml:1:4: this alias (*) names no anchor (&) above it: quote the value if it begins with *"),
        ("&a [*a]\n", "a.yaml:1:5: this alias (*) names no anchor (&) above it: quote the value if it begins with *"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: a second document begins here: keep one, without `---`"),
        ("a: @x\n", "a.yaml:1:4: a value cannot begin with @: put it in quotes"),
        ("a: *.b.org\n", 'a.yaml:1:4: what begins with * needs quotes, as in "*.example.org"'),
        ("a: {b: *.b.org, c: 1}\n", 'a.yaml:1:8: what begins with * needs quotes, as in "*.example.org"'),
        ("a:\n  *.b.org: c\n", 'a.yaml:2:3: what begins with * needs quotes, as in "*.example.org"'),
        ("a: [&.b]\n", 'a.yaml:1:5: what begins with & needs quotes, as in "*.example.org"'),
        ("a: [::1]:80\n", 'a.yaml:1:5: what begins with [ or : and is no list needs quotes, as in "[::1]:8443"'),
        ("a: [[::1]:80]\n", 'a.yaml:1:6: what begins with [ or : and is no list needs quotes, as in "[::1]:8443"'),
        (
            "a: {b: #1b5e9e}\n",
            "a.yaml:2:1: inside [ ] and { } a value is missing before here: one that begins with # needs quotes",
        ),
        (
            "a: [b, , c]\n",
            "a.yaml:1:8: inside [ ] and { } a value is missing before here: one that begins with # needs quotes",
        ),
        ("a:\n\tb: 1\n", "a.yaml:2:1: a tab indents this line: YAML wants spaces"),
        ("a:\n  b: 1\n\tc: 2\n", "a.yaml:3:1: a tab indents this line: YAML wants spaces"),
        ('a: "x\\q"\n', 'a.yaml:1:6: unknown escape in "...": write \\\\ for a backslash, or use single quotes'),
        ("a: \x07\n", "a.yaml:1:4: control characters are not allowed"),
        ("[" * 33, "a.yaml:1:33: nested deeper than 32 levels"),
    ],
)
def test_what_is_not_worth_reading_on_is_told_with_its_place(text, line):
    """One line, and no traceback."""
    with pytest.raises(ConfigError) as refused:
        parse(text, "a.yaml")

    assert refused.value.problems == (line,)


@pytest.mark.timeout(30)
def test_a_file_of_mistakes_alone_ends_soon(problems, minimal):
    """The first two hundred are told; the work does not grow with the square of their number."""
    told = problems(minimal.replace("routes:    [", "routes:    [" + "{pth: /, upstrem: x}, " * 10_000))

    assert len(told) == 201
    assert told[-1] == "authproxy.yaml: these are the first 200 problems"


def test_32_levels_are_read():
    """The other side of the boundary."""
    node, _ = parse("[" * 32 + "]" * 32, "a.yaml")

    assert node is not None


def test_an_alias_is_read_wherever_it_is_used():
    """Anchors save typing; nothing is merged."""
    read, problems = values_of("a: &list [x, y]\nb: *list\n")

    assert read == {"a": ["x", "y"], "b": ["x", "y"]}
    assert problems == []


@pytest.mark.timeout(30)
def test_aliases_do_not_multiply_without_end():
    """The "billion laughs" ends after the first fifty thousand, at once."""
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30)
    )

    with pytest.raises(ConfigError, match=f"more than {MAX_VALUES} values"):
        values_of(bomb)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        "{a: " * 250_000,
        "- " * 500_000,
        "? " * 500_000,
        "[" + "a: b, " * 150_000 + "]",
        "!a " * 300_000,
        "&a " * 300_000,
        "\t" * 1_000_000,
        "'" * 1_000_001,
        "".join(" " * level + "-\n" for level in range(1400)),
    ],
    ids=lambda text: text[:4],
)
def test_a_million_of_anything_ends_soon(load_text, text):
    """Neither a crash (libyaml's composer recurses in C) nor a wait."""
    with pytest.raises(ConfigError):
        load_text(text)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${A}", "one"),
        ("x-${A}-${B:-two}-y", "x-one-two-y"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${B:-}", ""),
        ("${A:?never told}", "one"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("$A costs $5", "$A costs $5"),
        ("${TRICK}", "${A}"),
    ],
)
def test_variables_are_replaced_once(text, expanded):
    """What comes in is not searched again, and a lone dollar stays."""
    assert expand(text, {"A": "one", "EMPTY": "", "TRICK": "${A}"}) == expanded


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("${B}", "environment variable B is not set (write ${B:-default} to go without)"),
        ("${B:?name the host}", "environment variable B is not set: name the host"),
        ("${EMPTY:?name the host}", "environment variable EMPTY is not set: name the host"),
        ("${B:?}", "environment variable B is not set: it is required"),
        ("${B:-${A}}", "write ${NAME}, ${NAME:-default} or ${NAME:?message}, and $${ for a plain ${"),
        ("${A:-${B}}", "write ${NAME}, ${NAME:-default} or ${NAME:?message}, and $${ for a plain ${"),
        ("${A", "write ${NAME}, ${NAME:-default} or ${NAME:?message}, and $${ for a plain ${"),
        ("${A-x}", "write ${NAME}, ${NAME:-default} or ${NAME:?message}, and $${ for a plain ${"),
        ("${1}", "write ${NAME}, ${NAME:-default} or ${NAME:?message}, and $${ for a plain ${"),
    ],
)
def test_what_cannot_be_replaced_is_told(text, told):
    """With the name of the variable, and the operator's own message."""
    with pytest.raises(ValueError) as refused:
        expand(text, {"A": "one", "EMPTY": ""})

    assert str(refused.value) == told


def test_a_variable_in_an_unquoted_word_can_be_a_number_but_never_more_yaml():
    """A value from outside stays one value."""
    read, problems = values_of(
        "n: ${N}\nt: '${N}'\nb: ${B}\nlist: ${LIST}\nmap: ${MAP}\nlines: ${LINES}\n",
        N="1",
        B="true",
        LIST="[a, b]",
        MAP="{a: b}",
        LINES="x\ny: z",
    )

    assert read == {"n": 1, "t": "1", "b": True, "list": "[a, b]", "map": "{a: b}", "lines": "x\ny: z"}
    assert problems == []


@given(st.text(max_size=200))
def test_every_variable_s_value_comes_through_as_it_is(value):
    """In quotes, text in is text out."""
    read, _ = values_of("a: '${X}'", X=value)

    assert read == {"a": value}


WORDS = """version: 1|routes:|listeners:|zones:|path|0.0.0.0:1|- |{|}|[|]|: |&a |*a|!!str |'|"|>|#|? |<<: |${X}|${|,|é|---|..."""
yaml_like = st.lists(st.sampled_from([*WORDS.split("|"), "|", "\n", "\t", "  ", "\u2028"]), max_size=40).map("".join)

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 70000), st.text(max_size=8), st.sampled_from(["/", "main", "10s", "none"])
)
KEYS = (
    "bind file kind keystore path upstream host zone prefix peppers catalog urls headers request allow public tls mode"
)
KEYS += " client_certificates trust sni of x <a> [b listeners"
SECTIONS = (
    "version include keystores truststores listeners catalogs zones upstreams routes identity trusted_proxies limits"
)
SECTIONS += " pages timeouts workers ops logging sessions listner <z>"
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*KEYS.split(), "a\nb", "\x1b[2J"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@hypothesis_settings(max_examples=200)
@given(
    st.one_of(
        yaml_like, st.text(), st.dictionaries(st.sampled_from(SECTIONS.split()), trees, max_size=8).map(json.dumps)
    )
)
def test_any_text_loads_or_is_refused_with_lines_for_people(tmp_path_factory, kinds, text):
    """Nothing but ConfigError, whatever stands in the file; every problem is one line."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    told: tuple[str, ...] = ("nothing",)
    try:
        load(path, catalog_kinds=kinds, environ={"X": "x"})
    except ConfigError as error:
        told = error.problems

    assert told
    assert all(line.isprintable() for line in told)
