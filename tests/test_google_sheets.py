"""The connector `google_sheets`: what it writes beside what people write, and what it makes of rows that move."""

from __future__ import annotations

import httpx
import pytest

from audiences import Unanswered
from audiences.errors import CredentialsRefused, DefinitionError, DeliveryError
from dialogue import ADA, ZOE, delivered, documented, first, fixtures, told

BOOK = "1aBcD_eFgH-iJkL"
CHANGE = f"/v4/spreadsheets/{BOOK}:batchUpdate"
dialogue, far, speak = fixtures("google_sheets", send=("email", "nps"), spreadsheet=BOOK)


def sheet(*rows, title="L"):
    """A sheet that somebody made, with these rows."""
    return {"title": title, "cells": [[*row] for row in rows], "columns": len(rows[0]), "frozen": 0}


def requests(dialogue):
    return [each for body in dialogue.sent("POST", CHANGE) for each in body["requests"]]


def moving(far, what):
    """A `before`: right before the first change to a sheet, somebody does this to its rows."""
    done = []

    def before(request):
        if request.method == "POST" and not done:
            done.append(what(far.sheets[7]["cells"]))

    return before


def test_the_manual_shows_a_section_that_works(tmp_path):
    """
    The sample in the docstring is a sync.
    """
    assert documented("google_sheets", tmp_path)


def test_a_sheet_is_made_in_one_call(dialogue, far, speak):
    """
    With its first column and a warning to whoever edits it, or not at all; it is then found by its title.
    """
    ids = {speak().prepare("Detractors") for _ in range(2)}

    assert [[*each] for each in requests(dialogue)] == [["addSheet"], ["updateCells"], ["addProtectedRange"]]
    assert len(dialogue.sent("POST", CHANGE)) == len(ids) == 1
    assert far.sheets[int(*ids)]["cells"] == [["key"]]


def test_what_others_write_is_left_alone(far, speak):
    """
    Columns of others, between ours or beside them, named or not, keep what stands in them, whoever comes, changes and
    leaves; so do other sheets. A row with theirs in it stays, without ours.
    """
    far.sheets[7] = sheet(
        ["Note", "key", "Owner", "email", ""], ["call", ADA, "Max", ADA, "aside"], ["", "x", "", "x", ""]
    )
    notes = far.sheets[0]["cells"][0][:]
    remote = speak()

    remote.upsert("7", told(ADA, nps=3))
    remote.upsert("7", told(ZOE, nps=4))
    remote.remove("7", told(ADA, nps=3))

    header, *rows = [row[:6] for row in far.sheets[7]["cells"]]
    assert header == ["Note", "key", "Owner", "email", "", "nps"]
    assert rows == [["call", "", "Max", "", "aside", ""], ["", "x", "", "x", ""], ["", ZOE, "", ZOE, "", 4]]
    assert far.sheets[0]["cells"][0] == notes


def test_a_sheet_of_ours_alone_keeps_no_empty_rows(far, speak):
    """
    Where no column is somebody else's, whoever leaves leaves no row behind, wherever in the sheet it was.
    """
    remote = speak()
    list_id = remote.prepare("L")
    people = [*told(*(f"person{n}@example.com" for n in range(5)), nps=1)]
    remote.upsert(list_id, people)

    remote.remove(list_id, [people[1], people[3]])

    assert [row[0] for row in far.sheets[int(list_id)]["cells"]] == ["key", *(people[n].key for n in (0, 2, 4))]
    assert [each["email"] for each in remote.members(list_id)] == [people[n].key for n in (0, 2, 4)]


def test_columns_and_rows_may_be_moved_between_runs(far, speak):
    """
    A column is known by its name and a row by its key, wherever they are today.
    """
    far.sheets[7] = sheet(["nps", "email", "key"], [9, ZOE, ZOE], [3, ADA, ADA])
    speak().upsert("7", told(ADA, nps=4))
    far.sheets[7] = sheet(["email", "key", "nps"], [ADA, ADA, 4], [ZOE, ZOE, 9])

    speak().upsert("7", told(ZOE, nps=10))

    assert far.sheets[7]["cells"] == [["email", "key", "nps"], [ADA, ADA, 4], [ZOE, ZOE, 10]]


MOVES = {
    "inserted": (
        lambda cells: cells.insert(1, ["max@example.com", "max@example.com", 1]),
        ["max@example.com", ZOE, ADA],
    ),
    "sorted": (lambda cells: cells.insert(1, cells.pop(2)), [ADA, ZOE]),
}


@pytest.mark.parametrize("how", MOVES)
def test_a_row_that_moves_under_a_change_is_noticed(far, speak, how):
    """
    Somebody puts a row on top, or sorts, between the look and the change: the batch is in doubt, not accepted; nobody's
    key is overwritten, and the next sending mends whom it is about.
    """
    what, keys = MOVES[how]
    far.sheets[7] = sheet(["key", "email", "nps"], [ZOE, ZOE, 9], [ADA, ADA, 3])
    remote = speak(moving(far, what))

    sent = delivered(remote, "7", told(ADA, nps=4))

    assert isinstance(sent.error, Unanswered)
    assert "version history" in sent.error.do
    assert not sent.found
    assert [row[0] for row in far.sheets[7]["cells"]] == ["key", *keys]
    assert speak().upsert("7", told(ADA, nps=4)).accepted == {ADA}
    assert [ADA, ADA, 4] in far.sheets[7]["cells"]


