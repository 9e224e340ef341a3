"""What is safe once it is said to be: the journal, and a file that takes another's place."""

from __future__ import annotations

import json
import stat

import pytest

from audiences import BatchRefused, Journal, supplant


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


def entries(journal):
    return [json.loads(line) for line in journal.path.read_bytes().splitlines()]


def test_entries_stand_in_order(journal):
    """
    Every entry has a place, greater than all before it, across as many appends as there are.
    """
    for batch in (["a", "b"], ["c"], ["d", "e"]):
        journal.append({"name": name} for name in batch)

    found = entries(journal)

    assert [entry["name"] for entry in found] == ["a", "b", "c", "d", "e"]
    assert [entry["place"] for entry in found] == sorted({entry["place"] for entry in found})


@pytest.mark.parametrize("torn", [b'{"pla', b'{"place":9,"name":"' + b"x" * 200_000, b"\0\0\0"])
@pytest.mark.parametrize("whole", [["a", "b"], []])
def test_a_line_cut_short_is_as_if_never_written(journal, torn, whole):
    """
    What a kill left half written is cut off before the next entry follows, however long it is.
    """
    journal.append({"name": name} for name in whole)
    with journal.path.open("ab") as file:
        file.write(torn)

    assert journal.mend() is bool(whole)
    with journal.path.open("ab") as file:
        file.write(torn)
    journal.append([{"name": "c"}])

    assert [entry["name"] for entry in entries(journal)] == [*whole, "c"]


def test_what_json_cannot_hold_leaves_the_journal_as_it_was(journal):
    """
    A batch is written whole or not at all.
    """
    journal.append([{"n": 1}])

    with pytest.raises(BatchRefused):
        journal.append([{"n": 2}, {"n": 2**64}])
    assert [entry["n"] for entry in entries(journal)] == [1]


def test_nobody_else_reads_the_journal(journal):
    """
    It holds people, so it is readable by the worker alone.
    """
    journal.append([{"n": 1}])

    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def test_a_journal_that_is_not_there_has_nothing_to_mend(journal):
    """
    Dropping and mending what is not there is fine.
    """
    journal.drop()

    assert journal.mend() is False
    assert not journal.path.exists()


def test_a_file_takes_the_place_of_another(tmp_path):
    """
    The old content is gone, the new one is there, and nothing else is left behind.
    """
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("after")
    old.write_text("before")

    supplant(new, old)

    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert old.read_text() == "after"
