"""What is broken, one thing at a time: every comparison, condition, number, item, call that trims, and the like."""

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

from typing_extensions import override

_COMPARED: Final = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_CALCULATED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.RShift: ast.LShift,
    ast.LShift: ast.RShift,
}
_TRIMS: Final = {"strip", "rstrip", "lstrip", "lower", "upper", "removesuffix", "removeprefix"}
_SWAPPED: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
# So much of a statement names it; some are tables.
_SHOWN: Final = 90
_BOUNDS: Final = re.compile(r"\{(\d+)(?:,(\d+))?\}")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one thing changed."""

    name: str
    """Where and what, without numbers of lines: it stays the same while the code around it changes."""
    line: int
    source: str


class _Changer(ast.NodeTransformer):
    """Changes the place of this number; `name` tells how, and is empty when there are not so many places."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._count = 0
        self._scope: list[str] = []
        self._around: ast.stmt | ast.keyword | None = None
        """The innermost statement, or argument by name."""
        self.name = ""
        self.line = 0

    def _is_it(self, node: ast.AST, what: str) -> bool:
        self._count += 1
        if self._count - 1 != self._wanted:
            return False
        around = ast.unparse(self._around or node).partition("\n")[0][:_SHOWN]
        self.name = f"{'.'.join(self._scope)}: {around}: {what}"
        self.line = getattr(node, "lineno", 0)
        return True

    @override
    def visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, ast.stmt | ast.keyword):
            return cast("ast.AST", super().visit(node))
        around, self._around = self._around, node
        changed = cast("ast.AST", super().visit(node))
        self._around = around
        return changed

    # ------------------------------------------------------------ statements

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self._scope.append(node.name)
        node.body = [cast("ast.stmt", self.visit(one)) for one in node.body]
        node.args.defaults = [cast("ast.expr", self.visit(one)) for one in node.args.defaults]
        node.args.kw_defaults = [one and cast("ast.expr", self.visit(one)) for one in node.args.kw_defaults]
        self._scope.pop()
        return node

    visit_FunctionDef = _visit_function  # noqa: N815
    visit_AsyncFunctionDef = _visit_function  # noqa: N815

    @override
    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._scope.append(node.name)
        node.body = [cast("ast.stmt", self.visit(one)) for one in node.body]
        self._scope.pop()
        return node

    @override
    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Constant):
            return node
        if isinstance(node.value, ast.Call) and self._is_it(node, "not called"):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    @override
    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.copy_location(ast.Pass(), node) if self._is_it(node, "not raised") else node

    @override
    def visit_Delete(self, node: ast.Delete) -> ast.AST:
        return ast.copy_location(ast.Pass(), node) if self._is_it(node, "not deleted") else node

    @override
    def visit_Break(self, node: ast.Break) -> ast.AST:
        return ast.copy_location(ast.Continue(), node) if self._is_it(node, "goes on") else node

    @override
    def visit_Continue(self, node: ast.Continue) -> ast.AST:
        return ast.copy_location(ast.Pass(), node) if self._is_it(node, "passed") else node

    @override
    def visit_If(self, node: ast.If) -> ast.AST:
        return node if ast.unparse(node.test) == "TYPE_CHECKING" else self._condition(node)

    @override
    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self._condition(node)

    def _condition(self, node: ast.If | ast.IfExp) -> ast.AST:
        for value in (True, False):
            if self._is_it(node, f"if {value} for {ast.unparse(node.test)}"):
                node.test = ast.copy_location(ast.Constant(value), node.test)
                return node
        return self.generic_visit(node)

    @override
    def visit_Return(self, node: ast.Return) -> ast.AST:
        is_constant = isinstance(node.value, ast.Constant)
        if node.value is not None and not is_constant and self._is_it(node, "None"):
            node.value = ast.copy_location(ast.Constant(None), node.value)
            return node
        return self.generic_visit(node)

    @override
    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        if isinstance(target, ast.Name) and target.id in {"__slots__", "__all__"}:
            return node
        if isinstance(target, ast.Attribute | ast.Subscript) and self._is_it(node, "not set"):
            return ast.copy_location(ast.Pass(), node)
        node.value = self.visit(node.value)  # type: ignore[assignment]
        return node

    @override
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None and ast.unparse(node.annotation) != "TypeAlias":
            node.value = self.visit(node.value)  # type: ignore[assignment]
        return node

    @override
    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        other = _CALCULATED.get(type(node.op))
        if other is not None and self._is_it(node, other.__name__):
            node.op = other()
        node.value = self.visit(node.value)  # type: ignore[assignment]
        return node

    # ------------------------------------------------------------ expressions

    @override
    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node

    @override
    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        for at, operator in enumerate(node.ops):
            other = _COMPARED[type(operator)]
            if self._is_it(node, f"{other.__name__} in {ast.unparse(node)}"):
                node.ops[at] = other()
        return self.generic_visit(node)

    @override
    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        if self._is_it(node, f"{other.__name__} in {ast.unparse(node)}"):
            node.op = other()
        for at, value in enumerate(node.values):
            if self._is_it(node, f"without {ast.unparse(value)}"):
                del node.values[at]
                return node if len(node.values) > 1 else node.values[0]
        return self.generic_visit(node)

    @override
    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.Not | ast.Invert) and self._is_it(
            node, f"{ast.unparse(node.operand)} is not negated"
        ):
            return node.operand
        return self.generic_visit(node)

    @override
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        other = _CALCULATED.get(type(node.op))
        if other is not None and self._is_it(node, f"{other.__name__} in {ast.unparse(node)}"):
            node.op = other()
        return self.generic_visit(node)

    @override
    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr in _TRIMS and self._is_it(node, f"without {called.attr}"):
            return called.value
        if isinstance(called, ast.Attribute) and called.attr in _TRIMS:
            # What is trimmed: one of the characters less.
            for one in node.args:
                if isinstance(one, ast.Constant) and isinstance(one.value, bytes) and len(one.value) > 1:
                    for part in (one.value[1:], one.value[:-1]):
                        if self._is_it(one, f"trims {part!r} alone"):
                            one.value = part
            node.func = cast("ast.expr", self.visit(called))
            return node
        other = _SWAPPED.get(called.id) if isinstance(called, ast.Name) else None
        if other is not None and self._is_it(node, other):
            node.func = ast.copy_location(ast.Name(other, ast.Load()), called)
        return self.generic_visit(node)

    @override
    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        for at, test in enumerate(node.ifs):
            if self._is_it(node, f"without if {ast.unparse(test)}"):
                del node.ifs[at]
                return node
        return self.generic_visit(node)

    @override
    def visit_Set(self, node: ast.Set) -> ast.AST:
        return self._without_items(node)

    @override
    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:
        return self._without_items(node) if isinstance(node.ctx, ast.Load) else node

    @override
    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        for at, key in enumerate(node.keys):
            if self._is_it(key or node, f"without {key and ast.unparse(key)}"):
                del node.keys[at], node.values[at]
                return node
        node.values = [cast("ast.expr", self.visit(one)) for one in node.values]
        return node

    def _without_items(self, node: ast.Set | ast.Tuple) -> ast.AST:
        for at, item in enumerate(node.elts):
            is_constant = isinstance(item, ast.Constant) and item.value is not ...
            if is_constant and len(node.elts) > 1 and self._is_it(item, f"without {ast.unparse(item)}"):
                del node.elts[at]
                return node
        return node if isinstance(node, ast.Set) else self.generic_visit(node)

    @override
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        value = node.value
        if isinstance(value, bool):
            if self._is_it(node, f"the opposite of {value}"):
                node.value = not value
        elif isinstance(value, int):
            for step in (1, -1):
                if self._is_it(node, f"{value}{step:+d}"):
                    node.value = value + step
        elif isinstance(value, bytes) and value:
            self._bytes(node, value)
        elif isinstance(value, str):
            for other, what in _other_bounds(value):
                if self._is_it(node, what):
                    node.value = other
        return node

    def _bytes(self, node: ast.Constant, value: bytes) -> None:
        if self._is_it(node, f"one more before {value!r}"):
            node.value = b"\x01" + value
        if len(value) > 1 and self._is_it(node, f"without the last of {value!r}"):
            node.value = value[:-1]
        for other, what in _other_bounds(value.decode("latin-1")):
            if self._is_it(node, what):
                node.value = other.encode("latin-1")


def _other_bounds(text: str) -> Iterator[tuple[str, str]]:
    """Yield an expression with one number of one `{1,15}` changed, and how."""
    for found in _BOUNDS.finditer(text):
        for group in (1, 2):
            for step in (1, -1) if found[group] else ():
                other = str(int(found[group]) + step)
                begin, end = found.span(group)
                yield text[:begin] + other + text[end:], f"{found[group]}{step:+d} in {text[: end + 1]!r}"


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module; no two have the same name."""
    tree = ast.parse(source)
    names: dict[str, int] = {}
    number = 0
    while True:
        changer = _Changer(number)
        changed = changer.visit(copy.deepcopy(tree))
        if not changer.name:
            return
        number += 1
        names[changer.name] = again = names.get(changer.name, 0) + 1
        name = changer.name + (f" ({again})" if again > 1 else "")
        yield Mutant(name, changer.line, ast.unparse(ast.fix_missing_locations(changed)))
