"""Where the vendors' own specifications are, and which of them a connector is held to: tests/specifications.toml."""

from __future__ import annotations

import os
import tomllib
from functools import cache
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
import yaml

import codegen
import discovery
import specification
import swagger
from specification import Specification
from test_every_connector import ROOTS

HOUSE = Path(__file__).parent.parent
LISTS = [file for root in ROOTS if (file := root / "tests" / "specifications.toml").is_file()]
NAMED = {name: each for file in LISTS for name, each in tomllib.loads(file.read_text("utf-8")).items()}
VARIABLE = "AUDIENCES_SPECIFICATIONS"


def folder(above: Path = HOUSE, named: str | None = os.environ.get(VARIABLE)) -> Path | None:
    """The folder of the vendors' files: as exported, or beside the checkout or any folder above it."""
    if named:
        return Path(named)
    near = (parent / "shared" / "vendor-apis" / "specs" for parent in above.parents)
    return next((path for path in near if path.is_dir()), None)


def wanted(connector: str) -> str:
    """What a clone without the folder is told."""
    files = "; ".join(f"{each['file']} from {each['source']}" for each in NAMED[connector]["files"])
    return f"the specifications are not here: put into a folder {files}; then export {VARIABLE}=<the folder>"


def of(connector: str) -> Specification:
    """A connector's specification; the test is skipped where there is no folder of them at all."""
    where = folder()
    if where is None:
        pytest.skip(wanted(connector))
    return load(connector, where)


@cache
def load(connector: str, where: Path) -> Specification:
    """A connector's specification from a folder. Raises AssertionError for a file that is missing, or another."""
    operations = []
    for each in NAMED[connector]["files"]:
        path = where / each["file"]
        assert path.is_file(), f"{path} is missing; it is {each['source']}"
        content = path.read_bytes()
        assert sha256(content).hexdigest() == each["sha256"], f"{path} is not the file that was read: {each['source']}"
        document = _raised(_parsed(path, content), path)
        version = str(document["info"]["version"])
        assert version == each.get("version"), f'write version = "{version}" below {each["file"]} in the list'
        operations += specification.read(document, each.get("servers", ()))
    return Specification(operations)


def _raised(document: dict, path: Path) -> dict:
    """A document in the words of OpenAPI 3.0, whatever its own are."""
    if "apis" in document:
        return codegen.raised(document, path.stem)
    if "discoveryVersion" in document:
        return discovery.raised(document)
    return swagger.raised(document) if "swagger" in document else document


def _parsed(path: Path, content: bytes) -> dict:
    if path.suffix == ".json":
        return orjson.loads(content)
    return yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
