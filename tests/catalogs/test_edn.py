"""The EDN reader, against another one and against what is no EDN."""

import string
from decimal import Decimal
from fractions import Fraction

import edn_format
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.catalogs.edn import MAX_DEPTH, Char, Edn, EdnError, Keyword, Map, Set, Symbol, Tagged, read


def value(text: str) -> Edn:
    found = read(text)
    assert found is not None
    return found[0]


def plain(edn):
    """Our value as plain Python, like `oracle`."""
    match edn:
        case Map():
            return "map", frozenset((plain(key), plain(item)) for key, item in edn.pairs)
        case Set():
            return "set", frozenset(map(plain, edn.members))
        case Keyword() | Symbol():
            return type(edn).__name__, edn.name
        case Char():
            return "text", edn.text
        case tuple():
            return "list", tuple(map(plain, edn))
        case str():
            return "text", edn
        case _:
            return type(edn).__name__, edn


def oracle(edn):
    """edn_format's value as plain Python."""
    match edn:
        case edn_format.ImmutableDict():
            return "map", frozenset((oracle(key), oracle(item)) for key, item in edn.items())
        case frozenset():
            return "set", frozenset(map(oracle, edn))
        case edn_format.Keyword() | edn_format.Symbol():
            return type(edn).__name__, edn.name
        case tuple() | edn_format.ImmutableList():
            return "list", tuple(map(oracle, edn))
        case str():
            return "text", edn
        case _:
            return type(edn).__name__, edn


names = st.text(string.ascii_letters, min_size=1, max_size=8).filter(lambda name: name not in {"nil", "true", "false"})
quoted = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\\'), max_size=12).map(
    lambda text: f'"{text}"'
)
atoms = st.one_of(
    st.sampled_from(["nil", "true", "false", r'"a\n\"\\b"']),
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(-1000, 1000, places=3).map(lambda number: f"{number}M"),
    st.floats(-1000, 1000).map(lambda number: format(number, ".6f")),
    quoted,
    names,
    names.map(lambda name: f":{name}"),
    st.tuples(names, names).map(lambda pair: f":{pair[0]}/{pair[1]}"),
)
gaps = st.sampled_from([" ", ",", "\n", " ; comment )]}\n", " #_ ignored ", ' #_[1 #_2 {:a "]"}] '])


def joined(items, gap):
    return gap.join(items)


def collections(inner):
    several = st.lists(inner, max_size=4)
    pairs = st.lists(st.tuples(names, inner), max_size=4, unique_by=lambda pair: pair[0])
    return st.one_of(
        st.builds(lambda items, gap: f"[{gap.join(items)}]", several, gaps),
        st.builds(lambda items, gap: f"({gap.join(items)})", several, gaps),
        st.builds(lambda items, gap: f"#{{{gap.join(items)}}}", st.lists(names, max_size=4, unique=True), gaps),
        st.builds(lambda items, gap: f"{{{gap.join(f':{key} {item}' for key, item in items)}}}", pairs, gaps),
    )


