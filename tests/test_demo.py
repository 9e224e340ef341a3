"""The demo's promises: real purchases, figures that do not depend on the day, lists that change a little every day."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import re
import shutil
from datetime import UTC, date, datetime

import httpx
import pytest
import sqlglot

from audiences import definition
from audiences.connectors import shipped
from audiences.demo import receiver, starter, story, warehouse
from audiences.errors import AudienceError, DefinitionError
from scale import times

AUDIENCES = sorted(shipped("audiences").glob("*.sql"), key=lambda path: path.stem)
CUSTOMERS = 23_570

EXPECTED = {  # members on the first day, on the second, and how many of them came and went
    "casual_users": (2309, 2320, 91, 80),
    "churn_risk": (255, 272, 36, 19),
    "detractors": (1003, 1002, 13, 14),
    "interested_not_bought": (640, 620, 32, 52),
    "lapsed_buyers": (1989, 2003, 34, 20),
    "likely_converters": (490, 484, 9, 15),
    "loyal_customers": (1679, 1661, 4, 22),
    "power_users": (2227, 2236, 60, 51),
    "promoters": (2532, 2544, 41, 29),
    "referral_candidates": (682, 679, 8, 11),
    "stuck_in_onboarding": (525, 522, 22, 25),
    "upsell_candidates": (1706, 1705, 33, 34),
}

ANY_DAYS = [date(2024, 2, 29), date(2027, 1, 1), date(2025, 3, 1)]

SECRET = "whsec_" + base64.b64encode(b"not-a-real-secret").decode()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A warehouse as it stands on 2026-05-04; not to be changed."""
    path = tmp_path_factory.mktemp("demo") / "warehouse.duckdb"
    warehouse.build(path, date(2026, 5, 4))
    return path


@pytest.fixture
def shop(built, tmp_path):
    return shutil.copy(built, tmp_path / "warehouse.duckdb")


def rows(path, sql, today=None):
    if today:
        sql = re.sub(r"\bcurrent_date\b", f"date '{today}'", sql)
    with warehouse.opened(path) as db:
        return db.execute(sql).fetchall()


def members(path, today):
    """audience -> key -> row, as of that day."""
    return {file.stem: {row[0]: row for row in rows(path, file.read_text("utf-8"), today)} for file in AUDIENCES}


def changes(before, after):
    return {
        name: (
            len(before[name]),
            len(after[name]),
            len(after[name].keys() - before[name].keys()),
            len(before[name].keys() - after[name].keys()),
        )
        for name in before
    }


# The data


def test_the_purchases_are_the_published_ones(built):
    """
    69,659 purchases of 23,570 customers, 167,881 CDs for 2,500,315.63 dollars, none left out and none invented.
    """
    totals = rows(built, "select count(*), count(distinct customer_id), sum(cds), sum(amount) from archive.orders")

    assert [tuple(map(float, row)) for row in totals] == [(69_659, CUSTOMERS, 167_881, 2_500_315.63)]


def test_the_compressed_file_is_the_original():
    """
    The text has the checksum that the notice names, and stays under half a megabyte in the repository.
    """
    packed = warehouse.PURCHASES.read_bytes()
    notice = warehouse.PURCHASES.parent.joinpath("NOTICE").read_text()

    assert hashlib.sha256(gzip.decompress(packed)).hexdigest() in notice
    assert len(packed) < 500_000


def test_the_newest_purchase_is_yesterday_and_the_next_days_are_real(shop):
    """
    After the build and after each day that passes, and each day brings the purchases that were really made then.
    """
    told = []
    for _ in range(4):
        told.append(rows(shop, "select ordered_on, count(*) from shop.orders group by 1 order by 1 desc limit 1")[0])
        warehouse.pass_a_day(shop)

    assert told == [(date(2026, 5, 3), made) for made in (55, 44, 44, 47)]  # 1998-06-23 to 26 in the file


def test_a_passing_day_moves_everything_back_by_one(shop):
    """
    The oldest order, answer and event are a day older, nothing is lost, and every kind of thing gets newer ones.
    """
    seen = """
        select 'orders', min(ordered_on), max(ordered_on), count(*) from shop.orders
        union all select 'answers', min(answered_on), max(answered_on), count(*) from simulated.nps_answers
        union all select event, min(happened_on), max(happened_on), count(*) from simulated.product_events group by 1
    """
    before = {name: found for name, *found in rows(shop, seen)}

    warehouse.pass_a_day(shop)

    for name, (first, last, count) in {name: found for name, *found in rows(shop, seen)}.items():
        assert (before[name][0] - first).days == 1, name
        assert last == before[name][1], name
        assert count > before[name][2], name


