"""The name that somebody meant."""

import pytest

from authproxy.core.nearest import did_you_mean, nearest

KNOWN = ("max_body", "upstream", "user_id", "X-User")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("upstraem", "upstream"),
        ("MAX-BODY", "max_body"),
        ("x_user", "X-User"),
        ("user_id", "user_id"),
        ("zebra", None),
        ("", None),
    ],
)
def test_letter_case_and_dashes_count_for_little(word, meant):
    assert nearest(word, KNOWN) == meant


def test_two_that_are_as_near_are_told_apart_by_the_alphabet_whatever_their_order():
    assert nearest("tokem", ["tokex", "tokea"]) == nearest("tokem", ["tokea", "tokex"])


@pytest.mark.parametrize(("count", "meant"), [(199, "meant"), (200, None)])
def test_the_first_two_hundred_names_are_looked_at(count, meant):
    assert nearest("maent", [*(f"{number:05}" for number in range(count)), "meant"]) == meant


@pytest.mark.parametrize(("rest", "meant"), [("", "a" * 100), ("b" * 1_000_000, "a" * 100)])
def test_a_hundred_characters_of_a_word_are_looked_at(rest, meant):
    assert nearest("a" * 100 + rest, ["a" * 100]) == meant


def test_without_a_near_name_all_are_told_in_order():
    assert did_you_mean("zebra", ["user_id", "dns"]) == " (known: dns, user_id)"


def test_with_a_near_name_it_alone_is_told():
    assert did_you_mean("dsn", ["user_id", "dns"]) == ' (did you mean "dns"?)'


def test_where_nothing_is_known_nothing_is_told():
    assert did_you_mean("zebra", []) == ""


@pytest.mark.parametrize(("count", "ends_with"), [(24, "023)"), (25, "023, ...)")])
def test_two_dozen_names_are_told(count, ends_with):
    assert did_you_mean("zebra", [f"{number:03}" for number in range(count)]).endswith(ends_with)
