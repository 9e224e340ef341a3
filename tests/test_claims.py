"""A sync to an ads platform, whole: identifiers come, stay and leave one by one, as the platform knows them."""

from __future__ import annotations

import pytest
import structlog
from click.testing import CliRunner

from audiences import cli
from billboard import Ads, hashed

PEOPLE = "id bigint, mail varchar, phone varchar, score integer"
BOTH = 'send = { email = "mail", phone = "phone", score = "score" }\nregion = "DE"'
ONE = 'send = { email = "mail" }'


@pytest.fixture
def ads(tmp_path, either):
    return Ads(tmp_path, PEOPLE, BOTH, either)


def test_each_identifier_is_a_claim_of_its_own(ads):
    """
    Of each member every identifier is added, hashed in the platform's form; one that changes is dropped alone.
    """
    ads.customers(
        (1, "Ada@Example.com", "030 1234567", 1), (2, "b.o.b+x@gmail.com", None, 1), (3, None, "+1 800 555 0100", 1)
    )
    result = ads.sync()

    ada, bob = hashed("email", "ada@example.com"), hashed("email", "bob@gmail.com")
    phone, other = hashed("phone", "49301234567"), hashed("phone", "18005550100")
    assert ads.receiver.held == {ada, bob, phone, other}
    assert (result.plan.added, result.size) == (4, 4)
    assert {key for key, *_ in ads.ledger()} == {'[1,"email"]', '[1,"phone"]', '[2,"email"]', '[3,"phone"]'}

    ads.customers((1, "new@example.com", "030 1234567", 1), (2, "b.o.b+x@gmail.com", None, 1))
    ads.asked("add")
    plan = ads.plan()
    ads.sync()

    assert "1 updated   − 1 removed   of 4 listed identifiers" in str(plan)
    assert ads.asked("drop") == {ada, other}
    assert ads.asked("add") == {hashed("email", "new@example.com")}
    assert ads.sync().outcome == "unchanged"


def test_another_writing_is_no_change(ads):
    """
    Case, blanks, dots of a mailbox at Google and the way a number is written are none: nothing is sent for them.
    """
    ads.customers((1, "ada@gmail.com", "030 1234567", 1), (2, "bob@example.com", None, 1))
    ads.sync()
    ads.customers((1, " A.da+news@GMAIL.com ", "+49 (0)30/123-45 67", 1), (2, "BOB@example.com\u00a0", " ", 1))

    assert ads.plan().changed == 0
    assert ads.sync().outcome == "unchanged"


def test_an_identifier_that_another_carries_stays(ads):
    """
    Two who share an address are one to the platform: it is dropped when the last of them leaves.
    """
    ads.customers((1, "ada@example.com", "030 1234567", 1), (2, "ADA@example.com", None, 1))
    ads.sync()
    ads.customers((1, None, "030 1234567", 1), (2, "ADA@example.com", None, 1))
    ads.sync()
    assert ads.asked("drop") == set()

    ads.customers((1, None, "030 1234567", 1))
    ads.sync()
    assert ads.asked("drop") == {hashed("email", "ada@example.com")}


def test_one_more_kind_drops_nobody(ads):
    """
    A sync of one kind keeps its audience's key. When another kind is sent besides, and when it is not any more,
    addresses stay where they are.
    """
    ads.define(ONE)
    ads.customers(*((n, f"p{n}@example.com", f"+4930123456{n}", 1) for n in range(1, 5)))
    ads.sync()
    assert {key for key, *_ in ads.ledger()} == {1, 2, 3, 4}

    ads.define(BOTH)
    ads.sync()
    ads.sync()
    ads.sync()
    assert {key for key, *_ in ads.ledger()} == {f'[{n},"{kind}"]' for n in range(1, 5) for kind in ("email", "phone")}
    assert (ads.asked("drop"), len(ads.receiver.held)) == (set(), 8)

    ads.define(ONE)
    ads.sync(force=True)
    ads.sync()
    assert ads.asked("drop") == {hashed("phone", f"4930123456{n}") for n in range(1, 5)}
    assert {key for key, *_ in ads.ledger()} == {1, 2, 3, 4}