def test_seven_days_can_pass(shop):
    """
    Then the histories end, and the error says what to do.
    """
    for _ in range(warehouse.HELD_BACK):
        warehouse.pass_a_day(shop)

    with pytest.raises(DefinitionError, match="build it anew"):
        warehouse.pass_a_day(shop)


def test_addresses_are_invented_unique_and_some_move(shop):
    """
    All at example.com; on a day a few customers get a new one, and nobody's is taken.
    """
    before = dict(rows(shop, "select customer_id, email from shop.customers"))

    warehouse.pass_a_day(shop)

    after = dict(rows(shop, "select customer_id, email from shop.customers"))
    assert all(re.fullmatch(r"customer\d{5}(\.new)?@example\.com", email) for email in after.values())
    assert len(set(after.values())) == len(after) == CUSTOMERS
    assert 10 < sum(before[key] != after[key] for key in after) < 100


def test_what_is_simulated_says_so(built):
    """
    In its name and in its comment, table by table; of the customers, column by column.
    """
    marked = rows(
        built,
        """
        select schema_name, view_name, comment from duckdb_views() where not internal
        union all select schema_name, table_name, comment from duckdb_tables()
        """,
    )
    columns = dict(rows(built, "select column_name, comment from duckdb_columns() where table_name = 'customers'"))

    for schema, name, comment in marked:
        if schema == "simulated" or name.startswith("simulated"):
            assert comment.startswith("SIMULATED"), name
    assert {f"{schema}.{name}" for schema, name, comment in marked if comment.startswith("REAL")} == {
        "shop.orders", "shop.customers", "archive.orders",
    }  # fmt: skip
    assert columns["email"].startswith("SIMULATED")
    assert columns["first_name"].startswith("SIMULATED")


def test_a_warehouse_is_not_overwritten(shop):
    """
    Building where something is already is an error that names it.
    """
    with pytest.raises(DefinitionError, match="exists already"):
        warehouse.build(shop, date(2026, 5, 4))


def test_a_build_that_was_cut_off_leaves_nothing_in_the_way(tmp_path):
    """
    What it left behind is no warehouse, and the next build replaces it.
    """
    for name in ("warehouse.duckdb.draft", "warehouse.duckdb.draft.wal"):
        (tmp_path / name).write_bytes(b"torn")

    warehouse.build(tmp_path / "warehouse.duckdb", date(2026, 5, 4))

    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.duckdb"]


# The audiences


def test_the_figures_are_those_of_the_table(shop):
    """
    Day one, day two, who came and who went: exactly.
    """
    before = members(shop, date(2026, 5, 4))

    warehouse.pass_a_day(shop)

    assert changes(before, members(shop, date(2026, 5, 4))) == EXPECTED


@pytest.mark.parametrize("today", ANY_DAYS[: times(1, 3, 3)], ids=str)
def test_the_figures_are_the_same_whichever_day_it_is(tmp_path, today):
    """
    Leap days and turns of the year included.
    """
    path = tmp_path / "warehouse.duckdb"

    warehouse.build(path, today)

    assert {name: len(found) for name, found in members(path, today).items()} == {
        name: first for name, (first, *_) in EXPECTED.items()
    }


def test_the_figures_hold_with_the_real_clock(tmp_path):
    """
    `current_date` as it stands in the files and the day of the build are the same day in the demo's time zone.
    """
    path, zone = tmp_path / "warehouse.duckdb", story.zone(datetime.now(UTC))

    warehouse.build(path, warehouse.today(zone))

    with warehouse.opened(path, zone) as db:
        found = {file.stem: len(db.execute(file.read_text("utf-8")).fetchall()) for file in AUDIENCES}
    assert found == {name: first for name, (first, *_) in EXPECTED.items()}


