"""What keeps the code easy to walk through: no circle of imports, no class with many ideas, one meaning a name."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import afterbert

ROOT = Path(afterbert.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MOST_METHODS = 15


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def module_of(path: Path) -> str:
    parts = ("afterbert", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imported_at_start(path: Path) -> set[str]:
    """Modules of ours that a file imports as it is read; not those inside functions, and not those for types."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.ImportFrom) and child.module:
                for alias in child.names:
                    name = f"{child.module}.{alias.name}"
                    found.add(name if name in MODULES else child.module)
            elif isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            visit(child)

    visit(tree_of(path))
    return {name for name in found if name in MODULES}


def test_no_files_import_each_other_in_a_circle():
    graph = {module: imported_at_start(path) - {module} for module, path in MODULES.items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"imports run in a circle: {' -> '.join(error.args[1])}")


def methods_of(node: ast.ClassDef) -> list[str]:
    return [part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_class_has_too_many_methods():
    large = {
        f"{module}.{node.name}": len(methods_of(node))
        for module, path in MODULES.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and len(methods_of(node)) > MOST_METHODS
    }
    assert not large, f"more than {MOST_METHODS} methods, so more than one idea: {large}"


def test_each_class_name_means_one_thing():
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert not {name: where for name, where in places.items() if len(where) > 1}
