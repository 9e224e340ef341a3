"""Lists as files: CSV, JSON Lines or Parquet, each of which always holds one whole list.

Set-up: FILE_FOLDER, a folder on a disk that lasts; to have each list in an object store too, whole after each change,
FILE_STORE_URL (s3://…, gs://… or az://…, and `pip install 'audiences[stores]'`; docs/production.md says more). A merge
takes 256 MB however long the list is; where each row has more than 3 kB, FILE_MEMORY (1GB) lets it take more.

`format` is "csv" (the default), "jsonl" or "parquet"; the list "NPS detractors" is then `NPS detractors.csv`, its id.
Columns: `key`, then the fields that are sent. JSON Lines and Parquet keep types; only JSON Lines keeps lists and dicts,
elsewhere they are JSON text. One row an identifier: the fields that `identify` names, by default `email`, else the key.
What is accepted is safe in a journal beside the list, and in the list after `flush`, which replaces the whole file.
https://duckdb.org/docs/stable/sql/statements/copy (read 2026-11)
"""

from __future__ import annotations

import csv
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
import orjson
from pydantic import StringConstraints

from audiences import (
    Chosen,
    DefinitionError,
    DeliveryError,
    Form,
    Journal,
    Limits,
    Member,
    Proof,
    Receipt,
    Unanswered,
    ident_sql,
    supplant,
)

LONGEST = 200  # bytes of a list's name; the journal's own name must fit into 255
PLAIN = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")  # a list's name
PARQUET = "format parquet, compression zstd, row_group_size 20480"  # a row group is held in memory
WRITTEN = {".csv": "format csv, header", ".jsonl": "format json", ".parquet": PARQUET}
CSV = "auto_detect=false, header=true, delim=',', quote='\"', escape='\"', allow_quoted_nulls=false"
KINDS = {".csv": "VARCHAR", ".jsonl": "JSON"}  # of every column; Parquet has types of its own
FITS = {"BOOLEAN": {"BOOLEAN"}, "BIGINT": {"BIGINT"}, "DOUBLE": {"BIGINT", "DOUBLE"}}
NOBODY = '{"key": null}'
NOTED = "{'place': 'BIGINT', 'gone': 'BOOLEAN', 'key': 'VARCHAR', 'fields': 'JSON'}"


class File(Chosen):
    limits = Limits(batch=5000)
    proof = Proof.DOCUMENTATION

    class Settings(Chosen.Settings):
        folder: Path
        store_url: str | None = None
        memory: Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,5} ?[MG]i?B$")] = "256MB"

    class Options(Chosen.Options):
        format: Literal["csv", "jsonl", "parquet"] = "csv"

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if "key" in {name.lower() for name in send}:
            raise DefinitionError("the column `key` of a file is the member's key", do="give the field another name")
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        return {}

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        file = self._file(list_id)
        if file.suffix != f".{(wanted := self.options.format)}":
            ways = "name another list as well: its file is filled, then this one is emptied"
            raise DefinitionError(f"the list is kept in {list_id!r}, and the sync asks for {wanted!r}", do=ways)
        if not file.exists():
            ways = "put it back; or name it by `list`, and `audiences forget` this sync: the next run makes it anew"
            raise DeliveryError(f"{file} is gone, and with it whoever was on the list", do=ways)
        return _noted(file, members, gone=False)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        return _noted(file, members, gone=True) if (file := self._file(list_id)).exists() else Receipt.of(members)

    def check(self) -> None:
        with _in_words(folder := self.settings.folder):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()

    def prepare(self, name: str) -> str:
        """The name of the list's file, which is made where there is none."""
        with _in_words(file := self._file(f"{name}.{self.options.format}")):
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                with self._engine(file) as db:
                    _replace(db, file, "select '' as key limit 0", self.settings.store_url)
        return file.name

    def flush(self, list_id: str) -> None:
        journal = _journal(file := self._file(list_id))
        with _in_words(file):
            if journal.mend():
                with self._engine(file) as db:
                    _replace(db, file, _merged(db, file, self.identity), self.settings.store_url)
            # A crash before this line is harmless: the same journal gives the same list again.
            journal.drop()

    def members(self, list_id: str) -> Iterable[Mapping[str, object]]:
        self.flush(list_id)
        with _in_words(file := self._file(list_id)), self._engine(file) as db:
            rows = db.execute(f"select to_json(list) from {_source(file, _columns(db, file))} list")
            while batch := rows.fetchmany(1000):
                yield from ({k: v for k, v in orjson.loads(row).items() if k != "key"} for (row,) in batch)

    def _engine(self, file: Path) -> duckdb.DuckDBPyConnection:
        bounds = {"memory_limit": self.settings.memory, "temp_directory": str(file.with_name(f".{file.name}.spill"))}
        db = duckdb.connect(config={**bounds, "threads": 1})
        # Rows stream past what the journal says, in their order; threads, or a join turned round, would gather them.
        db.execute("set disabled_optimizers = 'build_side_probe_side'; set enable_progress_bar = false")
        return db

    @classmethod
    def fits(cls, name: str) -> None:
        if not PLAIN.fullmatch(name) or len(name.encode()) > LONGEST:
            fit = f"leave out separators, control characters and a leading dot, and use at most {LONGEST} bytes"
            raise DefinitionError(f"a list in a file cannot be called {name!r}", do=fit)

    def _file(self, list_id: str) -> Path:
        """The list's file, which is in the folder. Raises DefinitionError for a name that could be elsewhere."""
        stem, _, suffix = list_id.rpartition(".")
        if f".{suffix}" not in WRITTEN:
            raise DefinitionError(f"{list_id!r} names no file", do=f"end it in {' or '.join(WRITTEN)}, or write `list`")
        self.fits(stem)
        return Path(self.settings.folder, list_id)


