"""Breaks the pure rooms one operator at a time, and tells which breakage no test notices.

    make mutants                                          the modules of the refusal table
    make mutants MUTANTS='authproxy/http1/chunked.py'     one of them
    make mutants MUTANTS='--wire'                         with the conformance tests, which take long

The tests of the room are collected once; then every mutant is put into the functions, classes and constants of a
fork, which runs the tests until one fails. What survives is printed: it is equivalent, or a test is missing.
With --wire, what survives is tried by the conformance tests too, in a copy of the tree and against the real process.
"""

import ast
import contextlib
import copy
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Final, cast

import click
import pytest
from typing_extensions import override

ROOT: Final = Path(__file__).parents[1]
MODULES: Final = (
    *(
        f"authproxy/http1/{name}.py"
        for name in ("request", "fields", "usual", "chunked", "answer", "lines", "shape", "body")
    ),
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
_SECONDS: Final = 8
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
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__slots__":
            return node
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


class _Trial:
    """Runs the tests that were collected once for every mutant, each in a fork of this process."""

    def __init__(self, module: str) -> None:
        self._path = module
        self._name = module.removesuffix(".py").replace("/", ".")
        self.survivors: list[tuple[str, str]] = []
        self.tried = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of the usual loop over all tests."""
        stem = Path(self._path).stem
        session.items.sort(key=lambda item: (f"test_{stem}.py" not in item.nodeid, "oracle" in item.nodeid))
        whole = (ROOT / self._path).read_text()
        if not self._passes(session, whole):
            raise pytest.UsageError("the tests fail without any change")
        for what, source in mutants(whole):
            self.tried += 1
            if self._passes(session, source):
                self.survivors.append((what, source))
                os.write(2, f"survived {self._path}:{what}\n".encode())
        return True

    def _passes(self, session: pytest.Session, source: str) -> bool:
        child = os.fork()
        if not child:
            try:
                # A mutant may never come to its end.
                resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
                _put_in(sys.modules[self._name], source)
                for at, item in enumerate(session.items):
                    following = session.items[at + 1] if at + 1 < len(session.items) else None
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    if session.testsfailed:
                        os._exit(1)
                os._exit(0)
            finally:
                # Nothing of the parent's is this child's to clean up.
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _put_in(module: ModuleType, source: str) -> None:
    """Change a module in place: those who imported its functions, classes and constants have the changed ones."""
    before = dict(vars(module))
    exec(compile(source, str(module.__file__), "exec"), vars(module))
    for name, old in before.items():
        new = vars(module).get(name)
        if new is old or name.startswith("__"):
            continue
        if isinstance(old, FunctionType) and isinstance(new, FunctionType):
            _change(old, new)
        elif isinstance(old, type) and isinstance(new, type) and old.__module__ == module.__name__:
            _change_class(old, new)
            setattr(module, name, old)
        else:
            if isinstance(new, tuple) and isinstance(before.get(type(new).__name__), type):
                # A named tuple is made anew by the class that everybody has.
                new = before[type(new).__name__](*new)
                setattr(module, name, new)
            for other in list(sys.modules.values()):
                if other.__name__.startswith(("authproxy", "tests", "test_")) and vars(other).get(name) is old:
                    setattr(other, name, new)


def _change_class(old: type, new: type) -> None:
    for key, value in list(vars(new).items()):
        mine = vars(old).get(key)
        if isinstance(mine, FunctionType) and isinstance(value, FunctionType):
            _change(mine, value)
        elif isinstance(mine, property) and isinstance(value, property) and mine.fget and value.fget:
            _change(cast("FunctionType", mine.fget), cast("FunctionType", value.fget))
        elif isinstance(value, bool | int | bytes | str | None) and not key.startswith("__"):
            setattr(old, key, value)


def _change(old: FunctionType, new: FunctionType) -> None:
    if len(old.__code__.co_freevars) == len(new.__code__.co_freevars):
        old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def _conformance_tests(module: str, source: str) -> bool:
    """Return whether the conformance tests pass with this source in place of the module's."""
    with tempfile.TemporaryDirectory(prefix="authproxy-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(
            ROOT, tree, ignore=shutil.ignore_patterns(".venv", ".git", ".*_cache", "__pycache__", ".hypothesis")
        )
        (tree / module).write_text(source)
        environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/conformance",
            "tests/fuzz",
        ]
        try:
            done = subprocess.run(command, cwd=tree, env=environ, capture_output=True, timeout=_CONFORMANCE_SECONDS)
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


@click.command(help="Breaks the pure rooms one operator at a time, and tells which breakage no test notices.")
@click.argument("modules", nargs=-1)
@click.option("--wire", is_flag=True, help="Try what survives with the conformance tests, too.")
def main(*, modules: tuple[str, ...], wire: bool) -> None:
    if len(modules) != 1:
        # A process for each module: tests are collected once in one.
        options = ["--wire"] if wire else []
        codes = [subprocess.call([sys.executable, __file__, *options, module]) for module in modules or MODULES]
        raise SystemExit(max(codes))
    (module,) = modules
    trial = _Trial(module)
    options = [
        "-q",
        "-s",
        "--no-header",
        "--no-summary",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-p",
        "no:xdist",
    ]
    os.chdir(ROOT)
    with Path(os.devnull).open("w") as quiet, contextlib.redirect_stdout(quiet):
        pytest.main([*options, str(Path("tests") / Path(module).parent.name)], plugins=[trial])
    left = [what for what, source in trial.survivors if not wire or _conformance_tests(module, source)]
    click.echo(f"{module}: {trial.tried} tried, {len(left)} survived")
    if wire:
        click.echo("\n".join(left))
    raise SystemExit(1 if left or not trial.tried else 0)


if __name__ == "__main__":
    main()