def test_every_day_changes_every_list_within_its_guard(shop):
    """
    On each of the seven days (`make test` lets three pass) someone comes and someone goes; no list is empty or
    everybody; keys are unique.
    """
    before = members(shop, date(2026, 5, 4))
    for _ in range(times(3, warehouse.HELD_BACK, warehouse.HELD_BACK)):
        warehouse.pass_a_day(shop)
        after = members(shop, date(2026, 5, 4))
        for name, (listed, now, added, removed) in changes(before, after).items():
            assert 200 < now < CUSTOMERS / 5, name
            assert 0 < added < 0.5 * listed, name
            assert 0 < removed < 0.2 * listed, name
            updated = sum(before[name][key] != after[name][key] for key in before[name].keys() & after[name].keys())
            assert updated < 0.5 * listed, name
        before = after


@pytest.mark.parametrize("file", AUDIENCES, ids=lambda path: path.stem)
def test_each_audience_ships_whole(file, built):
    """
    It has an owner, is bound to file or webhook, sends what its query returns, and never lists a key twice.
    """
    audience = definition.load(file, "duckdb")

    with warehouse.opened(built) as db:
        answer = db.execute(audience.select.replace("current_date", "date '2026-05-04'"))
        names = [column[0] for column in answer.description]
        keys = [row[names.index(audience.key_columns)] for row in answer.fetchall()]
    assert len(keys) == len(set(keys))
    assert audience.about
    assert audience.owner.endswith("@example.com")
    assert audience.key == ("customer_id",)
    assert {sync.connector for sync in audience.syncs} <= {"file", "webhook"}
    assert {column for sync in audience.syncs for column in sync.send.values()} <= set(names)


@pytest.mark.parametrize("file", AUDIENCES, ids=lambda path: path.stem)
def test_each_audience_reads_as_postgresql(file):
    """
    It means the same there, but for where NULLs sort, and none of its sorted columns has any.
    """
    read = [sqlglot.parse_one(file.read_text("utf-8"), read=dialect) for dialect in ("postgres", "duckdb")]
    for ordered in (each for query in read for each in query.find_all(sqlglot.exp.Ordered)):
        ordered.set("nulls_first", None)

    assert read[0] == read[1]


def test_all_twelve_audiences_are_there():
    """
    No file more and none less than the table of figures names.
    """
    assert [path.stem for path in AUDIENCES] == list(EXPECTED)


# The receiver


def delivery(name, verb, *addresses, sent_at=1_000, secret=b"not-a-real-secret"):
    """A signed request, made by the letter of the convention and not by our connector."""
    body = json.dumps(
        {
            "verb": verb,
            "list": "Detractors",
            "members": [{"key": str(n), "fields": {"email": each, "nps": 3}} for n, each in enumerate(addresses)],
        }
    )
    digest = hmac.new(secret, f"{name}.{sent_at}.{body}".encode(), hashlib.sha256).digest()
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": "v1,other v1," + base64.b64encode(digest).decode(),
    }
    return {"content": body, "headers": headers}


@pytest.fixture
def inbox():
    with receiver.receiving(SECRET) as running:
        running.clock = lambda: 1_010.0
        yield running


def test_the_receiver_keeps_lists_by_address(inbox):
    """
    Upserts make present, removals make absent, whatever the case of the address.
    """
    httpx.post(inbox.url, **delivery("1", "upsert", "a@example.com", "b@example.com", "c@example.com"))
    httpx.post(inbox.url, **delivery("2", "remove", "B@example.com", "nobody@example.com"))

    assert sorted(inbox.lists["Detractors"]) == ["a@example.com", "c@example.com"]


def test_the_receiver_takes_each_delivery_once(inbox):
    """
    The same id again is answered as taken, and changes nothing.
    """
    first = delivery("1", "upsert", "a@example.com")
    httpx.post(inbox.url, **first)
    httpx.post(inbox.url, **delivery("2", "remove", "a@example.com"))

    again = httpx.post(inbox.url, **first)

    assert again.status_code == 200
    assert inbox.lists["Detractors"] == {}
    assert inbox.changes == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": b"another"},
        {"sent_at": 1_010 + receiver.TOLERANCE + 1},
        {"sent_at": "soon"},
    ],
    ids=["another secret", "another time", "no time"],
)
def test_the_receiver_refuses_what_is_not_signed_for_it(inbox, wrong):
    """
    401, and nothing is kept.
    """
    answer = httpx.post(inbox.url, **delivery("1", "upsert", "a@example.com", **wrong))

    assert answer.status_code == 401
    assert inbox.lists == {}


