"""Google Sheets: a list is a sheet (a tab) of a spreadsheet, with a row for each member and a column for each field.

Set-up: in the Google Cloud console, a project with the Sheets API enabled, a service account in it and a JSON key:
GOOGLE_SHEETS_CLIENT_EMAIL and GOOGLE_SHEETS_PRIVATE_KEY (on one line, as in the file) are two of its entries. Share the
spreadsheet with that address, as an editor; `spreadsheet` is the long part of its own address.

    [sync.google_sheets]
    list = "Detractors"
    spreadsheet = "1aBcD_eFgH-iJkL"
    send = ["email", "nps_score"]

A sheet is found by its title, or made, with a warning to whoever edits it; one that is there is taken if it has the
column `key`. The first row names the columns; a field's column is added at the very right where it has none. `key` says
whose row it is: the fields that `identify` names, by default `email` in lower case, else the member's key. Texts stay
texts: nothing is read as a formula or a date. Lists, dicts and whole numbers beyond 2^53 are text, NULL is an empty
cell, and more than 50,000 characters refuse their member.

Other columns and other sheets are never touched; columns may be moved, and rows sorted, between runs. A removal deletes
the row; in a sheet with columns of others it empties our cells of the row, and leaves theirs. Cells are written by the
number of their row, and Sheets has no way to hold a row still: after each write the column `key` is read again, and the
sync stops, its batch in doubt, where somebody moved rows in that second. The version history tells what it overwrote.

Calls: five for 500 members; a minute allows 60 reads and 60 writes, and all calls together are kept to 60.
https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/batchUpdate, …/request,
…/spreadsheets.values/batchGet, https://developers.google.com/workspace/sheets/api/limits (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any
from zlib import crc32

import httpx
from pydantic import Field, SecretStr

from audiences import (
    Chosen,
    DefinitionError,
    DeliveryError,
    Form,
    Limits,
    Member,
    Proof,
    Receipt,
    ServiceAccount,
    Unanswered,
)

KEY = "key"
LONGEST = 50_000  # characters of a cell
EXACT, PAGE = 2**53, 2000  # whole numbers up to it are numbers to Sheets; rows that are read at once
SHOWN = "sheets.properties(sheetId,title,gridProperties(rowCount,columnCount))"
WARNING = "Kept by audiences: whoever edits or moves rows while it writes may overwrite some"
TOKEN, SCOPE = "https://oauth2.googleapis.com/token", "https://www.googleapis.com/auth/spreadsheets"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as it was a moment ago; its height and width count empty cells too. Places are counted from 0."""

    number: int
    title: str
    height: int
    width: int
    columns: dict[str, int]  # name, in the first row -> place
    rows: dict[str, list[int]]  # identifier -> places

    def range(self, cells: str) -> str:
        """A part of it in A1 notation."""
        return "'" + self.title.replace("'", "''") + f"'!{cells}"

    def cell(self, row: int, name: str, value: object = None) -> dict[str, Any]:
        """The request that gives one cell this value."""
        start = {"sheetId": self.number, "rowIndex": row, "columnIndex": self.columns[name]}
        return {"updateCells": {"start": start, "rows": [{"values": [_cell(value)]}], "fields": "userEnteredValue"}}

    def line(self, fields: Mapping[str, object]) -> dict[str, Any]:
        """A row with these fields, each in its column."""
        values = {self.columns[name]: value for name, value in fields.items()}
        return {"values": [_cell(values.get(n)) for n in range(max(values) + 1)]}