def test_who_cannot_be_told_is_counted(ads):
    """
    No key, a key that comes twice, no identifier: none of them is sent, and none of those listed before leaves for it.
    """
    ads.customers(
        (1, "ada@example.com", None, 1), (2, "bob@example.com", "030 1234567", 1), (3, "c@example.com", None, 1)
    )
    ads.sync()
    ads.customers(
        (1, "ada@example.com", None, 1),
        (2, "bob@example.com", None, 1),
        (2, None, "030 7654321", 1),
        (None, "d@example.com", None, 1),
        (3, None, " ", 1),
    )
    plan = ads.sync().plan

    assert (plan.keyless, plan.repeated, plan.nameless, plan.added, plan.removed) == (1, 2, 1, 0, 1)
    assert ads.asked("drop") == {hashed("email", "c@example.com")}


def test_a_value_that_is_none_is_refused_alone(ads):
    """
    An address that is none and a number that cannot be read are refused with a reason; the rest of the member is sent.
    """
    ads.customers((1, "nobody", "030 1234567", 1), (2, "bob@example.com", "12", 1))
    result = ads.sync()

    assert ads.receiver.held == {hashed("phone", "49301234567"), hashed("email", "bob@example.com")}
    assert result.refused == 2
    assert ads.reasons() == {
        "email is no e-mail address",
        "phone is no telephone number that can be read surely; write it as +49…",
    }


def test_several_addresses_of_one_member(tmp_path, engine):
    """
    An array is as many identifiers as it has different ones, in whatever order; who leaves it is dropped alone.
    """
    ads = Ads(
        tmp_path, "id bigint, mails varchar[], phone varchar", 'send = { email = "mails", phone = "phone" }', engine
    )
    fill = "insert into customers values (1, {0}, '+4930123456'), (2, {1}, '+4930123457'), (3, null, null)"
    ads.sql(fill.format("array['A@example.com', 'b@example.com', 'a@example.com ', null]", "array['c@example.com']"))
    plan = ads.sync().plan

    mails = {letter: hashed("email", f"{letter}@example.com") for letter in "abc"}
    phones = {hashed("phone", f"493012345{n}") for n in (6, 7)}
    assert ads.receiver.held == {*mails.values()} | {hashed("phone", "4930123456"), hashed("phone", "4930123457")}
    assert (plan.added, plan.nameless) == (5, 1)
    assert {key for key, *_ in ads.ledger()} >= {'[1,"email"]', '[1,"email 2"]', '[2,"email"]'}
    assert phones

    ads.sql(
        "delete from customers", fill.format("array['b@example.com', 'a@example.com']", "cast(array[''] as varchar[])")
    )
    ads.asked("add")
    ads.sync()
    assert (ads.asked("add"), ads.asked("drop")) == (set(), {mails["c"]})


def test_a_kind_of_several_columns(tmp_path, engine):
    """
    A name with its country is one identifier, and none where either is missing.
    """
    send = 'send = ["first_name", "country"]'
    ads = Ads(tmp_path, "id bigint, first_name varchar, country varchar", send, engine)
    ads.customers((1, "Zoë-Ann", "DE"), (2, "Bob", None), (3, None, None))
    plan = ads.sync().plan

    assert ads.receiver.held == {hashed("name", "zoëann", "de")}
    assert (plan.added, plan.nameless) == (1, 2)


