"""The connector `file`: whole lists in three formats, journals, crashes, and names that stay in their folder."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import duckdb
import pytest

from audiences import DefinitionError, DeliveryError, Member, Unanswered, connectors
from scale import LONGER, THOROUGH, times

FORMATS = ("csv", "jsonl", "parquet")
HERE = Path(__file__).parent

# A worker of its own: it accepts batches until it is killed, and says of each that it is safe.
WORKER = """
import sys
from pathlib import Path
from audiences import Member, connectors

cls = connectors.find("file", [Path(sys.argv[1])])
account = cls.Settings(folder=Path(sys.argv[2]))
file = cls(account, cls.Options(format=sys.argv[3]), None, ("email",), "")
listed = file.prepare("L")
for batch in range(10_000):
    members = [Member(str(n), {"email": f"p{n}@example.com"}) for n in range(batch * 10, batch * 10 + 10)]
    file.upsert(listed, members)
    print(batch, flush=True)
    if batch % 5 == 4:
        file.flush(listed)
"""

# Writes a long list of 260 MB, merges it once more, and says how many MB the process had at most.
# On Linux ru_maxrss outlives exec, so that it would be the size of whoever started this process: VmHWM is its own.
LONG = """
import re, resource, sys
from pathlib import Path
from audiences import Member, connectors

cls = connectors.find("file", [Path(sys.argv[1])])
file = cls(cls.Settings(folder=Path(sys.argv[2])), cls.Options(), None, ("email", "note"), "")
listed = file.prepare("L")
for first in range(0, 200_000, 5000):
    some = range(first, first + 5000)
    people = [Member(str(n), {"email": f"p{n}@example.com", "note": f"{n:06} " * 185}) for n in some]
    file.upsert(listed, people)
file.flush(listed)
file.remove(listed, people)
file.flush(listed)
own = Path("/proc/self/status")
print(int(re.search(r"VmHWM:\\s+(\\d+)", own.read_text())[1]) // 1024 if own.exists()
      else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20)
"""


@pytest.fixture(params=FORMATS)
def kind(request):
    return request.param


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "lists"


@pytest.fixture
def connect(folder):
    """The connector, for a sync of these fields."""

    def connect(kind="csv", send=("email", "score"), settings=MappingProxyType({}), **options):
        cls = connectors.find("file", [HERE.parent / "connectors"])
        account = cls.Settings(folder=folder, **settings)
        return cls(account, cls.Options(format=kind, **options), None, send, "shop-l-1")

    return connect


@pytest.fixture
def file(connect, kind):
    return connect(kind)


def people(**fields):
    """Members whose key is theirs, and whose address is made of it unless it is given."""
    return [Member(key, {"email": f"{key}@example.com", **each}) for key, each in fields.items()]


def read(path):
    """The rows of a list, by other means than the connector's own."""
    if path.suffix == ".parquet":
        found = duckdb.sql(f"from '{path}'")
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    with path.open(newline="", encoding="utf-8") as rows:
        return [json.loads(row) for row in rows] if path.suffix == ".jsonl" else list(csv.DictReader(rows))


