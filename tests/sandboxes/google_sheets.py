"""The part of Google Sheets that connectors/google_sheets.py speaks to, in memory: the sheets of one spreadsheet.

It keeps what Google documents: a batch of requests that is made whole or not at all, titles and ids that are taken
once, cells that are left out where the rest of a row is empty, ranges beyond the grid that are refused, rows that are
appended below the last one with anything in it, and one row below the frozen ones that cannot be deleted.
"""

import copy
import json
import re
from urllib.parse import parse_qs

import httpx

from pem import private_key

BOOK = "1aBcD_eFgH-iJkL"
options = ({"spreadsheet": BOOK},)


class Wrong(Exception):
    """A request that is not valid."""


class Sandbox:
    list = "NPS 'détracteurs' [2026]"
    any_field = "Answer, given"
    rate = (60, 60)

    def __init__(self):
        self.settings = {
            "GOOGLE_SHEETS_CLIENT_EMAIL": "worker@project.example.com",
            "GOOGLE_SHEETS_PRIVATE_KEY": private_key(),
        }
        self.options = {}  # of the sync
        self.sheets = {0: {"title": "Notes", "cells": [["Ask", "Ada"], ["and", "Zoë"]], "columns": 26, "frozen": 0}}

    def member(self, n):
        return {"email": f"person{n}@example.com", "first_name": "Ada"}

    def unwelcome(self):
        return {**self.member(0), "first_name": "a" * 50_001}

    def holds(self, fields):
        return any(all(same(row.get(name, ""), value) for name, value in fields.items()) for row in self.rows())

    def rows(self):
        """Who is on the list, as a person reads it."""
        found = next((each["cells"] for each in self.sheets.values() if each["title"] == self.list), [[]])
        return [dict(zip(found[0], row, strict=False)) for row in found[1:] if any(cell != "" for cell in row)]

    def throttled(self, seconds):
        said = {"code": 429, "message": "Quota exceeded for quota metric", "status": "RESOURCE_EXHAUSTED"}
        return httpx.Response(429, json={"error": said})

    def __call__(self, request):
        if request.url.host == "oauth2.googleapis.com":
            asked = parse_qs(request.content.decode())
            assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            return httpx.Response(200, json={"access_token": "not-a-real-access", "expires_in": 3599})
        if request.headers.get("authorization") != "Bearer not-a-real-access":
            return refused(401, "Request had invalid authentication credentials.")
        verb = request.url.path.removeprefix(f"/v4/spreadsheets/{BOOK}")
        try:
            match request.method, verb:
                case "GET", "":
                    return self.shown(request.url.params["fields"])
                case "GET", "/values:batchGet":
                    asked = request.url.params.get_list("ranges")
                    return httpx.Response(200, json={"valueRanges": [self.read(each) for each in asked]})
                case "POST", ":batchUpdate":
                    return self.change(json.loads(request.content)["requests"])
        except Wrong as error:
            return refused(400, str(error))
        return refused(404, "Requested entity was not found.")

    def shown(self, fields):
        if fields == "spreadsheetId":
            return httpx.Response(200, json={"spreadsheetId": BOOK})
        found = []
        for number, each in self.sheets.items():
            grid = {"rowCount": max(1000, len(each["cells"])), "columnCount": each["columns"]}
            found.append({"properties": {"sheetId": number, "title": each["title"], "gridProperties": grid}})
        return httpx.Response(200, json={"sheets": found})

    def read(self, asked):
        title, _, cells = asked.rpartition("!")
        names = {each["title"]: each for each in self.sheets.values()}
        sheet = names[title[1:-1].replace("''", "'")]
        first, start, last, end = re.fullmatch(r"([A-Z]*)(\d*):([A-Z]*)(\d*)", cells).groups()
        rows = sheet["cells"][int(start) - 1 : int(end) if end else None]
        if int(end or 1) > max(1000, len(sheet["cells"])):
            raise Wrong("Range exceeds grid limits")
        left, right = (column(first), column(last) + 1) if first else (0, sheet["columns"])
        if left >= sheet["columns"]:
            raise Wrong("Range exceeds grid limits")
        values = [trimmed(row[left:right]) for row in rows]
        while values and not values[-1]:
            values.pop()
        return {"range": asked, "majorDimension": "ROWS"} | ({"values": values} if values else {})

    def change(self, requests):
        before = copy.deepcopy(self.sheets)
        try:
            for each in requests:
                [(verb, told)] = each.items()
                getattr(self, verb)(**told)
        except Wrong:
            self.sheets = before
            raise
        return httpx.Response(200, json={"spreadsheetId": BOOK, "replies": [{} for _ in requests]})

    def addSheet(self, properties):
        number, title, grid = properties["sheetId"], properties["title"], properties["gridProperties"]
        if number in self.sheets or title in [each["title"] for each in self.sheets.values()]:
            raise Wrong(f'A sheet with the name "{title}" already exists.')
        self.sheets[number] = {"title": title, "cells": [], "columns": grid["columnCount"], "frozen": 1}

    def addProtectedRange(self, protectedRange):
        assert protectedRange["warningOnly"]

    def updateCells(self, start, rows, fields):
        sheet = self.sheets[start["sheetId"]]
        assert fields == "userEnteredValue"
        for n, row in enumerate(rows):
            self.put(sheet, start["rowIndex"] + n, start["columnIndex"], row["values"])

    def appendCells(self, sheetId, rows, fields):
        sheet = self.sheets[sheetId]
        filled = [n for n, row in enumerate(sheet["cells"]) if trimmed(row)]
        for n, row in enumerate(rows):
            self.put(sheet, max(filled, default=-1) + 1 + n, 0, row["values"])

    def put(self, sheet, at, left, values):
        if left + len(values) > sheet["columns"]:
            raise Wrong("Attempting to write column beyond the grid")
        sheet["cells"] += [[] for _ in range(at + 1 - len(sheet["cells"]))]
        row = sheet["cells"][at]
        row += [""] * (sheet["columns"] - len(row))
        for n, value in enumerate(values, left):
            row[n] = next(iter(value.get("userEnteredValue", {"stringValue": ""}).values()))

    def appendDimension(self, sheetId, dimension, length):
        if dimension == "COLUMNS":
            self.sheets[sheetId]["columns"] += length

    def deleteDimension(self, range):
        assert range["dimension"] == "ROWS"
        del self.sheets[range["sheetId"]]["cells"][range["startIndex"] : range["endIndex"]]


def column(letters):
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def trimmed(row):
    """Without the empty cells at its end, as Google gives it."""
    kept = max((n for n, cell in enumerate(row) if cell != ""), default=-1)
    return [*row[: kept + 1]]


def same(found, sent):
    """An empty cell is NULL; lists, dicts and numbers that a double would change are JSON text."""
    if isinstance(sent, (list, dict)):
        return found == json.dumps(sent, ensure_ascii=False)
    return type(found) is type(sent) and found == sent if sent is not None else found == ""


def refused(status, message):
    return httpx.Response(status, json={"error": {"code": status, "message": message}})