def test_a_row_that_moves_under_a_removal_is_noticed(far, speak):
    """
    The wrong row may be gone then: the sync stops and says so.
    """
    far.sheets[7] = sheet(["key", "email", "nps"], [ADA, ADA, 3], [ZOE, ZOE, 9])
    remote = speak(moving(far, lambda cells: cells.insert(1, cells.pop(2))))

    with pytest.raises(Unanswered, match="moved or edited"):
        remote.remove("7", told(ADA, nps=3))


def test_a_key_that_stands_twice_is_brought_up_to_date_twice(far, speak):
    """
    Somebody copied a row: both say the same afterwards, and both go.
    """
    far.sheets[7] = sheet(["key", "email", "nps"], [ADA, ADA, 3], [ZOE, ZOE, 9], [ADA, ADA, 3])
    remote = speak()

    remote.upsert("7", told(ADA, nps=4))
    assert [row[2] for row in far.sheets[7]["cells"]] == ["nps", 4, 9, 4]
    remote.remove("7", told(ADA, nps=4))
    assert [row[0] for row in far.sheets[7]["cells"]] == ["key", ZOE]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("=1+1", "stringValue"),
        ("0012", "stringValue"),
        (2**60, "stringValue"),
        (True, "boolValue"),
        (2.5, "numberValue"),
    ],
)
def test_a_text_is_a_text(dialogue, far, speak, value, kind):
    """
    What looks like a formula, a date or a number is none where it was sent as a text.
    """
    remote = speak()
    remote.upsert(remote.prepare("L"), told(ADA, nps=value))

    [row] = requests(dialogue)[-1]["appendCells"]["rows"]
    assert row["values"][2] == {"userEnteredValue": {kind: str(value) if kind == "stringValue" else value}}


def test_nobody_to_remove_is_no_change(dialogue, far, speak):
    """
    A stranger is off the sheet already; a look shows it.
    """
    far.sheets[7] = sheet(["key", "email"], [ADA, ADA])

    assert speak().remove("7", told(ZOE)).accepted == {ZOE}
    assert not dialogue.sent("POST")


@pytest.mark.parametrize("verb", ["upsert", "remove", "prepare"])
@pytest.mark.parametrize("header", [["email", "nps"], ["", ""]], ids=["another's", "none"])
def test_a_sheet_that_is_no_list_is_left_alone(dialogue, far, speak, verb, header):
    """
    A sheet without the column `key` may be anybody's: nothing is written to it.
    """
    far.sheets[7] = sheet(header, [ADA, 3])
    remote = speak()

    with pytest.raises(DefinitionError, match="no column `key`"):
        remote.prepare("L") if verb == "prepare" else getattr(remote, verb)("7", told(ADA))
    assert not dialogue.sent("POST")


def test_a_sheet_that_is_gone_stops_the_sync(speak):
    """
    Who was on it went with it; the way out is named.
    """
    for verb in ("upsert", "remove"):
        with pytest.raises(DeliveryError, match=r"no sheet 7(?s:.*)audiences forget"):
            getattr(speak(), verb)("7", told(ADA))


def test_a_long_list_is_read_back_in_pages(dialogue, far, speak):
    """
    Rows in which only others have written are nobody; an answer is never longer than a page.
    """
    addresses = [f"person{n}@example.com" for n in range(4500)]
    far.sheets[7] = sheet(["key", "email", "Note"], *([each, each, ""] for each in addresses), ["", "", "total"])

    found = [*speak().members("7")]

    assert [each["email"] for each in found] == addresses
    assert sum("batchGet" in where for _, where, _ in dialogue.calls) == 4


def test_a_quota_is_waited_for(dialogue, speak):
    """
    Calls are counted by the minute, and a 429 says no time.
    """
    speak(first(dialogue.far.throttled(7))).prepare("L")

    assert 60 <= dialogue.clock() < 70


def test_an_account_is_checked(dialogue, far, speak):
    """
    One look at the spreadsheet that changes nothing; one that is not shared is told.
    """
    speak().check()
    assert [(method, where.partition("?")[0]) for method, where, _ in dialogue.calls] == [
        ("GET", f"/v4/spreadsheets/{BOOK}")
    ]

    with pytest.raises(DeliveryError, match="404"):
        speak(spreadsheet="another").check()
    with pytest.raises(DefinitionError, match="RSA"):
        speak(settings={"GOOGLE_SHEETS_PRIVATE_KEY": "none"})
    with pytest.raises(CredentialsRefused):
        speak(lambda request: httpx.Response(403)).check()
