"""A folder of lists, read as others would read it: with the csv and json modules, and Parquet with DuckDB."""

import csv
import json
import shutil
import tempfile
import weakref
from pathlib import Path

import duckdb

options = ({"format": "csv"}, {"format": "jsonl"}, {"format": "parquet"})


class Sandbox:
    list = "NPS détracteurs [2026]"
    any_field = "Answer, given"

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp())
        self.settings = {"FILE_FOLDER": str(self.folder)}
        weakref.finalize(self, shutil.rmtree, self.folder)

    def member(self, n):
        return {"email": f"person{n}@example.com", "first_name": "Ada"}

    def holds(self, fields):
        return any(all(same(row.get(name), value) for name, value in fields.items()) for row in self.rows())

    def listed(self):
        return {row["email"] for row in self.rows()} if any(self.folder.glob("[!.]*")) else set()

    def rows(self):
        """Everybody in the one list of the folder."""
        [path] = self.folder.glob("[!.]*")
        if path.suffix == ".parquet":
            read = duckdb.sql(f"from '{path}'")
            return [dict(zip(read.columns, row, strict=True)) for row in read.fetchall()]
        with path.open(newline="", encoding="utf-8") as file:
            return [json.loads(line) for line in file] if path.suffix == ".jsonl" else [*csv.DictReader(file)]


def same(found, sent):
    """CSV is text, in which None is empty; lists and dicts are JSON text but in JSON Lines."""
    if found == sent and type(found) is type(sent):
        return True
    if isinstance(found, str) and not isinstance(sent, str):
        return found == "" if sent is None else found == json.dumps(sent) or unpacked(found) == sent
    return False


def unpacked(text):
    """The list or dict in a text; None where there is none."""
    return json.loads(text) if text[:1] in ("[", "{") else None
