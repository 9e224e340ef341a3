"""A database in a file, in which a list is read as others would read it: with the sqlite3 module."""

import shutil
import sqlite3
import tempfile
import weakref
from contextlib import closing
from pathlib import Path


class Sandbox:
    list = "NPS détracteurs [2026]; %s :x"

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp())
        self.settings = {"SQL_URL": f"sqlite:///{self.folder / 'lists.db'}"}
        weakref.finalize(self, shutil.rmtree, self.folder)

    def member(self, n):
        return {"email": f"person{n}@example.com", "first_name": "Ada"}

    def unwelcome(self):
        return {**self.member(0), "first_name": 5}  # in a text it would be "5"

    def holds(self, fields):
        return any(all(row.get(name) == value for name, value in fields.items()) for row in self.rows())

    def rows(self):
        with closing(sqlite3.connect(self.folder / "lists.db")) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(f'select * from "{self.list}"')]
