"""The house's own rules: which room may import which, what a room says of itself, and how long it may grow."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).parent.parent
PACKAGE = HOUSE / "src" / "audiences"

# From the ground up. A room imports from the floors below its own, never beside it or above: so no circle can close.
FLOORS: tuple[set[str], ...] = (
    {
        "audience",
        "cron",
        "denied",
        "errors",
        "identity",
        "mask",
        "member",
        "place",
        "portable",
        "ranges",
        "revision",
        "signature",
        "span",
    },
    {"verbs"},
    {"batch", "connector", "dbt", "keys", "log", "phone", "plan", "query", "settings", "state", "store", "warehouse"},
    {"chosen", "journal", "mailbox", "property", "sobjects", "trace"},
    {"normal"},
    {
        "connectors",
        "control",
        "fresh",
        "hashed",
        "header",
        "http",
        "lease",
        "runs",
        "schema",
        "terms",
        "tracking",
    },
    {"claims", "tables", "whole"},
    {"joined"},
    {"__init__", "account", "changes", "definition", "send", "verdicts"},
    {"deliver", "history", "ledger", "outbox", "project", "theirs"},
    {"digests", "reader"},
    {"book", "compare", "pending", "settle", "stage", "unknown"},
    {"rename", "repair", "worker"},
    {"dispatch"},
    {"preview", "steps"},
    {"run"},
    {"demo", "schedule"},
    {"alerts"},
    {"cli"},
    {"__main__"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, 1) for room in rooms}

# By itself or through any room that it builds on: delivery knows no SQL, and a plan holds no connection.
STRANGERS = {
    "deliver": {"sqlalchemy", "duckdb", "sqlglot", "audiences.warehouse", "audiences.state"},
    "plan": {"sqlalchemy", "duckdb", "sqlglot", "audiences.warehouse", "audiences.state"},
}

COMES_WITH = {"pydantic_core": "pydantic"}  # pydantic pins it, and documents its errors as its own

LONGEST_FUNCTION = 40
LONGEST_FILE = 250

ROOMS = sorted(path for path in PACKAGE.rglob("*.py") if "shipped" not in path.parts)
CONNECTORS = sorted((HOUSE / "connectors").glob("*.py"))
FILES = ROOMS + CONNECTORS
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]


@cache
def distributions() -> Mapping[str, list[str]]:
    """Package as imported -> the distributions that bring it. Asked once: it reads what each has installed."""
    return packages_distributions()


@cache
def tree(path: Path) -> ast.Module:
    """What a file says, parsed once."""
    return ast.parse(path.read_text())


@cache
def imported(path: Path) -> Sequence[tuple[int, str]]:
    """(line, dotted name) of every import in a file, those inside functions too."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def imports(paths: Iterable[Path]) -> Iterator[tuple[Path, str, str]]:
    """(file, where, dotted name) of every import in these."""
    return ((path, f"{path.relative_to(HOUSE)}:{line}", name) for path in paths for line, name in imported(path))


def room_of(path: Path) -> str:
    """The room that a file belongs to: its own name, or that of its folder."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def room_named(name: str) -> str:
    """The room behind `audiences.<room>.…`; what is no room is a name on the package's face."""
    part = name.split(".")[1]
    return part if part in NAMED else "__init__"


NAMED = {room_of(path) for path in ROOMS}


def test_every_room_stands_on_a_floor():
    """
    Every room has its floor in the table above: whoever adds one decides what it may know.
    """
    assert not NAMED - FLOOR.keys(), "say in FLOORS where they stand"


def test_the_table_names_no_room_that_is_gone():
    """
    The table of floors describes the house as it is.
    """
    assert not FLOOR.keys() - NAMED


def test_imports_only_go_down():
    """
    A room imports from lower floors alone, wherever the import stands.
    """
    ours = [(room_of(path), where, name) for path, where, name in imports(ROOMS) if name.startswith("audiences.")]
    steps = [(where, here, there) for here, where, name in ours if (there := room_named(name)) != here]

    assert steps
    assert not [f"{where}: {there} is not below {here}" for where, here, there in steps if FLOOR[there] >= FLOOR[here]]


def known(room: str) -> set[str]:
    """Every dotted name that a room imports, by itself or through the rooms below it."""
    names = {name for path in ROOMS if room_of(path) == room for _, name in imported(path)}
    below = {room_named(name) for name in names if name.startswith("audiences.")} - {room}
    return names.union(*(known(each) for each in below))


@pytest.mark.parametrize("room", STRANGERS)
def test_a_room_does_not_know_what_is_not_its_business(room):
    """
    Delivery knows no SQL, and a plan holds no connection, however far down one looks.
    """
    strangers = {name for name in known(room) for each in STRANGERS[room] if f"{name}.".startswith(f"{each}.")}

    assert not strangers


def test_a_connector_knows_only_the_face():
    """
    A connector imports from the package what the package shows, and the rules of identifiers: nothing behind them.
    """
    ours = [(where, name) for _, where, name in imports(CONNECTORS) if name.split(".")[0] == "audiences"]

    assert ours
    assert not [told for told in ours if room_named(f"{told[1]}.") not in {"__init__", "normal"}]


def test_a_file_says_what_it_is():
    """
    Every file opens with a docstring; a connector's is its documentation.
    """
    assert not [path for path in FILES if not ast.get_docstring(tree(path))]


def test_public_names_say_what_they_are():
    """
    Every public class and function of a room has a docstring.
    """
    nodes = [(path, node) for path in ROOMS for node in tree(path).body]
    told = [(path, node) for path, node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)]

    assert told
    assert not [(path, node.name) for path, node in told if node.name[0] != "_" and not ast.get_docstring(node)]


def test_rooms_stay_small():
    """
    No function is longer than 40 lines and no file longer than 250: past that it is two.
    """
    nodes = [(path, node) for path in FILES for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]
    lines = {path: len(path.read_text().splitlines()) for path in FILES}

    assert not [(path, node.name) for path, node in nodes if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION]
    assert not {path: number for path, number in lines.items() if number > LONGEST_FILE}


def test_what_is_imported_is_required():
    """
    A package that the code imports is named in pyproject.toml, not brought along by another by luck.
    """
    lists = [PROJECT["dependencies"], *PROJECT.get("optional-dependencies", {}).values()]
    required = {canonicalize_name(Requirement(each).name) for listed in lists for each in listed}
    named = [(where, name.split(".")[0]) for _, where, name in imports(FILES)]
    tops = [(where, COMES_WITH.get(top, top)) for where, top in named]
    others = [(where, top) for where, top in tops if top != "audiences" and top not in sys.stdlib_module_names]

    assert others
    for where, top in others:
        owners = {canonicalize_name(owner) for owner in distributions()[top]}
        assert owners & required, f"{where} imports {top}, which pyproject.toml does not require"


def test_help_is_quick():
    """
    Asking for help loads no database, SQL parser or HTTP client: together they cost most of a second.
    """
    code = "import sys, audiences.cli; print(*sys.modules)"
    where = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}

    loaded = subprocess.run([sys.executable, "-c", code], env=where, capture_output=True, text=True, check=True).stdout

    assert not {"sqlalchemy", "duckdb", "sqlglot", "httpx", "pydantic"} & {*loaded.split()}