@given(st.recursive(atoms, collections, max_leaves=20))
def test_reads_what_another_reader_reads(text):
    """Every generated text means the same to edn_format."""
    assert plain(value(text)) == oracle(edn_format.loads(text))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nil", None),
        ("true", True),
        ("-0", 0),
        ("+7", 7),
        ("12N", 12),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1.50M", Decimal("1.50")),
        (r'"\t\n\r\b\f\"\\\u0041"', '\t\n\r\b\f"\\A'),
        (":a", Keyword("a")),
        (":a.b/c-d?", Keyword("a.b/c-d?")),
        ("a/b", Symbol("a/b")),
        ("/", Symbol("/")),
        ("-", Symbol("-")),
        ("->x", Symbol("->x")),
        (r"\a", Char("a")),
        (r"\newline", Char("\n")),
        (r"\u0041", Char("A")),
        (r"\(", Char("(")),
        ('#uuid "x"', Tagged("uuid", "x")),
        ('#inst"x"', Tagged("inst", "x")),
        ('#inst #_ no "x"', Tagged("inst", "x")),
        ("[1 #_ #_ 2 3 4]", (1, 4)),
        ("[1;2\n3]", (1, 3)),
        ("[]{}", ()),
        ("#_1 2", 2),
        ('{"a"1,:b[2]}', Map((("a", 1), (Keyword("b"), (2,))), 0, ())),
        ("#{{:a 1}}", Set((Map(((Keyword("a"), 1),), 0, ()),))),
        ("#{1 1.0 true 1M}", Set((1, 1.0, True, Decimal(1)))),
    ],
)
def test_reads(text, wanted):
    """Each form of the format."""
    found = value(text)

    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "[ is closed by the end of the text"),
        ("[1 2", "[ is closed by the end of the text"),
        ("(]", "( is closed by ]"),
        ("{:a 1]", "{ is closed by ]"),
        ("]", "] closes nothing"),
        ("{:a}", "a map has a key without a value"),
        ("{:a 1 :a 2}", "the same key stands twice"),
        ("{[1] 1 (1) 2}", "the same key stands twice"),
        ("{{:a 1 :b 2} 1 {:b 2 :a 1} 2}", "the same key stands twice"),
        ("#{a a}", "the same member stands twice"),
        ('"abc', "this text does not end"),
        (r'"\x"', r"unknown escape \x"),
        (r'"\u12"', r"unknown escape \u"),
        (r"\newlines", "unknown character name"),
        ("\\", "cannot be read"),
        ('#time/instant "x"', "unknown tag #time/instant"),
        ("#foo 1", "unknown tag #foo"),
        ("#_ #foo 1", "unknown tag #foo"),
        ("#uuid 1", "#uuid stands before text only"),
        ("#uuid", "#uuid stands before nothing"),
        ("[#inst]", "#inst stands before nothing"),
        ("#_", "#_ discards nothing"),
        ("[#_]", "#_ discards nothing"),
        ("##Inf", "cannot be read"),
        ("#:a{:b 1}", "cannot be read"),
        ("^a b", "cannot be read"),
        ("'a", "cannot be read"),
        ("@a", "cannot be read"),
        ("::a", "cannot be read"),
        (":", "cannot be read"),
        ("1/2", "cannot be read"),
        ("01", "is not a number"),
        ("0x1F", "is not a number"),
        ("1.", None),
        ("1a", "is not a number"),
        ("1e9999", "is not a number"),
        ("9" * 1001, "a number has more than 1000 digits"),
        ('ab"c"', None),
        (":a:b", None),
        ("\ufeff[]", "cannot be read"),
        ("\u00a0[]", "cannot be read"),
        ("ä", "cannot be read"),
    ],
)  # fmt: skip
def test_refuses(text, problem):
    """What Clojure's reader refuses, and what it reads but nobody means; None: both may read it."""
    if problem is None:
        assert read(text) is not None
        return
    with pytest.raises(EdnError) as refusal:
        read(text)

    assert str(refusal.value) == problem


@pytest.mark.parametrize("opening", ["[", "(", "#{", "{:a ", "#_", "[#_ "])
def test_depth_has_an_end(opening):
    """A file of brackets is refused before it can exhaust the stack."""
    with pytest.raises(EdnError, match="nested deeper"):
        read(opening * 100_000)


def test_depth_up_to_the_end_is_read():
    """The deepest allowed value is read, one level more is not."""
    assert value("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    with pytest.raises(EdnError, match="nested deeper"):
        read("[" * (MAX_DEPTH + 1) + "1" + "]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize("text", ["", " ,\n", "; only a comment", "#_ 1"])
def test_nothing_is_nothing(text):
    """No value is not nil."""
    assert read(text) is None


def test_only_the_first_value_is_read():
    """What follows is not looked at, be it EDN or not."""
    assert read("[1] }{") == ((1,), 3)


def test_offset_of_a_mistake_is_told():
    """So that a line can be named."""
    with pytest.raises(EdnError) as refusal:
        read("[1\n 2\n #foo 3]")

    assert refusal.value.offset == 7


@given(st.text() | st.text("[](){}#_:;\"\\ \n,ab01.+-/uN'"))
def test_any_text_is_read_or_refused(text):
    """Nothing but `EdnError` comes out."""
    try:
        found = read(text)
    except EdnError:
        return
    assert found is None or 0 < found[1] <= len(text)


def test_fractions_are_not_edn():
    """Clojure reads 1/2 as a ratio; EDN has none."""
    assert isinstance(edn_format.loads("1/2"), Fraction)
    with pytest.raises(EdnError):
        read("1/2")
