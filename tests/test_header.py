"""The header of an audience file: what is read, and what each mistake in it is told."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from audiences import cron, header, schema
from audiences.chosen import Chosen
from audiences.errors import DefinitionError

TOML = """
about    = "Latest NPS answer was 0 to 6"
owner    = "cx@example.com"
key      = "customer_id"
schedule = "*/15 * * * *"

[sync.webhook]
list = "Detractors"
send = ["email", "nps_score"]

[guard]
removed = 0.1
""".strip()


def written(folder, toml=TOML, sql="select 1", dash="-- "):
    """A file with this header; its first TOML line is line 2."""
    file = folder / "detractors.sql"
    lines = "".join(f"{dash}{line}\n" for line in toml.splitlines())
    file.write_text(f"-- /// audience\n{lines}-- ///\n{sql}\n", newline="")
    return file


def read(file):
    return header.read(header.cut(file))


def refusal(file):
    with pytest.raises(DefinitionError) as caught:
        read(file)
    return str(caught.value).removeprefix(str(file))


def changed(folder, old, new):
    """What is said of the header with one thing changed."""
    assert old in TOML
    return refusal(written(folder, TOML.replace(old, new)))


def test_a_header_is_read(tmp_path):
    """
    Every key arrives with its type, and what is not written has its default.
    """
    head = read(written(tmp_path))

    assert (head.about, head.owner, head.key) == ("Latest NPS answer was 0 to 6", "cx@example.com", ("customer_id",))
    assert (head.schedule, head.timezone, head.paused) == ("*/15 * * * *", "UTC", False)
    assert head.sync["webhook"].send == {"email": "email", "nps_score": "nps_score"}
    assert (head.guard.removed, head.guard.added, head.guard.floor, head.guard.most) == (0.1, 0.5, 10, None)


def test_send_may_name_the_destination_fields(tmp_path):
    """
    A table sends a column under another name, and one column under two.
    """
    toml = TOML.replace('["email", "nps_score"]', '{ mail = "email", "contact.mail" = "email" }')

    assert read(written(tmp_path, toml)).sync["webhook"].send == {"mail": "email", "contact.mail": "email"}


@pytest.mark.parametrize("dash", ["-- ", "--", "--  "])
def test_the_dashes_need_no_blank(tmp_path, dash):
    """
    `--key` and `-- key` are the same line.
    """
    assert read(written(tmp_path, dash=dash)).key == ("customer_id",)


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path):
    """
    A file saved on Windows is the file that was meant, down to its lines.
    """
    plain = written(tmp_path)
    before = header.cut(plain)
    plain.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\r\n"))

    assert header.cut(plain) == before


def test_the_sql_starts_below_the_header(tmp_path):
    """
    What stands below the closing line is the query, and its first line is known.
    """
    file = header.cut(written(tmp_path, sql="select\n  1 -- ///"))

    assert file.sql == "select\n  1 -- ///\n"
    assert file.sql_first == 1 + len(TOML.splitlines()) + 2


def test_the_line_of_a_value_over_many_lines_is_where_it_starts(tmp_path):
    """
    An error points at the key, also behind lists and texts that go over several lines.
    """
    toml = TOML.replace('["email", "nps_score"]', '[\n  "email",\n\n  # why\n  "nps_score",\n]\nidentify = 3')
    file = header.cut(written(tmp_path, toml))

    assert file.place("sync", "webhook", "send").line == 9
    assert file.place("sync", "webhook", "identify").line == 15
    assert file.place("sync", "webhook", "absent").line == 7
    assert file.place("absent").line == 1


def test_a_value_that_looks_like_keys_does_not_move_a_line(tmp_path):
    """
    The text of a value is no key, however it reads.
    """
    toml = TOML.replace('"Latest NPS answer was 0 to 6"', '["""\nowner = 1\n[guard]\n"""]')

    assert header.cut(written(tmp_path, toml)).place("owner").line == 6


@pytest.mark.parametrize(
    ("old", "new", "line", "what", "do"),
    [
        pytest.param("owner ", "# ", 1, "lacks owner", 'write owner = "cx@example.com"', id="missing"),
        pytest.param("removed", "remove", 12, "key: guard.remove", "did you mean removed?", id="unknown-in-guard"),
        pytest.param("[guard]", "[gard]", 11, "unknown key: gard", "did you mean guard?", id="unknown-table"),
        pytest.param("key   ", "Key   ", 4, "unknown key: Key", "did you mean key?", id="upper-case"),
        pytest.param('"customer_id"', "7", 4, "key must be a column, or a list", 'write "customer_id"', id="type"),
        pytest.param('"customer_id"', "[]", 4, "key must be a column, or a list", "[", id="key-of-nothing"),
        pytest.param('"customer_id"', '["a", 7]', 4, "key must be a column, or a list", "[", id="key-of-a-number"),
        pytest.param('"customer_id"', '["a", "A"]', 4, "key names 'A' twice", "each column once", id="key-twice"),
        pytest.param('"customer_id"', '["a", " "]', 4, "key must be text, not blank", "in quotes", id="key-blank"),
        pytest.param('"cx@example.com"', '" "', 3, "owner must be text, not blank", "in quotes", id="blank"),
        pytest.param('"cx@example.com"', '"a\\nb"', 3, "on one line", "in quotes", id="two-lines"),
        pytest.param("*/15 * *", "*/15 * 32", 5, "is no cron line: bad day-of-month", "weekday", id="cron-range"),
        pytest.param("*/15 * *", "0 */15 * *", 5, "it has 6 fields, not five", "weekday", id="cron-seconds"),
        pytest.param("*/15 * * * *", "@reboot", 5, "is no cron line", "@daily", id="cron-reboot"),
        pytest.param("*/15 * * * *", "0 0 30 2 *", 5, "is no cron line", "weekday", id="cron-never"),
        pytest.param("0.1", "1.5", 12, "guard.removed must be less than or equal to 1", "removed = 0.2", id="share"),
        pytest.param("0.1", "-0.1", 12, "guard.removed must be greater", "removed = 0.2", id="share-negative"),
        pytest.param("0.1", "nan", 12, "guard.removed must be a finite number", "removed = 0.2", id="share-nan"),
        pytest.param("0.1", "true", 12, "guard.removed must be a valid number", "removed = 0.2", id="share-bool"),
        pytest.param("removed = 0.1", "most = 0", 12, "guard.most must be greater", "most = 5000", id="most"),
        pytest.param('list = "Detractors"', "", 7, "has neither list nor list_id", "exactly one", id="no-list"),
        pytest.param("list =", "list_id = '1'\nlist =", 7, "has both list and list_id", "exactly one", id="two-lists"),
        pytest.param('"Detractors"', "12", 8, "webhook.list must be a valid string", "list =", id="list-type"),
        pytest.param("send", "columns", 7, "lacks sync.webhook.send", 'write send = ["email"]', id="no-send"),
        pytest.param("send", "sned", 9, "unknown key: sync.webhook.sned", "did you mean send?", id="send-misspelt"),
        pytest.param('["email", "nps_score"]', "[]", 9, "sends nothing", "at least one column", id="send-empty"),
        pytest.param('["email", "nps_score"]', "{}", 9, "sends nothing", "at least one column", id="send-empty-table"),
        pytest.param('["email", "nps_score"]', '"email"', 9, "must be a list of columns", '["email"]', id="send-text"),
        pytest.param('"nps_score"]', "1]", 9, "must be a list of columns", '["email"]', id="send-number"),
        pytest.param('"nps_score"]', '""]', 9, "must be text, not blank", "in quotes", id="send-blank"),
        pytest.param('"nps_score"]', '"email"]', 9, "names 'email' twice", "each column once", id="send-twice"),
        pytest.param('"nps_score"]', f'"{"é" * 30}"]', 9, "is over 58 bytes", "shorter", id="send-long"),
        pytest.param(
            '["email", "nps_score"]', '{ Mail = "a", mail = "b" }', 9, "differ only in case", "different", id="case"
        ),
        pytest.param(
            '["email", "nps_score"]', '{ mail = 1 }', 9, "send must be a valid string", "send", id="column-type"
        ),
        pytest.param("list =", 'mode = "mirorr"\nlist =', 8, "be 'mirror', 'upsert' or 'add'", "mode =", id="mode"),
        pytest.param("list =", 'connector = "../x"\nlist =', 8, "'../x' is no name", "lower-case", id="connector"),
        pytest.param("list =", 'renamed_from = "x"\nlist =', 8, "'x' is no name", "audience.section", id="renamed"),
        pytest.param("list =", "paused = 1\nlist =", 8, "must be a valid boolean", "paused = true", id="paused"),
        pytest.param("webhook]", "Webhook]", 7, "sync.Webhook 'Webhook' is no name", "lower-case", id="section-case"),
        pytest.param("webhook]", "web__hook]", 7, "'web__hook' is no name", "single underscores", id="section-double"),
        pytest.param("webhook]", "webhook_]", 7, "'webhook_' is no name", "single underscores", id="section-end"),
        pytest.param("[guard]\nremoved = 0.1", "[[guard]]", 11, "guard must be a table", "[guard]", id="table-array"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_its_line_and_its_remedy(tmp_path, old, new, line, what, do):
    """
    An error names file and line of the key, what is wrong with it, and what to write.
    """
    said = changed(tmp_path, old, new)

    assert said.startswith(f":{line} ")
    assert what in said.splitlines()[0]
    assert do in said.splitlines()[1]


def test_an_unknown_key_names_the_nearest_and_all(tmp_path):
    """
    A misspelled key is told what it was meant to be.
    """
    said = refusal(written(tmp_path, f"scheduel = 1\n{TOML}"))

    assert said.startswith(
        ":2 has an unknown key: scheduel\n  do: did you mean schedule? known: about, fresh, guard, key, limits"
    )


@pytest.mark.parametrize("zone", ["Mars/Phobos", "Europe", "../etc/passwd", ""])
def test_an_unknown_timezone_is_refused(tmp_path, zone):
    """
    A timezone is a name of the zone database: no folder of it, and no path out of it.
    """
    said = refusal(written(tmp_path, f'timezone = "{zone}"\n{TOML}'))

    assert said.startswith(f":2 timezone {zone!r} is no timezone")


def test_a_section_that_is_no_table_is_refused(tmp_path):
    """
    A sync is a table, and a header has at least one.
    """
    no_sync = TOML.split("\n\n")[0]

    assert ":1 lacks sync\n" in refusal(written(tmp_path, no_sync))
    assert ":6 sync must be a table" in refusal(written(tmp_path, f"{no_sync}\nsync = 1"))
    assert ":6 sync.webhook must be a table" in refusal(written(tmp_path, f"{no_sync}\nsync.webhook = 1"))
    assert "sync Dictionary should have at least 1 item" in refusal(written(tmp_path, f"{no_sync}\n[sync]"))


def test_the_first_of_several_mistakes_is_told(tmp_path):
    """
    A file is read from its top: so are its mistakes.
    """
    said = refusal(written(tmp_path, TOML.replace("*/15", "99").replace("removed", "remove")))

    assert said.startswith(":5 schedule")


@pytest.mark.parametrize(
    ("toml", "line", "what"),
    [
        ('about = "x"\nowner = "a" "b"', 3, "is no TOML: Expected newline"),
        ('key = "a"\nkey = "b"', 3, "is no TOML: Cannot overwrite a value"),
        ("[guard]\n[guard]", 3, "is no TOML: Cannot declare"),
        ("about = [\n1,", 3, "is no TOML"),
        ('about = """\nx', 3, "is no TOML"),
        (f"about = {'9' * 5000}", 2, "is no TOML"),
        (f"about = {'[' * 5000}", 2, "is nested too deeply"),
    ],
    ids=["syntax", "duplicate-key", "duplicate-table", "open-list", "open-text", "digits", "nested"],
)
def test_what_is_no_toml_is_refused_at_its_line(tmp_path, toml, line, what):
    """
    Broken TOML, down to what crashes its parser, is an error of one line.
    """
    said = refusal(written(tmp_path, toml))

    assert said.startswith(f":{line} {what}")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", ":1 has no header"),
        (b"\n\nselect 1", ":3 has no header"),
        (b"-- /// script\n-- ///\n", ":1 has no header"),
        (b"\xff\xfe\x00s", " is not UTF-8 text"),
        (b"-- /// audience\n-- ///\nselect '\0'", " holds NUL"),
        (b"-- /// audience\n-- about = 1\n", ":3 stands in the header"),
        (b"-- /// audience\n-- about = 1", ":1 opens a header that is not closed"),
        (b"-- /// audience\nselect 1\n-- ///", ":2 stands in the header"),
        (b"-- /// audience\n" + b"-- x = 1\n" * 2000, ":1 opens a header that is not closed within 1000 lines"),
        (b"-- /// audience\n-- ///", ":1 lacks about"),
    ],
    ids=["empty", "sql", "other", "binary", "nul", "unclosed", "ends", "no-comment", "long", "blank"],
)
def test_a_file_without_a_header_is_refused(tmp_path, content, what):
    """
    Whatever stands in the file, its author gets one sentence and a remedy.
    """
    file = tmp_path / "x.sql"
    file.write_bytes(content)

    said = refusal(file)

    assert said.startswith(what)
    assert "\n  do: " in said


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    """
    A folder, or a file that is gone, is an error and no traceback.
    """
    assert refusal(tmp_path / "gone.sql").startswith(" cannot be read: No such file")
    assert refusal(tmp_path).startswith(" cannot be read: Is a directory")


