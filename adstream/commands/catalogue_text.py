"""Read the catalogues as text, for the shell: nobody waits for Spark while typing.

A job, a source or a check is a call in a file: `Job("ad-metrics", ..., ad_metrics, ...)`. The name is the call's first
argument. The import of the pattern's name leads to the pattern's file.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from common import extensions, project
from common.errors import AdstreamError


@dataclass(frozen=True)
class Entry:
    """One call in a catalogue: its first argument, its file, and the file's tree."""

    name: str
    call: ast.Call
    module: "_Module"

    def sets(self, keyword: str) -> bool:
        """Return whether the call has this keyword."""
        return any(each.arg == keyword for each in self.call.keywords)

    def options(self) -> dict[str, bool]:
        """Return the names of the pattern's keyword arguments, and whether each is a flag."""
        pattern = self.call.args[3] if len(self.call.args) > 3 else None
        named = pattern or next((each.value for each in self.call.keywords if each.arg == "pattern"), None)
        function = self.module.function(named.id) if isinstance(named, ast.Name) else None
        if function is None:
            return {}
        defaults = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        return {each.arg: isinstance(getattr(default, "value", None), bool) for each, default in defaults}


def entries(module: str, kind: str, attribute: str = "") -> list[Entry]:
    """Return the calls of `kind` in a catalogue, and in the modules of a project and of installed packages."""
    return [entry for file in _files(module, attribute) for entry in _Module(file).calls(kind)]


def keys(module: str, name: str) -> list[str]:
    """Return the keys of the dict that a module assigns to `name`."""
    file = _file(module)
    nodes = [] if file is None else _Module(file).tree.body
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=assigned)], value=ast.Dict(keys=found)) if assigned == name:
                return [each.value for each in found if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return []


@dataclass(frozen=True)
class _Module:
    file: Path

    @cached_property
    def tree(self) -> ast.Module:
        try:
            return ast.parse(self.file.read_text(encoding="utf-8"))
        except (OSError, SyntaxError):
            return ast.Module(body=[], type_ignores=[])

    def calls(self, kind: str) -> Iterator[Entry]:
        for node in ast.walk(self.tree):
            match node:
                case ast.Call(func=ast.Name(id=called), args=[ast.Constant(value=str(name)), *_]) if called == kind:
                    yield Entry(name, node, self)

    def function(self, name: str) -> ast.FunctionDef | None:
        """Return the function of this name, from here or from the module that it is imported from."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return node
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    if (alias.asname or alias.name) == name and (file := _file(node.module)) is not None:
                        return _Module(file).function(alias.name)
        return None


def _files(module: str, attribute: str) -> Iterator[Path]:
    if (ours := _file(module)) is not None:
        yield from sorted(ours.parent.glob("*.py")) if ours.name == "__init__.py" else [ours]
    if not attribute:
        return
    try:
        own = project.root()
    except AdstreamError:
        own = None
    if own is not None:
        yield own / "__init__.py"
    points = extensions.offered(f"adstream.{attribute}")
    yield from dict.fromkeys(file for each in points if (file := extensions.module_file(each)) is not None)


def _file(module: str) -> Path | None:
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None
