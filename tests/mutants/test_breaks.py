"""What breaks the program on purpose breaks what it says, and nothing else."""

import pytest

from tests.mutants.breaks import Break
from tests.mutants.operators import mutants
from tests.mutants.rows import broken, problems


def test_a_break_that_does_not_fit_is_told():
    """Nothing is tried with an edit that edits nothing, or more than was meant."""
    edit = Break("a.py", "one", "two")
    assert broken("one = 1", edit) == "two = 1"

    for source in ("two = 1", "one = one"):
        with pytest.raises(LookupError, match=r"a\.py: stands \d times there, not once: 'one'"):
            broken(source, edit)


def test_every_row_has_a_break_that_fits():
    """Code that moves takes its break along, in the same commit."""
    assert problems() == []


def test_mutants_have_names_of_their_own():
    """What is accepted as equivalent is told by its name, which does not change with the lines around it."""
    source = "def f(x: int) -> int:\n    if x > 1 and x > 1:\n        return x + 1\n    return 0\n"
    found = {mutant.name: mutant.source for mutant in mutants(source)}
    below = {mutant.name: mutant.source for mutant in mutants("y = None\n\n\n" + source)}

    assert len(found) == len(list(mutants(source)))
    assert found.keys() == below.keys()
    assert found["f: return x + 1: Sub in x + 1"].endswith("        return x - 1\n    return 0")
    assert source not in found.values()
