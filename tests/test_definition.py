"""A file under audiences/ becomes one Audience, or one error that says which line to mend."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from audiences import definition
from audiences.audience import Audience, Guard, Sync, table_name
from audiences.errors import DefinitionError

TEXT = """
-- /// audience
-- about    = "Latest NPS answer was 0 to 6"
-- owner    = "cx@example.com"
-- key      = "customer_id"
-- schedule = "@daily"
-- timezone = "Europe/Berlin"
--
-- [sync.webhook]
-- list = "Detractors"
-- send = ["email", "nps_score"]
--
-- [sync.crm_eu]
-- connector = "file"
-- list_id = "17"
-- send = { mail = "email", "nps.score" = "nps_score" }
-- mode = "upsert"
-- paused = true
-- renamed_from = "unhappy.crm"
-- format = "jsonl"
--
-- [guard]
-- most = 500
-- ///
-- Why: whoever is unhappy is called.
select customer_id, email, nps_score
from nps_latest
where nps_score <= 6;
""".lstrip()


def written(folder, *changes, name="detractors", text=TEXT):
    """The file with these (old, new) changes."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / f"{name}.sql"
    file.write_text(text)
    return file


def refusal(file, dialect="duckdb"):
    with pytest.raises(DefinitionError) as caught:
        definition.load(file, dialect)
    return str(caught.value).replace(str(file), file.name)


def test_a_file_is_read_whole(tmp_path):
    """
    Everything that is written arrives in frozen values; options of a connector are kept as written.
    """
    file = written(tmp_path)

    assert definition.load(file, "duckdb") == Audience(
        name="detractors",
        path=file,
        about="Latest NPS answer was 0 to 6",
        owner="cx@example.com",
        key=("customer_id",),
        schedule="@daily",
        timezone="Europe/Berlin",
        paused=False,
        select="-- Why: whoever is unhappy is called.\n"
        "select customer_id, email, nps_score\nfrom nps_latest\nwhere nps_score <= 6",
        syncs=(
            Sync(
                audience="detractors",
                section="webhook",
                connector="webhook",
                send={"email": "email", "nps_score": "nps_score"},
                list="Detractors",
                line=8,
            ),
            Sync(
                audience="detractors",
                section="crm_eu",
                connector="file",
                send={"mail": "email", "nps.score": "nps_score"},
                list_id="17",
                mode="upsert",
                paused=True,
                renamed_from="unhappy.crm",
                options={"format": "jsonl"},
                line=12,
            ),
        ),
        guard=Guard(most=500),
        fingerprint=hashlib.sha256(TEXT.encode()).hexdigest(),
    )


def test_a_column_in_send_that_the_query_does_not_return_is_refused(tmp_path):
    """
    The error names the line of the key, the column, and the nearest one that is returned.
    """
    said = refusal(written(tmp_path, ('"email", "nps_score"]', '"emial"]')))

    assert said == (
        "detractors.sql:10 send names 'emial', which the query does not return\n"
        "  do: select it; did you mean email? known: customer_id, email, nps_score"
    )


def test_a_column_in_a_send_table_is_checked_too(tmp_path):
    """
    The column counts, not the destination field.
    """
    said = refusal(written(tmp_path, ('mail = "email"', 'email = "mail"')))

    assert said.startswith("detractors.sql:15 send names 'mail', which the query does not return")


def test_a_key_that_the_query_does_not_return_is_refused(tmp_path):
    """
    Without its key no member has a name.
    """
    said = refusal(written(tmp_path, ("select customer_id,", "select customer_id as id,")))

    assert said.startswith("detractors.sql:4 key names 'customer_id', which the query does not return")


def test_a_column_that_the_query_returns_twice_is_refused(tmp_path):
    """
    Which of the two is meant, nobody can say.
    """
    said = refusal(written(tmp_path, ("select customer_id,", "select customer_id, work_email as email,")))

    assert said.startswith("detractors.sql:10 send names 'email', which the query returns twice\n  do: rename one")


def test_what_a_star_returns_only_the_warehouse_can_tell(tmp_path):
    """
    Offline, a query with a star is not judged by its columns.
    """
    assert definition.load(written(tmp_path, ("select customer_id, email, nps_score", "select *")), "duckdb").key


def test_a_name_is_written_as_the_engine_returns_it(tmp_path):
    """
    PostgreSQL folds a name without quotes to lower case, so `Email` is sent as `email`.
    """
    file = written(tmp_path, ("customer_id, email", "Customer_ID, Email"))

    assert definition.load(file, "postgres").key == ("customer_id",)
    assert "did you mean Customer_ID?" in refusal(file, "duckdb")


def test_a_query_is_checked_at_its_line(tmp_path):
    """
    A second statement is refused where it stands in the file.
    """
    file = written(tmp_path, text=TEXT + "drop table nps_latest;\n")

    assert refusal(file).startswith("detractors.sql:28 starts a second statement")


def test_a_header_alone_is_refused(tmp_path):
    """
    No query, no audience.
    """
    file = written(tmp_path, text=TEXT.split("-- Why")[0])

    assert refusal(file).startswith("detractors.sql:24 has no query below the header")


@pytest.mark.parametrize(
    "name", ["Detractors", "de__tractors", "detractors_", "1st", "de-tractors", "dé", "a b", "x.y"]
)
def test_a_file_name_that_makes_no_table_is_refused(tmp_path, name):
    """
    An audience's name is part of table names and of its syncs' names.
    """
    said = refusal(written(tmp_path, name=name))

    assert said.startswith(f"{name}.sql names its audience {name!r}")
    assert "lower-case letters" in said


def test_a_long_name_is_cut_for_its_tables(tmp_path):
    """
    Up to 45 characters a sync's tables are named as it is; beyond that, two names that begin alike stay two, and none
    can be that of a sync with a short name.
    """
    fits, over = "a" * (45 - len("__webhook")), "a" * (46 - len("__webhook"))
    tables = [definition.load(written(tmp_path, name=name), "duckdb").syncs[0].table for name in (fits, over)]
    more = [table_name(f"{over}{end}.webhook") for end in ("b", "c", f"_{'d' * 200}")]

    assert tables[0] == f"{fits}__webhook"
    assert tables[1] == table_name(f"{over}.webhook")
    assert len({*tables, *more}) == 5
    assert all(len(table) <= 45 and "___" in table for table in (tables[1], *more))


def test_the_same_text_has_the_same_fingerprint_on_every_system(tmp_path):
    """
    Line ends do not count, everything else does.
    """
    unix = definition.load(written(tmp_path), "duckdb").fingerprint
    windows = written(tmp_path, text=TEXT.replace("\n", "\r\n"))
    other = written(tmp_path, ("<= 6", "<= 5"), name="other")

    assert definition.load(windows, "duckdb").fingerprint == unix
    assert definition.load(other, "duckdb").fingerprint != unix


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parent.parent / "audiences").glob("*.sql")), ids=lambda file: file.stem
)
def test_every_audience_that_ships_is_read(file):
    """
    The files under audiences/ are examples: none has a mistake, and all name their columns.
    """
    audience = definition.load(file, "duckdb")

    assert audience.name == file.stem
    assert audience.syncs
