"""Runs a room's tests with another source in place of one module's, each time in a fork that imports everything anew."""

import contextlib
import importlib.abc
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

import blockbuster
import pytest
from typing_extensions import override

ROOT: Final = Path(__file__).parents[2]
_OPTIONS: Final = (
    "-q", "-x", "-s", "--no-header", "--no-summary", "--tb=no", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist",
)  # fmt: skip
_OURS: Final = ("authproxy", "tests", "test_")
# Whose tests, beside those in the module's own file, notice most.
_TESTED_WITH: Final = {"fields": "request", "head": "request", "lines": "request", "shape": "request"}
# Some mutants never come to their end, or ask for all memory there is.
_PATIENCE: Final = 3
_MEMORY: Final = 4 * 1024**3


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, whose source is given."""

    def __init__(self, path: str, source: str) -> None:
        self._name = path.removesuffix(".py").replace("/", ".")
        self._path = str(ROOT / path)
        self._source = source

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, origin=self._path) if fullname == self._name else None

    @override
    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, self._path, "exec"), vars(module))


class Trial:
    """Tries sources of one module: with its own tests, then with all of its room."""

    def __init__(self, module: str) -> None:
        """Import what every run needs and no run changes.

        Raises:
            RuntimeError: the tests fail as they are.
        """
        os.chdir(ROOT)
        os.environ["HYPOTHESIS_PROFILE"] = "still"
        # Takes most of a small test's time, and finds nothing in a mutant.
        vars(blockbuster)["blockbuster_ctx"] = contextlib.nullcontext
        self._module = module
        self._seconds = resource.RLIM_INFINITY
        path = Path(module)
        room = Path("tests") / path.parent.name
        stems = [path.stem, *_TESTED_WITH.get(path.stem, "").split()]
        own = [str(file) for stem in stems for file in sorted(room.glob(f"test_{stem}*.py"))]
        others = [str(file) for file in sorted(room.glob("test_*.py")) if str(file) not in own]
        self._stages = [files for files in (own, others) if files]
        with _silence():
            pytest.main([*_OPTIONS, "--collect-only", str(room)])
        for name in [name for name in sys.modules if name.startswith(_OURS) and name != __name__]:
            del sys.modules[name]
        before = _used()
        if not self.passes((ROOT / module).read_text()):
            raise RuntimeError(f"{room}: the tests fail without any change")
        self._seconds = int(_PATIENCE * (_used() - before)) + 1

    def passes(self, source: str) -> bool:
        """Return whether all tests pass with this source."""
        return all(self._passes(source, files) for files in self._stages)

    def _passes(self, source: str, files: list[str]) -> bool:
        child = os.fork()
        if not child:
            code = 1
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (self._seconds, self._seconds))
                resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
                sys.meta_path.insert(0, _Loader(self._module, source))
                with _silence():
                    code = int(pytest.main([*_OPTIONS, *files]))
            finally:
                # Nothing of the parent's is this child's to clean up.
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _used() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