class GoogleSheets(Chosen):
    limits = Limits(batch=500, windows=((60, 60),), bytes=2_000_000)
    proof = Proof.DOCUMENTATION

    class Settings(Chosen.Settings):
        client_email: str
        private_key: SecretStr

    class Options(Chosen.Options):
        spreadsheet: Annotated[str, Field(pattern=r"^[\w-]+$")]

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if KEY in send:
            raise DefinitionError("the column `key` of a sheet says whose row it is", do="give the field another name")
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.private_key.get_secret_value().strip()
        auth = ServiceAccount(TOKEN, issuer=settings.client_email.strip(), private_key=key, scope=SCOPE)
        return {"base_url": "https://sheets.googleapis.com/v4/spreadsheets", "auth": auth}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 does not say when; calls are counted by the minute."""
        return 60.0 if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    def check(self) -> None:
        self.http.get(f"/{self.options.spreadsheet}", params={"fields": "spreadsheetId"})

    def prepare(self, name: str) -> str:
        if (found := self._titled(name)) is None:
            made = Sheet(crc32(name.encode()) >> 1, name, 0, 1, {KEY: 0}, {})
            grid = {"frozenRowCount": 1, "columnCount": 1}
            guard = {"range": {"sheetId": made.number}, "description": WARNING, "warningOnly": True}
            sheet = {"addSheet": {"properties": {"sheetId": made.number, "title": name, "gridProperties": grid}}}
            told = [sheet, made.cell(0, KEY, KEY), {"addProtectedRange": {"protectedRange": guard}}]
            answer = self._change(told, expect={400})
            # Titles are unique: refused, it may be there, made by another run or by this call's own first attempt.
            if (found := self._titled(name)) is None:
                why = answer.json().get("error", {}).get("message", "")
                raise DefinitionError(f"Sheets makes no sheet {name!r}: {why}", do="give the list another name")
        self._look(found)
        return found

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        refused = {member.key: why for member in members if (why := _unfit(member))}
        told = {self.ident(each): {KEY: self.ident(each), **each.fields} for each in members if each.key not in refused}
        sheet = self._widened(list_id, told.values())
        changes = [
            sheet.cell(row, name, value)
            for ident, fields in told.items()
            for row in sheet.rows.get(ident, ())
            for name, value in fields.items()
            if name != KEY  # a row that was moved meanwhile stays whose it is
        ]
        if new := [sheet.line(fields) for ident, fields in told.items() if ident not in sheet.rows]:
            changes.append({"appendCells": {"sheetId": sheet.number, "rows": new, "fields": "userEnteredValue"}})
        same = {ident: sheet.rows[ident] for ident in told.keys() & sheet.rows.keys()}
        self._write(list_id, changes, sheet.rows.keys() | told.keys(), same)
        return Receipt.of(members, refused)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        sheet = self._look(list_id)
        left = {self.ident(member): member.fields for member in members if self.ident(member) in sheet.rows}
        gone = sorted((row for ident in left for row in sheet.rows[ident]), reverse=True)
        ours = {KEY, *chain(*left.values())} & sheet.columns.keys()
        if len(ours) == sheet.width:
            # As many rows at the end: a sheet cannot be without one below those that are frozen.
            row = {"sheetId": sheet.number, "dimension": "ROWS"}
            changes: list[Any] = [{"appendDimension": {**row, "length": len(gone)}}] if gone else []
            changes += [{"deleteDimension": {"range": {**row, "startIndex": at, "endIndex": at + 1}}} for at in gone]
        else:
            changes = [sheet.cell(row, name) for row in gone for name in ours]
        self._write(list_id, changes, sheet.rows.keys() - left.keys(), {})
        return Receipt.of(members)

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        sheet = self._look(list_id)
        for start in range(2, sheet.height + 1, PAGE):
            [rows] = self._values(sheet.range(f"{start}:{min(start + PAGE - 1, sheet.height)}"))
            for row in rows:
                found = {name: row[at] for name, at in sheet.columns.items() if at < len(row) and row[at] != ""}
                if KEY in found:
                    yield {name: value for name, value in found.items() if name != KEY}

    def _sheets(self) -> Iterator[Sheet]:
        """Every sheet of the spreadsheet, with nothing read of what stands in it."""
        answer = self.http.get(f"/{self.options.spreadsheet}", params={"fields": SHOWN})
        for each in (found["properties"] for found in answer.json()["sheets"]):
            grid = {"rowCount": 0, "columnCount": 0, **each.get("gridProperties", {})}  # a chart's sheet has none
            yield Sheet(each.get("sheetId", 0), each["title"], grid["rowCount"], grid["columnCount"], {}, {})

    def _titled(self, name: str) -> str | None:
        return next((str(each.number) for each in self._sheets() if each.title == name), None)

    def _look(self, list_id: str, at: int = 0) -> Sheet:
        """The sheet as it is now. Raises where it is gone, or is no list. at: where the column `key` may be"""
        sheet = next((each for each in self._sheets() if str(each.number) == list_id), None)
        if sheet is None:
            ways = "bring it back; or `audiences forget` this sync, and the next run writes the whole list anew"
            raise DeliveryError(f"the spreadsheet has no sheet {list_id}", do=ways)
        header, keys = self._values(sheet.range("1:1"), sheet.range(f"{_letters(at)}1:{_letters(at)}{sheet.height}"))
        names = [str(name) for name in (header[0] if header else [])]
        if KEY not in names:
            do = "name another list; or write `key` above an empty column, if the sync may write to this sheet"
            raise DefinitionError(f"the sheet {sheet.title!r} has no column `key`, and so is no list", do=do)
        if names.index(KEY) != at:
            return self._look(list_id, names.index(KEY))
        sheet.columns.update({name: n for n, name in reversed([*enumerate(names)]) if name})
        for n, row in enumerate(keys):
            if n and row and row[0] != "":
                sheet.rows.setdefault(str(row[0]), []).append(n)
        return sheet

    def _widened(self, list_id: str, told: Iterable[Mapping[str, object]]) -> Sheet:
        """The sheet, with a column for each field: new ones at its very end, where nobody has written anything."""
        sheet = self._look(list_id)
        if names := [name for name in dict.fromkeys(chain(*told)) if name not in sheet.columns]:
            sheet.columns.update({name: n for n, name in enumerate(names, sheet.width)})
            more = {"sheetId": sheet.number, "dimension": "COLUMNS", "length": len(names)}
            self._change([{"appendDimension": more}, *(sheet.cell(0, name, name) for name in names)])
        return sheet

    def _values(self, *ranges: str) -> list[list[list[Any]]]:
        """The rows of these ranges, in their order; empty cells and rows at the end are left out."""
        asked: dict[str, Any] = {"ranges": ranges, "valueRenderOption": "UNFORMATTED_VALUE"}
        answer = self.http.get(f"/{self.options.spreadsheet}/values:batchGet", params=asked)
        return [each.get("values", []) for each in answer.json()["valueRanges"]]

    def _change(self, requests: Sequence[object], **how: object) -> httpx.Response:
        """All of these, or none."""
        return self.http.post(f"/{self.options.spreadsheet}:batchUpdate", json={"requests": requests}, extensions=how)

    def _write(self, list_id: str, changes: Sequence[object], keys: Set[str], same: Mapping[str, list[int]]) -> None:
        """Make changes that leave these keys, some in the same rows. Raises Unanswered where other rows were hit."""
        if changes:
            self._change(changes)
            rows = self._look(list_id).rows
            if rows.keys() != keys or any(rows[ident] != places for ident, places in same.items()):
                do = "see the sheet's version history for what was overwritten; the next run sends the batch again"
                raise Unanswered("rows of the sheet were moved or edited while it was written", do=do)


def _cell(value: object) -> dict[str, Any]:
    """A cell that holds just this: a text is one whatever it looks like, and None is nothing."""
    if value is None:
        return {}
    if isinstance(value, float) or (isinstance(value, int) and abs(value) <= EXACT):
        return {"userEnteredValue": {"boolValue" if isinstance(value, bool) else "numberValue": value}}
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return {"userEnteredValue": {"stringValue": text}}


def _letters(column: int) -> str:  # A, B, … Z, AA
    before, here = divmod(column, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + here)


def _unfit(member: Member) -> str:
    long = [name for name, value in member.fields.items() if len(str(value)) > LONGEST]
    return f"{long[0]} has more than the {LONGEST:,} characters of a cell" if long else ""