@contextmanager
def _in_words(file: Path, kind: type[DeliveryError] = DeliveryError) -> Iterator[None]:
    """What the disk or the engine refuses, in our words: the engine's own may hold people."""
    try:
        yield
    except (OSError, ValueError, csv.Error, duckdb.Error) as error:
        why = error.strerror if isinstance(error, OSError) else f"cannot be read or merged ({type(error).__name__})"
        wide = isinstance(error, duckdb.OutOfMemoryException)
        do = "raise FILE_MEMORY (1GB), for its rows are wide" if wide else "mend the file, its folder or the disk"
        raise kind(f"{file}: {why}", do=f"{do}; what was accepted waits in the journal beside it") from None


def _journal(file: Path) -> Journal:
    return Journal(file.with_name(f".{file.name}.journal"))


def _noted(file: Path, members: Sequence[Member], *, gone: bool) -> Receipt:
    with _in_words(file, Unanswered):
        _journal(file).append({"gone": gone, "key": member.key, "fields": member.fields} for member in members)
    return Receipt.of(members)


def _replace(db: duckdb.DuckDBPyConnection, file: Path, select: str, copied: str | None) -> None:
    """Put what a query gives in the place of a file, at once, and so that it outlasts a power cut."""
    new = file.with_name(f".{file.name}.new")
    new.touch()
    if file.exists():  # before anybody is in it: who may read the list is for its owner to say
        shutil.copymode(file, new)
    db.execute(f"copy ({select}) to {_text(new)} ({WRITTEN[file.suffix]}, use_tmp_file false)")
    supplant(new, file, copied)


def _columns(db: duckdb.DuckDBPyConnection, file: Path) -> dict[str, str]:
    """A list's columns and their types. The first row tells: all rows are written alike."""
    if file.suffix == ".parquet":
        found = {name: kind for name, kind, *_ in db.execute(f"describe from read_parquet({_text(file)})").fetchall()}
    else:
        with file.open(newline="", encoding="utf-8-sig") as rows:
            first = next(csv.reader(rows), ()) if file.suffix == ".csv" else orjson.loads(rows.readline() or NOBODY)
        found = dict.fromkeys(first, KINDS[file.suffix])
    if next(iter(found), None) != "key":
        do = "put the list in its place, or name another one; what was accepted waits in the journal beside it"
        raise DeliveryError(f"{file} is no list of ours: its first column is not `key`", do=do)
    return found | {"key": "VARCHAR"}


