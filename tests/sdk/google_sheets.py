# /// script
# dependencies = ["google-api-python-client==2.202.0"]
# ///
"""Google's own client, of its own description of the Sheets API: a spreadsheet, values, changes in one call. It names
paths and parameters; bodies are sent as they are given.
"""

from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build

SPREADSHEET, SHEET = {"spreadsheetId": "1aBcD_eFgH-iJkL"}, 1393449147
TITLE = "NPS 'détracteurs' [2026]"
QUOTED = "'NPS ''détracteurs'' [2026]'"
PEOPLE = ["person1@example.com", "person2@example.com"]


def calls(sends):
    granted = Credentials("not-a-real-access")
    sheets = build("sheets", "v4", credentials=granted, static_discovery=True).spreadsheets()
    shown = "sheets.properties(sheetId,title,gridProperties(rowCount,columnCount))"
    path = "/v4/spreadsheets/{spreadsheetId}"
    for fields in (shown, "spreadsheetId"):
        sends(f"GET {path}", sheets.get(**SPREADSHEET, fields=fields).execute)
    for ranges in ([f"{QUOTED}!1:1", f"{QUOTED}!A1:A1000"], [f"{QUOTED}!2:1000"]):
        asked = sheets.values().batchGet(**SPREADSHEET, ranges=ranges, valueRenderOption="UNFORMATTED_VALUE")
        sends(f"GET {path}/values:batchGet", asked.execute)
    for requests in (made(), added()):
        sends(f"POST {path}:batchUpdate", sheets.batchUpdate(**SPREADSHEET, body={"requests": requests}).execute)


def made():
    grid = {"frozenRowCount": 1, "columnCount": 1}
    start = {"sheetId": SHEET, "rowIndex": 0, "columnIndex": 0}
    told = "Kept by audiences: whoever edits or moves rows while it writes may overwrite some"
    kept = {"range": {"sheetId": SHEET}, "description": told, "warningOnly": True}
    return [
        {"addSheet": {"properties": {"sheetId": SHEET, "title": TITLE, "gridProperties": grid}}},
        {"updateCells": {"start": start, "rows": [row("key")], "fields": "userEnteredValue"}},
        {"addProtectedRange": {"protectedRange": kept}},
    ]


def added():
    rows = [row(address, address, "Ada") for address in PEOPLE]
    return [{"appendCells": {"sheetId": SHEET, "rows": rows, "fields": "userEnteredValue"}}]


def row(*values):
    return {"values": [{"userEnteredValue": {"stringValue": value}} for value in values]}