def test_a_schedule_is_read_as_vixie_cron_reads_it():
    """
    0 and 7 are Sunday, names count, and @daily is midnight.
    """
    start = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("Europe/Berlin"))  # a Friday

    days = [
        next(CronSim(cron.fields(line), start)).strftime("%a %H:%M") for line in ("0 6 * * 7", "0 6 * * mon", "@daily")
    ]

    assert days == ["Sun 06:00", "Mon 06:00", "Sat 00:00"]
    assert cron.fields("0 6 * * 0").split() == ["0", "6", "*", "*", "0"]


class Mailing:
    class Options(Chosen.Options):
        audience_id: str


def test_the_schema_describes_every_key(tmp_path):
    """
    The published schema has the keys that are checked, each described, and those of the connectors.
    """
    whole = schema.header({"mailing": Mailing.Options})
    mailing = whole["$defs"][whole["properties"]["sync"]["properties"]["mailing"]["$ref"].rpartition("/")[2]]

    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(whole["required"]) == {"about", "owner", "key", "schedule", "sync"}
    assert all("description" in key for key in whole["properties"].values())
    assert {"send", "list", "audience_id", "identify"} <= mailing["properties"].keys()
    assert set(mailing["required"]) == {"send", "audience_id"}
    assert mailing["additionalProperties"] is False
