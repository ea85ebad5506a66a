"""Breaks the pure rooms one operator at a time, and tells which breakage no test notices.

    make mutants                                          the modules of the refusal table
    make mutants MUTANTS='authproxy/http1/chunked.py'     one of them
    make mutants MUTANTS='--unit-only'                    without the conformance tests, which take long

Each mutant is tried in a copy of the tree: first by the unit tests of its room, then, where these pass, by the
conformance tests against the real process. What survives both is printed.
"""

import ast
import copy
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest
from typing_extensions import override

ROOT: Final = Path(__file__).parents[1]
MODULES: Final = (
    *(f"authproxy/http1/{name}.py" for name in ("request", "chunked", "answer", "lines", "shape", "body")),
    *(f"authproxy/core/{name}.py" for name in ("path", "names", "route", "decision", "token", "bearer")),
)
_COMPARED: Final = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_CALCULATED: Final = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.RShift: ast.LShift,
}
_SECONDS: Final = 60
_ERROR: Final = 99
_CONFORMANCE_SECONDS: Final = 400


class _Mutants(ast.NodeTransformer):
    """Changes the place of this number; `what` tells how."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.count = 0
        self.what = ""

    def _is_it(self, node: ast.AST, what: str) -> bool:
        self.count += 1
        if self.count - 1 != self._wanted:
            return False
        self.what = f"{getattr(node, 'lineno', 0)}: {what}: {ast.unparse(node)[:110]!r}"
        return True

    @override
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    @override
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        first = node.body[0]
        is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        node.body = [one if is_doc and one is first else self.visit(one) for one in node.body]
        node.args.defaults = [self.visit(one) for one in node.args.defaults]
        return node

    @override
    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    @override
    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.copy_location(ast.Pass(), node) if self._is_it(node, "not raised") else node

    @override
    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node

    @override
    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        for at, operator in enumerate(node.ops):
            other = _COMPARED[type(operator)]
            if self._is_it(node, f"{type(operator).__name__} is {other.__name__}"):
                node.ops[at] = other()
        return self.generic_visit(node)

    @override
    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        if self._is_it(node, f"{type(node.op).__name__} is {other.__name__}"):
            node.op = other()
        for at in range(len(node.values)):
            if self._is_it(node, f"without part {at}"):
                del node.values[at]
                return node if len(node.values) > 1 else node.values[0]
        return self.generic_visit(node)

    @override
    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.Not) and self._is_it(node, "without not"):
            return node.operand
        return self.generic_visit(node)

    @override
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        other = _CALCULATED.get(type(node.op))
        if other is not None and self._is_it(node, f"{type(node.op).__name__} is {other.__name__}"):
            node.op = other()
        return self.generic_visit(node)

    @override
    def visit_If(self, node: ast.If) -> ast.AST:
        for value in (True, False):
            if self._is_it(node.test, f"if {value}"):
                node.test = ast.copy_location(ast.Constant(value), node.test)
                return node
        return self.generic_visit(node)

    @override
    def visit_Return(self, node: ast.Return) -> ast.AST:
        is_constant = isinstance(node.value, ast.Constant)
        if node.value is not None and not is_constant and self._is_it(node, "returns None"):
            node.value = ast.copy_location(ast.Constant(None), node.value)
            return node
        return self.generic_visit(node)

    @override
    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        attribute = isinstance(node.targets[0], ast.Attribute)
        if attribute and self._is_it(node, "not set"):
            return ast.copy_location(ast.Pass(), node)
        node.value = self.visit(node.value)
        return node

    @override
    def visit_Set(self, node: ast.Set) -> ast.AST:
        return self._collection(node)

    @override
    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:
        return self._collection(node) if isinstance(node.ctx, ast.Load) else node

    @override
    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        for at, key in enumerate(node.keys):
            if self._is_it(key or node, "without the entry"):
                del node.keys[at], node.values[at]
                return node
        return node

    def _collection(self, node: ast.Set | ast.Tuple) -> ast.AST:
        for at, item in enumerate(node.elts):
            if isinstance(item, ast.Constant) and len(node.elts) > 1 and self._is_it(item, "without the item"):
                del node.elts[at]
                return node
        return node

    @override
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        value = node.value
        if isinstance(value, bool):
            if self._is_it(node, "the opposite of"):
                node.value = not value
        elif isinstance(value, int):
            for step in (1, -1):
                if self._is_it(node, f"{step:+d}"):
                    node.value = value + step
        elif isinstance(value, bytes) and value and self._is_it(node, "other bytes than"):
            node.value = b"\x01" + value
        return node


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yield what is changed, and the source with that change."""
    tree = ast.parse(source)
    number = 0
    while True:
        mutator = _Mutants(number)
        changed = mutator.visit(copy.deepcopy(tree))
        if not mutator.what:
            return
        yield mutator.what, ast.unparse(ast.fix_missing_locations(changed))
        number += 1


def _run_tests(tree: Path, path: str) -> None:
    """Run tests in this process and end it with their outcome."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    sys.dont_write_bytecode = True
    options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
    os._exit(int(pytest.main([*options, path])))


def _unit_tests(tree: Path, path: str) -> bool:
    """Run tests in a child of this process, which has the libraries loaded and nothing of the program; True: passed."""
    child = os.fork()
    if not child:
        try:
            _run_tests(tree, path)
        finally:
            # Nothing of the parent's is this child's to clean up.
            os._exit(_ERROR)
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _conformance_tests(tree: Path) -> bool:
    environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly",
               "tests/conformance", "tests/fuzz"]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=tree, env=environ, capture_output=True, timeout=_CONFORMANCE_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@click.command(help="Breaks the pure rooms one operator at a time, and tells which breakage no test notices.")
@click.argument("modules", nargs=-1)
@click.option("--unit-only", is_flag=True, help="Without the conformance tests.")
def main(*, modules: tuple[str, ...], unit_only: bool) -> None:
    # Loaded once, here; every child then has them.
    for library in ("aiohttp.web", "cryptography.x509"):
        __import__(library)
    survived = tried = 0
    with tempfile.TemporaryDirectory(prefix="authproxy-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(
            ROOT, tree, ignore=shutil.ignore_patterns(".venv", ".git", "*_cache", "__pycache__", ".hypothesis")
        )
        if not _unit_tests(tree, "tests/http1/test_body.py"):
            raise click.ClickException("the tests fail without any mutant")
        for module in modules or MODULES:
            source = (ROOT / module).read_text()
            room = Path(module).parent.name
            own = f"tests/{room}/test_{Path(module).stem}.py"
            # Its own tests notice most; collecting the others takes longer than running these.
            rounds = ([own] if (ROOT / own).exists() else []) + [f"tests/{room}"]
            for what, changed in mutants(source):
                tried += 1
                (tree / module).write_text(changed)
                if all(_unit_tests(tree, path) for path in rounds) and (unit_only or _conformance_tests(tree)):
                    survived += 1
                    click.echo(f"survived {module}:{what}")
            (tree / module).write_text(source)
            click.echo(f"{tried} tried, {survived} survived up to {module}")
    raise SystemExit(1 if survived else 0)


if __name__ == "__main__":
    main()