def _source(file: Path, columns: Mapping[str, str]) -> str:
    named = ", ".join(f"{_text(name)}: '{kind}'" for name, kind in columns.items())
    return {
        ".csv": f"read_csv({_text(file)}, {CSV}, columns={{{named}}})",
        ".jsonl": f"read_json({_text(file)}, format='newline_delimited', columns={{{named}}})",
        ".parquet": f"read_parquet({_text(file)})",
    }[file.suffix]


def _merged(db: duckdb.DuckDBPyConnection, file: Path, identity: Mapping[str, Form]) -> str:
    """The list after its journal, as a query: rows that the journal leaves alone, then its last word on the others."""
    listed = _columns(db, file)
    lines = f"read_json({_text(_journal(file).path)}, format='newline_delimited', columns={NOTED})"
    db.execute(f"create view journal as from {lines}")
    told = _told(db, KINDS.get(file.suffix))
    values = ", ".join(["key", *(f"{value} as {_name(name)}" for name, (_, value) in told.items())])
    ident = _ident({name: kind for name, (kind, _) in told.items()}, identity)
    db.execute(f'create view told as select place as "<at>", gone as "<gone>", {values} from journal')
    db.execute(f'create table latest as select {ident} as "<ident>", max("<at>") as "<at>" from told group by all')
    return (
        f"select {', '.join(map(_name, listed))}"
        f' from (select *, {_ident(listed, identity)} as "<ident>" from {_source(file, listed)}) listed'
        ' where not exists (select 1 from latest where latest."<ident>" = listed."<ident>")'
        ' union all by name select * exclude ("<at>", "<gone>") from told'
        ' where not "<gone>" and "<at>" in (select "<at>" from latest)'
    )


def _told(db: duckdb.DuckDBPyConnection, kind: str | None) -> dict[str, tuple[str, str]]:
    """The fields in the journal, in order of appearance, each with its type and where its value is found."""
    found: dict[str, dict[str, str]] = {}  # name in lower case -> as written -> where: a column's case does not count
    for (names,) in db.execute("select json_keys(fields) from journal group by 1 order by min(place)").fetchall():
        for name in names:
            pointer = "/" + name.replace("~", "~0").replace("/", "~1")
            found.setdefault(name.lower(), {})[name] = f"json_extract(fields, {_text(pointer)})"
    values = {next(iter(each)): f"coalesce({', '.join(each.values())})" for each in found.values()}
    kinds = {name: kind or _kind(db, value) for name, value in values.items()}
    casts = {name: "{}" if kind == "JSON" else f"cast(({{}} ->> '$') as {kind})" for name, kind in kinds.items()}
    return {name: (kinds[name], casts[name].format(value)) for name, value in values.items()}


def _kind(db: duckdb.DuckDBPyConnection, value: str) -> str:
    """The narrowest type that loses nothing. BOOLEAN where nothing is there yet, since it widens to all others."""
    whole = f"try_cast(({value} ->> '$') as bigint) is not null"
    kinds = f"if(json_type({value}) in ('BIGINT', 'UBIGINT') and {whole}, 'BIGINT', json_type({value}))"
    found = {kind for (kind,) in db.execute(f"select distinct {kinds} from journal").fetchall()} - {None, "NULL"}
    return next((kind for kind, fits in FITS.items() if found <= fits), "VARCHAR")


def _ident(columns: Mapping[str, str], identity: Mapping[str, Form]) -> str:
    """A row's identifier by the rule that the ledger goes by; its key where no field identifies it."""
    json, typed = "({} ->> '$')", "cast({} as varchar)"
    texts = {name.lower(): (json if kind == "JSON" else typed).format(_name(name)) for name, kind in columns.items()}
    parts = [texts.get(name.lower(), "cast(null as varchar)") for name in identity]
    return f"coalesce({ident_sql(parts, list(identity.values()))}, key)" if parts else "key"


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
