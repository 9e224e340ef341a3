"""What ClickHouse's words say where it holds our tables, without an engine: statements, types, settings, errors."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url
from sqlglot import exp, parse_one

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.clickhouse import ClickHouse, _kind
from audiences.warehouse.dialects.clickhouse import MEANING, stepped
from audiences.warehouse.engines import spoken
from audiences.warehouse.opened import opened
from audiences.warehouse.sources.clickhouse import ClickHouseSource
from audiences.warehouse.words import Cancelled, Conflict
from engines import Plain, Swapping
from sourced import two_syncs
from world import World

URL = make_url("clickhouse://worker@localhost/shop")
WORDS = ClickHouse(URL, "audience_sync")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """All that a few runs say of our tables, in our own SQL -> its steps as ClickHouse is told them."""
    told = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plain, "said", lambda self, statement: told.add(statement) or (statement,), raising=False)
        two_syncs(World(tmp_path_factory.mktemp("said"), engine=Swapping()))
    return {statement: stepped(statement) for statement in told}


def test_every_statement_is_one_of_clickhouse(said):
    """
    Each step parses as ClickHouse's SQL, and whatever asks says what it means by NULL.
    """
    steps = {step for steps in said.values() for step in steps}
    asking = [step for step in steps if "SELECT" in step and not step.startswith("ALTER")]

    assert len(steps) > 60
    assert all(parse_one(step, dialect="clickhouse") for step in steps)
    assert len(asking) > 40
    assert [step for step in asking if not step.endswith(f"SETTINGS {MEANING}")] == []


def test_no_step_names_a_part_of_a_with(said):
    """
    What is mentioned more than once is a temporary table before it: no WITH is left, which is evaluated anew each time.
    """
    trees = [parse_one(step, dialect="clickhouse") for steps in said.values() for step in steps]
    temporary = [tree for tree in trees if isinstance(tree, exp.Create) and tree.find(exp.TemporaryProperty)]

    assert not any(tree.find(exp.With) for tree in trees)
    assert len(temporary) > 5


def test_a_table_says_how_it_is_kept(said):
    """
    An outbox is read by ranges of its places, and so is kept in their order; columns may be NULL.
    """
    made = [step for steps in said.values() for step in steps if step.startswith("CREATE TABLE")]
    outboxes = [step for step in made if "outbox_" in step.partition(" AS ")[0]]

    assert outboxes
    assert all("ENGINE = MergeTree ORDER BY seq AS " in step for step in outboxes)
    assert all("ENGINE = MergeTree ORDER BY tuple()" in step for step in made if step not in outboxes)
    [control] = [step for step in made if '"."control_' in step.partition("(")[0]]
    assert "epoch Nullable(Int64)" in control


def test_a_change_of_a_row_is_waited_for():
    """
    The one table of one row that is changed in place.
    """
    assert stepped('update "s"."project" set state_id = \'a\'') == [
        'ALTER TABLE "s"."project" UPDATE state_id = \'a\' WHERE true SETTINGS mutations_sync = 1'
    ]
    assert stepped('alter table "s"."t" rename to "u"') == ['RENAME TABLE "s"."t" TO "s"."u"']


def test_its_types_are_ours():
    """
    What only says how a value is stored is left away; what has no form of its own keeps its name.
    """
    told = {
        "Nullable(Int64)": "BIGINT",
        "UInt8": "BIGINT",
        "UInt64": "UBIGINT",
        "LowCardinality(Nullable(String))": "VARCHAR",
        "Enum8('a' = 1)": "VARCHAR",
        "Nullable(Decimal(10, 2))": "DECIMAL(10,2)",
        "Nullable(DateTime64(6, 'Etc/UTC'))": "TIMESTAMP",
        "DateTime64(3, 'Asia/Kolkata')": "TIMESTAMPTZ",
        "Date": "DATE",
        "Array(String)": "Array(String)",
    }

    assert {type_: _kind(type_) for type_ in told} == told


@pytest.mark.parametrize("type_", ["Array(String)", "FixedString(2)", "Int256", "Map(String, String)"])
def test_what_has_no_type_of_ours_is_refused(type_):
    """
    With the cast that helps.
    """
    with pytest.raises(DefinitionError, match="'tags' is of the type") as refused:
        WORDS.landed('"staged"', "select 1", {"tags": _kind(type_)})

    assert "toString(tags) as tags" in refused.value.do


def test_rows_are_written_down_as_they_are_kept():
    """
    The query stands as it is, a comment at its end included; each value is cast.
    """
    first, made = WORDS.landed('"staged"', "select id -- all", {"id": "BIGINT", "at": "TIMESTAMPTZ"})

    assert first == 'drop temporary table if exists "staged"'
    assert made == (
        'create temporary table "staged" as select CAST(q."id" AS Nullable(Int64)) as "id",'
        ' CAST(q."at" AS Nullable(DateTime64(6, \'UTC\'))) as "at" from (\nselect id -- all\n) as q'
    )


def test_its_time_out():
    """
    By the clock, from the first moment on; afterwards the user's own counts again.
    """
    before, after = WORDS.bounding(timedelta(seconds=90))

    assert before == "set max_execution_time = 90.000000, timeout_before_checking_execution_speed = 0"
    assert after == "set max_execution_time = default, timeout_before_checking_execution_speed = default"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Code: 60. DB::Exception: Table audience_sync.v1_2_0_ledger_x does not exist", Conflict),
        ("Code: 60. DB::Exception: Table shop.peeple does not exist", WarehouseError),
        ("Code: 57. DB::Exception: Table audience_sync.control_x already exists", Conflict),
        ("Code: 159. DB::Exception: Timeout exceeded", Cancelled),
    ],
)
def test_what_an_error_means(said, kind):
    """
    A table of ours that is gone, or there already, was another worker's doing.
    """
    assert type(WORDS.refusal(ValueError(said))) is kind


def test_a_right_that_is_missing_is_named():
    """
    With what our tables need, and the way without them.
    """
    refused = WORDS.refusal(ValueError("Code: 497. DB::Exception: worker: Not enough privileges. CREATE TABLE"))

    assert "Not enough privileges" in str(refused)
    assert 'all on "audience_sync".*' in refused.do
    assert "AUDIENCES_LEDGER_URL" in refused.do


def test_its_session_outlives_a_pause(monkeypatch):
    """
    Temporary tables go with a session that was not spoken to, and a statement may take long to answer.
    """
    told = {}
    monkeypatch.setattr("clickhouse_connect.get_client", lambda **options: told.update(options))
    ClickHouseSource(URL).client(writes=True)

    assert told["settings"] == {"session_timeout": "3600"}
    assert told["send_receive_timeout"] == 3600


def test_without_its_driver(monkeypatch):
    """
    What brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.clickhouse.find_spec", lambda name: None)
    with pytest.raises(DefinitionError) as missing:
        opened(URL, "audience_sync")

    assert missing.value.do == "pip install 'audiences[clickhouse]'"
    assert spoken(URL) is ClickHouse