def test_the_receiver_shows_its_lists_masked(inbox):
    """
    Sizes and a few members, for people and for machines, and no address in either; anything else is not found.
    """
    httpx.post(inbox.url, **delivery("1", "upsert", *(f"person{n}@example.com" for n in range(5))))

    page, lists, other = (httpx.get(inbox.url + path) for path in ("", "lists", "other"))

    assert lists.json()["Detractors"]["members"] == 5
    assert len(lists.json()["Detractors"]["sample"]) == receiver.SAMPLE
    assert "Detractors<td>5" in page.text
    assert "person" not in page.text + lists.text
    assert other.status_code == 404


# A new project


def test_a_new_project_has_all_it_needs(tmp_path):
    """
    Its files are those that were named; its audiences go to files alone; its warehouse answers them.
    """
    paths = starter.write(tmp_path / "project")

    assert sorted(paths) == sorted(path for path in (tmp_path / "project").rglob("*") if path.is_file())
    for file in (tmp_path / "project" / "audiences").glob("*.sql"):
        audience = definition.load(file, "duckdb")
        assert {sync.connector for sync in audience.syncs} == {"file"}
        assert rows(tmp_path / "project" / starter.WAREHOUSE, audience.select)


@pytest.mark.parametrize("name", [".env", "audiences/promoters.sql", "warehouse.duckdb"])
def test_a_new_project_overwrites_nothing(tmp_path, name):
    """
    One file in the way, and nothing at all is written.
    """
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")

    with pytest.raises(DefinitionError, match="nothing was written"):
        starter.write(tmp_path)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_new_project_where_nothing_can_be_written(tmp_path):
    """
    An error in words, no traceback.
    """
    (tmp_path / "file").write_text("mine")

    with pytest.raises(DefinitionError, match="cannot be written"):
        starter.write(tmp_path / "file" / "project")


# The story


@pytest.mark.parametrize(("hour", "zone"), [(0, "Etc/UTC"), (12, "Etc/UTC"), (22, "Etc/UTC"), (23, "Etc/GMT+2")])
def test_no_midnight_falls_into_the_demo(hour, zone):
    """
    Late in the evening of UTC the demo lives two hours further west.
    """
    assert story.zone(datetime(2026, 5, 4, hour, 59, tzinfo=UTC)) == zone


def test_a_list_that_differs_ends_the_story(inbox, tmp_path):
    """
    One member missing at the destination, and the demo says which list, and fails.
    """
    lines: list[str] = []
    scene = story.Scene(tmp_path, story.zone(datetime.now(UTC)), SECRET, inbox, lines.append)
    warehouse.build(scene.warehouse, warehouse.today(scene.zone))
    (tmp_path / "audiences").mkdir()
    shutil.copy(shipped("audiences") / "referral_candidates.sql", tmp_path / "audiences")
    [(_, wanted)] = story.queried(scene)
    inbox.lists["Referral candidates"] = {
        email: {"email": email, "first_name": name, "nps_score": int(score)} for email, name, score in wanted
    }
    story.compare(scene)
    inbox.lists["Referral candidates"].popitem()

    with pytest.raises(AudienceError, match="1 of 1 lists"):
        story.compare(scene)

    assert [line.endswith("equal to its query") for line in lines if "Referral" in line] == [True, False]


def test_a_command_that_fails_ends_the_story(inbox, tmp_path):
    """
    With every word that it said, and its exit code.
    """
    lines: list[str] = []
    scene = story.Scene(tmp_path, "Etc/UTC", SECRET, inbox, lines.append)

    with pytest.raises(AudienceError, match="exit code 2"):
        scene.type("no-such-command")

    assert "no-such-command" in lines[-1]


def test_long_outputs_show_their_two_ends():
    """
    And say how much is left out; what is no longer than that is shown whole.
    """
    assert story.abridged(["line"] * 9) == ["line"] * 9
    assert story.abridged([str(n) for n in range(30)]) == [
        *"012345", "  … 22 lines more, like these …", "28", "29",
    ]  # fmt: skip


def test_the_story_ends_well(monkeypatch, tmp_path):
    """
    The whole demo, with the real commands: every list equals its query at the end, and its length suits one reading.
    """
    monkeypatch.setenv("AUDIENCES_WAREHOUSE_URL", "duckdb:////not/to/be/touched.duckdb")
    lines: list[str] = []

    story.tell(lines.append)

    assert sum("equal to its query" in line for line in lines) == 14
    assert not any("DIFFERENT" in line for line in lines)
    assert len(lines) < 120
