"""What a dbt run has rebuilt, as its artifacts tell: run_results.json, and manifest.json beside it.

Results are of v4 to v6, manifests of v9 to v12; of either only what is named here is read.
https://docs.getdbt.com/reference/artifacts/run-results-json, …/manifest-json (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from audiences.errors import DefinitionError

BUILDING = ("build", "run", "retry", "seed", "snapshot")  # `dbt compile` calls a model a success that it never built
BUILT = ("model", "seed", "snapshot")  # kinds of nodes that are a relation
TESTS = ("test", "unit_test")
PASSED = ("success", "pass", "warn")
Relation = tuple[str, str, str]  # database, schema and name, in lower case


class Outcome(BaseModel):
    """What became of one node."""

    unique_id: str
    status: str

    @property
    def kind(self) -> str:
        return self.unique_id.partition(".")[0]


class RunResults(BaseModel):
    """Of run_results.json: only nodes that were executed, or skipped, are in it."""

    results: list[Outcome]
    args: dict[str, Any] = {}


class Depends(BaseModel):
    """What a node is built from, or what a test looks at."""

    nodes: list[str] = []


class Node(BaseModel):
    """Of a manifest: a model, seed, snapshot or test."""

    database: str | None = None
    schema_name: str = Field("", alias="schema")
    name: str
    alias: str | None = None
    depends_on: Depends = Depends()

    @property
    def relation(self) -> Relation:
        return (self.database or "").lower(), self.schema_name.lower(), (self.alias or self.name).lower()


class Manifest(BaseModel):
    """Of manifest.json."""

    nodes: dict[str, Node]
    unit_tests: dict[str, Node] = {}


File = TypeVar("File", RunResults, Manifest)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The relations that a dbt run was to rebuild -> why one is not to be read, in words; empty: it passed."""

    relations: Mapping[Relation, str]

    def named(self, tables: Collection[Sequence[str]]) -> list[str]:
        """Of those that a query names why each is not to be read; empty words for each that passed."""
        return [why for relation, why in self.relations.items() if any(_same(table, relation) for table in tables)]


def read(path: Path) -> Rebuilt:
    """What run_results.json at `path` says. Raises DefinitionError for a file that is something else."""
    results, manifest = _parsed(path, RunResults), _parsed(path.with_name("manifest.json"), Manifest)
    which = results.args.get("which", "build")
    if which not in BUILDING:
        raise DefinitionError(
            f"{path} is of `dbt {which}`, which rebuilds nothing", do="name the one that `dbt build` has written"
        )
    known = manifest.nodes | manifest.unit_tests
    if strange := [
        each.unique_id for each in results.results if each.kind in BUILT + TESTS and each.unique_id not in known
    ]:
        raise DefinitionError(
            f"{path} tells of {strange[0]}, which the manifest.json beside it does not know",
            do="keep both files of one dbt run together",
        )
    failed = dict(_failed(results, known))
    built = [each.unique_id for each in results.results if each.kind in BUILT]
    return Rebuilt({known[name].relation: failed.get(name, "") for name in built})


def _failed(results: RunResults, known: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    """Nodes that did not pass, and why: their own outcome, which comes last, or that of a test of theirs."""
    for each in sorted(results.results, key=lambda each: each.kind in BUILT):
        if each.status in PASSED:
            continue
        if each.kind in BUILT:
            yield each.unique_id, f"{known[each.unique_id].relation[2]} ended with {each.status!r} in dbt"
        elif each.kind in TESTS:
            for name in known[each.unique_id].depends_on.nodes:
                yield name, f"{known[each.unique_id].name}, a test in dbt, ended with {each.status!r}"


def _same(table: Sequence[str], relation: Relation) -> bool:
    """Whether a query's words for a table may mean a relation: what they leave open is taken for it."""
    *place, name = (part.lower() for part in table)
    database, schema, alias = relation
    return name == alias and (place in ([], [schema], [database]) or place == [database, schema])


def _parsed(path: Path, kind: type[File]) -> File:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DefinitionError(
            f"{path} cannot be read: {error.strerror}", do="name dbt's target/run_results.json, manifest.json beside it"
        ) from None
    except ValidationError:
        raise DefinitionError(
            f"{path} is not what dbt writes as {'run_results' if kind is RunResults else 'manifest'}.json",
            do="name the target/run_results.json that `dbt build` has written",
        ) from None