def test_no_plain_identifier_leaves_the_warehouse(ads):
    """
    Whoever is added, refused, changed or removed: the worker's own files, its log and the wire hold hashes alone.
    """
    with structlog.testing.capture_logs() as log:
        ads.customers((1, "plain.one@example.com", "030 1234567", 1), (2, "plain.two@", "030 12", 1))
        ads.sync()
        ads.customers((1, "plain.three@example.com", "030 7654321", 1))
        ads.sync()
        ads.customers((3, "plain.four@example.com", None, 1))
        ads.sync()
    # All but the project itself, which holds nobody, and the warehouse, where that is a file.
    ours = {ads.folder / ".env", *(ads.folder / "audiences").iterdir(), *(ads.folder / "connectors").rglob("*")}
    files = [
        path for path in {*ads.folder.rglob("*")} - ours if path.is_file() and not path.name.startswith("w.duckdb")
    ]
    told = b"".join([*(path.read_bytes() for path in files), *ads.receiver.wire, repr(log).encode()])

    assert ads.state_file in files
    assert len(ads.receiver.asked) == 9
    assert b"sync.ended" in told
    assert not [plain for plain in (b"plain", b"example.com", b"1234567", b"7654321") if plain in told]


def test_a_member_is_asked_for_by_the_audiences_key(ads):
    """
    `audiences why` tells each identifier of a member, also one that has gone; the plan counts identifiers.
    """
    with (ads.folder / ".env").open("a") as env:
        env.write(f"AUDIENCES_WAREHOUSE_URL={ads.url}\nAUDIENCES_STATE_URL=sqlite:///state/s.sqlite\n")
    ads.customers((1, "ada@example.com", "030 1234567", 1), (11, "bob@example.com", None, 1))
    ads.sync()
    ads.customers((1, "ada@example.com", None, 1), (11, "bob@example.com", None, 1))
    ads.sync()
    ads.apart()
    told = CliRunner().invoke(cli.root, ["-C", str(ads.folder), "why", "1", "--audience", "team"]).output
    plan = CliRunner().invoke(cli.root, ["-C", str(ads.folder), "plan", "--json"]).output

    assert 'team.billboard: [1,"email"] was sent 1 time' in told
    assert 'team.billboard: [1,"phone"] was sent 2 times' in told
    assert "bob" not in told
    assert '"counts": "identifiers"' in plan


def test_a_hashed_column_travels_as_it_is(ads):
    """
    A column that the sync says is hashed is compared and sent as it is; a plain address in it is refused.
    """
    ads.define(ONE + '\nhashed = ["email"]')
    [(_, value)] = [hashed("email", "ada@example.com")]
    ads.customers((1, f" {value.upper()} ", None, 1), (2, "bob@example.com", None, 1))
    result = ads.sync()

    assert (ads.receiver.held, result.refused) == ({("email", value)}, 1)
    ads.customers((1, value, None, 1))
    assert ads.plan().changed == 0
    assert ads.reasons() == {"email is no SHA-256 of 64 hex digits; hash it, or take it out of hashed"}

    ads.define(ONE)
    ads.customers((1, "ada@example.com", None, 1))
    ads.sync()
    assert ads.receiver.held == {("email", value)}


def test_who_has_not_consented_is_not_there(tmp_path, engine):
    """
    Without the consent that the platform asks for nobody is sent; who takes it back is dropped; both are counted.
    """
    send = 'send = { email = "mail", phone = "phone", ads = "may" }'
    columns = "id bigint, mail varchar, phone varchar, may varchar"
    ads = Ads(tmp_path, columns, send, engine, consents=("ads",))
    ads.customers(
        (1, "a@example.com", "+4930123456", "Granted"),
        (2, "b@example.com", None, "true"),
        (3, "c@example.com", None, "denied"),
    )
    plan = ads.sync().plan
    assert (plan.added, plan.unconsented, plan.nameless) == (3, 1, 0)
    assert len(ads.receiver.held) == 3

    ads.customers(
        (1, "a@example.com", "+4930123456", None), (2, "b@example.com", None, "true"), (3, None, None, "true")
    )
    plan = ads.sync().plan
    assert (plan.removed, plan.unconsented, plan.nameless) == (2, 1, 1)
    assert ads.receiver.held == {hashed("email", "b@example.com")}
    assert "1 without an identifier, 1 without consent" in str(plan)
    assert plan.set_aside == 2