def process(text, folder, *more):
    """A Python of its own that runs a text; what it prints is read from `stdout`."""
    command = [sys.executable, "-c", text, str(HERE.parent / "connectors"), str(folder), *more]
    env = {**os.environ, "PYTHONPATH": str(HERE.parent / "src")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def keys(path):
    return [row["key"] for row in read(path)]


def test_a_list_is_there_once_it_is_prepared(file, folder, kind):
    """
    The folder and an empty list are made; to prepare it again changes nothing.
    """
    assert file.prepare("NPS detractors") == file.prepare("NPS detractors") == f"NPS detractors.{kind}"
    assert read(folder / f"NPS detractors.{kind}") == []


def test_columns_are_the_key_and_then_the_fields(connect, folder):
    """
    In the order in which they are sent.
    """
    file = connect("csv", ("email", "score", 'a, "b"'))
    listed = file.prepare("L")

    file.upsert(listed, [Member("7", {"email": "ada@example.com", "score": 3, 'a, "b"': "c\nd"})])
    file.flush(listed)

    assert (folder / listed).read_text() == 'key,email,score,"a, ""b"""\n7,ada@example.com,3,"c\nd"\n'


def test_columns_keep_the_order_in_which_they_came(file, folder):
    """
    What is sent first stands first, also where one merge brings several sets of fields.
    """
    listed = file.prepare("L")

    for name in "hgfedcba":
        file.upsert(listed, people(a={name: 1}))
    file.flush(listed)

    assert "".join(read(folder / listed)[0]) == "keyemailhgfedcba"


def test_a_list_holds_everybody_after_each_flush(file, folder):
    """
    Adds, updates and removals of several runs leave one row a member, in a steady order.
    """
    listed = file.prepare("L")
    file.upsert(listed, people(a={"score": 1}, b={"score": 1}, c={"score": 1}))
    file.flush(listed)

    file.remove(listed, people(a={"score": 1}))
    file.upsert(listed, people(d={"score": 1}, b={"score": 2}))
    file.flush(listed)

    assert [(row["key"], str(row["score"])) for row in read(folder / listed)] == [("c", "1"), ("d", "1"), ("b", "2")]


def test_one_row_an_identifier(file, folder):
    """
    Another key with the same address, in whatever case, takes the row over; whoever is removed by it takes it away.
    """
    listed = file.prepare("L")
    file.upsert(listed, people(a={"email": "Shared@example.com"}))
    file.flush(listed)

    file.upsert(listed, people(b={"email": " shared@example.com"}))
    file.flush(listed)
    assert keys(folder / listed) == ["b"]

    file.remove(listed, people(c={"email": "SHARED@EXAMPLE.COM"}))
    file.flush(listed)
    assert keys(folder / listed) == []


def test_the_last_word_counts(file, folder):
    """
    Within one journal too, whatever came before it on the same identifier.
    """
    listed = file.prepare("L")

    for score in range(3):
        file.upsert(listed, people(a={"score": score}, b={"score": score}))
        file.remove(listed, people(b={}))
    file.flush(listed)

    assert [(row["key"], str(row["score"])) for row in read(folder / listed)] == [("a", "2")]


def test_two_members_swap_addresses(file, folder):
    """
    Both old addresses are removed, then both new ones added: both are on the list, once.
    """
    listed = file.prepare("L")
    file.upsert(listed, people(a={"email": "x@example.com"}, b={"email": "y@example.com"}))
    file.flush(listed)

    file.remove(listed, people(a={"email": "x@example.com"}, b={"email": "y@example.com"}))
    file.upsert(listed, people(a={"email": "y@example.com"}, b={"email": "x@example.com"}))
    file.flush(listed)

    assert {(row["key"], row["email"]) for row in read(folder / listed)} == {
        ("a", "y@example.com"),
        ("b", "x@example.com"),
    }


@pytest.mark.parametrize(
    ("send", "identify", "same"),
    [
        (("score",), (), Member("a", {"score": 2})),
        (("email", "score"), ("score",), Member("z", {"score": 1})),
        (("email", "score"), ("score", "email"), Member("z", {"score": 1, "email": "A@example.com"})),
        (("email", "absent"), ("absent",), Member("a", {})),
    ],
)
def test_who_a_member_is_can_be_chosen(connect, folder, kind, send, identify, same):
    """
    By the fields of `identify`, by the address where it is sent, else by the key; and by the key where these are empty.
    """
    file = connect(kind, send, identify=identify)
    listed = file.prepare("L")
    file.upsert(listed, people(a={"score": 1}, b={"score": 7}))
    file.flush(listed)

    file.remove(listed, [same])
    file.flush(listed)

    assert keys(folder / listed) == ["b"]


def test_a_field_that_appears_later_is_a_new_column(connect, folder, kind):
    """
    Who was there before has nothing in it; a field that is no longer sent stays for them.
    """
    before, after = connect(kind, ("email", "score")), connect(kind, ("email", "plan"))
    listed = before.prepare("L")
    before.upsert(listed, people(a={"score": 1}))
    before.flush(listed)

    after.upsert(listed, people(b={"plan": "pro"}))
    after.flush(listed)

    assert [[str(value or "") for value in row.values()] for row in read(folder / listed)] == [
        ["a", "a@example.com", "1", ""],
        ["b", "b@example.com", "", "pro"],
    ]


@pytest.mark.parametrize("flushed", [True, False])
def test_a_field_that_changes_case_is_the_same_column(connect, folder, kind, flushed):
    """
    Engines do not tell "Email" from "email", so neither do lists: no column twice, and no member twice.
    """
    before, after = connect(kind, ("Email",), identify=("Email",)), connect(kind, ("email",))
    listed = before.prepare("L")
    before.upsert(listed, [Member("a", {"Email": "a@example.com"}), Member("b", {"Email": "b@example.com"})])
    if flushed:
        before.flush(listed)

    after.upsert(listed, people(a={}))
    after.flush(listed)

    assert {tuple(row.values()) for row in read(folder / listed)} == {("a", "a@example.com"), ("b", "b@example.com")}


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, -2, None], "BIGINT"),
        ([1, 2.5], "DOUBLE"),
        ([True, None], "BOOLEAN"),
        (["a", None], "VARCHAR"),
        ([None, None], "BOOLEAN"),
        ([1, "a"], "VARCHAR"),
        ([True, "a"], "VARCHAR"),
        ([2**63], "VARCHAR"),
        ([{"a": 1}], "VARCHAR"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_parquet_column_has_the_narrowest_type_that_holds_all(connect, folder, values, type_, together):
    """
    It widens as values come that it cannot hold, and loses none.
    """
    file = connect("parquet", ("email", "value"))
    listed = file.prepare("L")
    for n, value in enumerate(values):
        file.upsert(listed, people(**{f"k{n}": {"value": value}}))
        if not together:
            file.flush(listed)
    file.flush(listed)

    [(found,)] = duckdb.sql(f"select distinct typeof(value) from '{folder / listed}'").fetchall()
    assert found == type_
    texts = [text(value) for value in values]
    assert [text(row["value"]) for row in read(folder / listed)] == [
        t + ".0" if type_ == "DOUBLE" and t.isdigit() else t for t in texts
    ]


def text(value):
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def test_json_lines_keep_every_type(connect, folder):
    """
    Types may differ from row to row, and lists and dicts stay what they are.
    """
    file, values = connect("jsonl", ("email", "value")), [1, "1", True, None, 1.0, 2**63, [1, {"a": None}], "\0"]
    listed = file.prepare("L")

    file.upsert(listed, people(**{f"k{n}": {"value": value} for n, value in enumerate(values)}))
    file.flush(listed)

    assert [repr(row["value"]) for row in read(folder / listed)] == [repr(value) for value in values]


def test_empty_text_is_not_null(connect):
    """
    CSV too tells them apart, for who reads it back.
    """
    file = connect("csv", ("email", "note"))
    listed = file.prepare("L")
    file.upsert(listed, people(a={"note": ""}, b={"note": None}))
    file.flush(listed)
    file.upsert(listed, people(c={"note": "NULL"}))

    assert [fields["note"] for fields in file.members(listed)] == ["", None, "NULL"]


def test_members_reads_what_is_accepted(file):
    """
    Everyone's fields, those too that were accepted since the last flush.
    """
    listed = file.prepare("L")
    file.upsert(listed, people(**{f"k{n}": {"score": n} for n in range(2500)}))

    found = list(file.members(listed))

    assert len(found) == 2500
    assert found[7].keys() == {"email", "score"}
    assert str(found[7]["score"]) == "7"


def test_nothing_is_written_where_nothing_is_new(file, folder):
    """
    A flush without a journal leaves the file alone.
    """
    listed = file.prepare("L")
    before = (folder / listed).stat()

    file.flush(listed)

    assert (folder / listed).stat() == before


@pytest.mark.parametrize("torn", [b"", b'{"place":0,"gone":fal'])
def test_what_was_accepted_survives_a_kill(connect, folder, kind, torn):
    """
    A new worker finds the journal of the old one, without the line that was cut short, and goes on behind it.
    """
    listed = connect(kind).prepare("L")
    connect(kind).upsert(listed, people(a={}, b={}))
    with (folder / f".{listed}.journal").open("ab") as journal:
        journal.write(torn)

    connect(kind).remove(listed, people(a={}))
    connect(kind).flush(listed)

    assert keys(folder / listed) == ["b"]


def test_a_kill_between_the_list_and_its_journal_is_harmless(file, folder):
    """
    The journal that is still there gives the same list again.
    """
    listed = file.prepare("L")
    file.upsert(listed, people(a={}, b={}, c={}))
    file.flush(listed)
    file.remove(listed, people(a={}))
    file.upsert(listed, people(b={"score": 9}))
    journal = (folder / f".{listed}.journal").read_bytes()
    file.flush(listed)
    once = read(folder / listed)

    (folder / f".{listed}.journal").write_bytes(journal)
    file.flush(listed)

    assert sorted(read(folder / listed), key=str) == sorted(once, key=str)


def test_a_kill_in_the_middle_of_a_merge_is_harmless(file, folder):
    """
    A half-written new file is started over.
    """
    listed = file.prepare("L")
    file.upsert(listed, people(a={}))
    (folder / f".{listed}.new").write_bytes(b"half of it" * 1000)

    file.flush(listed)

    assert keys(folder / listed) == ["a"]
    assert [path.name for path in folder.iterdir()] == [listed]


def test_killed_at_any_moment_nothing_accepted_is_lost(connect, folder, kind):
    """
    A worker is killed in the midst of its work, several times over: all that it said to be safe is on the list.
    """
    for _ in range(times(2, 20, 3)):
        with process(WORKER, folder, kind) as worker:
            said = [int(worker.stdout.readline()) for _ in range(13)]
            worker.send_signal(signal.SIGKILL)
            said += [int(line) for line in worker.stdout]

        file = connect(kind, ("email",))
        found = {fields["email"] for fields in file.members(f"L.{kind}")}
        safe = {f"p{n}@example.com" for batch in said for n in range(batch * 10, batch * 10 + 10)}
        assert found >= safe
        file.remove(f"L.{kind}", [Member("x", {"email": address}) for address in found])
        file.flush(f"L.{kind}")
        assert read(folder / f"L.{kind}") == []


@pytest.mark.skipif(not (LONGER or THOROUGH), reason="much memory: LONGER=1 make test, or make thorough")
def test_memory_does_not_grow_with_the_list(folder):
    """
    200,000 members of 1.3 kB each, twice merged, fit into a process of less than 400 MB: rows stream, and are not held.
    """
    with process(LONG, folder) as worker:
        said = worker.stdout.read()

    assert (folder / "L.csv").stat().st_size > 250e6
    assert int(said) < 400


def test_rows_that_are_too_wide_are_said_so_and_wait(connect, kind):
    """
    Rows of 6 kB that do not fit into the memory that a merge may take: the way out is named, and by it nobody is lost.
    """
    tight, wide = (connect(kind, settings={"memory": memory}) for memory in ("16MB", "1GB"))
    listed = tight.prepare("L")
    tight.upsert(listed, [Member(str(n), {"email": f"p{n}@example.com", "bio": f"{n:5} " * 1000}) for n in range(2000)])

    with pytest.raises(DeliveryError, match="OutOfMemory") as said:
        tight.flush(listed)

    assert "FILE_MEMORY" in said.value.do
    assert len([*wide.members(listed)]) == 2000


@pytest.mark.parametrize("memory", ["much", "0MB", "256", "-1GB", "1GB; drop"])
def test_a_memory_that_is_none_is_refused(connect, memory):
    """
    FILE_MEMORY is a number with its unit.
    """
    with pytest.raises(ValueError, match="memory"):
        connect(settings={"memory": memory})


def test_removing_from_a_list_that_is_not_there_is_accepted(file, folder):
    """
    Nobody is on it; and no list is made by it.
    """
    assert file.remove(f"L.{Path(file.prepare('M')).suffix[1:]}", people(a={})).accepted == {"a"}
    assert len(list(folder.iterdir())) == 1


def test_a_list_that_is_gone_is_not_begun_anew(file, folder):
    """
    With the file went whoever was on it: the sync stops, and says how to go on.
    """
    listed = file.prepare("L")
    (folder / listed).unlink()

    with pytest.raises(DeliveryError, match="is gone, and with it whoever was on the list"):
        file.upsert(listed, people(a={}))


def test_another_format_is_another_list(connect):
    """
    A list keeps its format; who wants another is told how, and the old one can still be emptied.
    """
    listed = connect("csv").prepare("L")

    with pytest.raises(DefinitionError, match="name another list as well"):
        connect("parquet").upsert(listed, people(a={}))
    assert connect("parquet").remove(listed, people(a={})).accepted == {"a"}


@pytest.mark.parametrize(
    "name", ["../L", "/etc/L", "a/b", "a\\b", "..", ".", ".L", "", "a\nb", "a\0b", "\x7f", "é" * 101, "\ud800"]
)
def test_a_name_cannot_leave_its_folder(file, folder, name):
    """
    What is no plain file's name is refused before anything is written, as a name and as an id.
    """
    with pytest.raises(DefinitionError, match="cannot be called"):
        file.prepare(name)
    with pytest.raises(DefinitionError, match="cannot be called"):
        file.upsert(f"{name}.csv", people(a={}))
    assert not folder.exists()


@pytest.mark.parametrize("kind", times(["csv"], FORMATS, FORMATS), indirect=True)
@pytest.mark.parametrize(
    "name", ["NPS détracteurs 漢字", "a*", "[b]?", "it's", 'the "best"', "a.b", "~", "$HOME", "é" * 100]
)
def test_a_name_may_be_anything_else(file, folder, name):
    """
    Blanks, letters of all scripts, and what means something to a shell or an engine.
    """
    (folder / "other").mkdir(parents=True)
    listed = file.prepare(name)

    file.upsert(listed, people(a={}))
    file.flush(listed)
    file.remove(listed, people(b={}))

    assert len(list(file.members(listed))) == 1
    assert sorted(path.name for path in folder.iterdir()) == sorted([listed, "other"])


def test_an_id_says_its_format(connect):
    """
    A `list_id` without an ending names no file, and the error says which endings there are.
    """
    with pytest.raises(DefinitionError, match=r"end it in \.csv or \.jsonl or \.parquet"):
        connect().upsert("L", people(a={}))


def test_a_field_cannot_be_called_key(connect):
    """
    The first column is the member's key: two of one name would be one too many.
    """
    with pytest.raises(DefinitionError, match="give the field another name"):
        connect(send=("Key", "email"))


def test_who_may_read_a_list_is_for_its_owner_to_say(file, folder):
    """
    The file that takes the place of another has the same rights.
    """
    listed = file.prepare("L")
    (folder / listed).chmod(0o640)

    file.upsert(listed, people(a={}))
    file.flush(listed)

    assert stat.S_IMODE((folder / listed).stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "content", [b"\n", b"name;age\nada;3\n", b"\xff\xfe", b"email,key\n", b'{"email": 1}\n', b'key,email\n"a\n']
)
def test_a_file_that_is_no_list_is_said_so(file, folder, content):
    """
    Where a person left something else in its place, the run stops in words, shows none of it, and loses nothing.
    """
    listed = file.prepare("L")
    file.upsert(listed, people(a={}))
    (folder / listed).write_bytes(content)

    with pytest.raises(DeliveryError, match="what was accepted waits in the journal") as error:
        file.flush(listed)
    assert "ada" not in str(error.value)
    assert (folder / listed).read_bytes() == content
    assert (folder / f".{listed}.journal").stat().st_size


def test_a_table_of_other_columns_is_no_list(connect, folder):
    """
    It is said what makes it none, for a person may have put it there.
    """
    file = connect("csv")
    listed = file.prepare("L")
    file.upsert(listed, people(a={}))
    (folder / listed).write_text("email,key\n")

    with pytest.raises(DeliveryError, match="is no list of ours: its first column is not `key`"):
        file.flush(listed)


def test_a_folder_that_cannot_be_written_is_said_so(connect, folder):
    """
    A file where the folder should be, as a disk that is full, is an error in words.
    """
    folder.write_text("not a folder")

    with pytest.raises(DeliveryError, match="mend the file, its folder or the disk"):
        connect().prepare("L")


def test_a_disk_that_is_full_leaves_a_doubt(connect, folder):
    """
    What the disk did not take is not accepted; what it took in part is cut off the next time.
    """
    file = connect()
    listed = file.prepare("L")
    file.upsert(listed, people(a={}))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(Unanswered, match="mend the file, its folder or the disk"):
            file.upsert(listed, people(**{f"k{n}": {} for n in range(5000)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)

    file.upsert(listed, people(b={}))

    assert {"a@example.com", "b@example.com"} <= {fields["email"] for fields in file.members(listed)}
