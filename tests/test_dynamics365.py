"""The connector `dynamics365`: nobody is created or opted in, and what is not confirmed is looked at again."""

from __future__ import annotations

import httpx
import pytest

from audiences import Member
from audiences.errors import Deferred, DefinitionError, DeliveryError
from dialogue import ADA, SHOWN, ZOE, fixtures
from world import HEADER, World

SECTION = """-- [sync.dynamics365]
-- list = "L"
-- send = { emailaddress1 = "email", new_nps = "nps" }
-- identify = "emailaddress1"
"""


dialogue, far, speak = fixtures("dynamics365", send=("emailaddress1", "new_nps"), identify="emailaddress1")


def told(*addresses, **fields):
    """Members with these addresses, keyed by them, and a score."""
    return [Member(each, {"emailaddress1": each, "new_nps": 3, **fields}, n) for n, each in enumerate(addresses)]


@pytest.fixture
def ada(far):
    """The id of a contact's record."""
    return far.keep("contacts", {"emailaddress1": ADA, "donotbulkemail": False})


@pytest.mark.parametrize("opted_out", [True, False])
def test_an_opt_out_stays_as_it_is(dialogue, speak, far, ada, opted_out):
    """
    Whoever does not want bulk mail stays so through add, update and removal, and no call has a word on it.
    """
    far.tables["contacts"][ada]["donotbulkemail"] = opted_out
    remote = speak()
    marketing = remote.prepare("L")

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(marketing, told(ADA)).accepted == {ADA}
        assert far.tables["contacts"][ada]["donotbulkemail"] is opted_out
    assert not any(b"donot" in call.content for call in dialogue.requests)


@pytest.mark.parametrize("name", ["donotbulkemail", "donotemail", "donotsendmm", "followemail"])
def test_an_opt_out_cannot_be_sent(speak, name):
    """
    A column that holds a person's own choice is an error of the file, before anything is sent.
    """
    with pytest.raises(DefinitionError, match=f"{name} is a person's own choice"):
        speak(send=("emailaddress1", name))


def test_strangers_and_twins_are_refused(speak, far, ada):
    """
    Nobody is created, and an address that two records have is nobody's; a stranger is removed already.
    """
    twins = [far.keep("contacts", {"emailaddress1": ZOE.upper()}) for _ in range(2)]
    remote = speak()
    marketing = remote.prepare("L")

    added = remote.upsert(marketing, told(ADA, ZOE, "kim@example.com"))
    far.keep("listmembers", {"listid": marketing, "entityid": twins[0]})
    removed = remote.remove(marketing, told(ADA, ZOE, "kim@example.com"))

    assert added.accepted == {ADA}
    assert "unknown" in added.rejected["kim@example.com"]
    assert added.rejected[ZOE] == removed.rejected[ZOE] == "several records in Dynamics 365 have this identifier"
    assert removed.accepted == {ADA, "kim@example.com"}
    assert len(far.tables["contacts"]) == 3


def test_a_record_deleted_meanwhile_is_not_made_anew(speak, far, ada):
    """
    An update goes to a record that is there, or to none: a plain one would bring the deleted record back.
    """
    remote = speak(before=lambda call: "/contacts(" in call.url.path and far.tables["contacts"].clear())

    receipt = remote.upsert(remote.prepare("L"), told(ADA))

    assert receipt.rejected.keys() == {ADA}
    assert not far.tables["contacts"]
    assert not far.tables["listmembers"]


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/lists"), ("POST", "AddMemberList"), ("DELETE", "/listmembers")]
)
def test_a_lost_answer_leaves_one_list_and_nobody_refused(dialogue, speak, far, ada, method, path):
    """
    A call that was applied and is made again finds done what it was for.
    """
    remote = speak(before=dialogue.losing(method, path))
    marketing = remote.prepare("L")

    assert remote.upsert(marketing, told(ADA)).accepted == {ADA}
    assert remote.remove(marketing, told(ADA)).accepted == {ADA}
    assert len(far.tables["lists"]) == 1
    assert not far.tables["listmembers"]


@pytest.mark.parametrize("answer", [httpx.Response(204), httpx.Response(400, json={"error": {"message": "no"}})])
def test_a_removal_is_looked_at_again(speak, far, ada, answer):
    """
    Who is on the list after the removal is not taken for gone, whatever the answer was.
    """
    remote = speak(before=lambda call: answer if call.method == "DELETE" else None)
    marketing = remote.prepare("L")
    remote.upsert(marketing, told(ADA))

    receipt = remote.remove(marketing, told(ADA))

    assert receipt.rejected[ADA] == (
        "no" if answer.is_error else "Dynamics 365 left it on the list, and gave no reason"
    )


def test_a_list_is_found_by_its_exact_name(speak, far):
    """
    One whose name differs in case is another; of several with one name, none is.
    """
    theirs = far.keep("lists", {"listname": "it's", "type": False, "lockstatus": False, "createdfromcode": 2})
    made = speak().prepare("It's")

    assert made == speak().prepare("It's") != theirs
    assert speak().prepare("it's") == theirs
    far.keep("lists", {"listname": "it's"})
    with pytest.raises(DefinitionError, match=f"the name of several marketing lists: {theirs}, (?s:.*)list_id"):
        speak().prepare("it's")


def test_a_list_that_was_renamed_is_not_taken_for_another(speak, far):
    """
    The list that was made under a name, and has another now, is not filled by whoever asks for the first.
    """
    made = speak().prepare("L")
    far.tables["lists"][made]["listname"] = "VIPs"

    with pytest.raises(DefinitionError, match=f"{made}, made as 'L', has another name now"):
        speak().prepare("L")


@pytest.mark.parametrize("change", [{"type": True}, {"lockstatus": True}, {"createdfromcode": 4}])
def test_a_list_that_cannot_be_changed_is_refused(speak, far, ada, change):
    """
    A dynamic or locked list, or one of other records, is an error before any record is touched; so is one that is gone.
    """
    marketing = speak().prepare("L")
    far.tables["lists"][marketing] |= change
    with pytest.raises(DeliveryError, match="'L' is dynamic or locked, or not of contacts"):
        speak().upsert(marketing, told(ADA))
    far.tables["lists"].clear()
    with pytest.raises(DeliveryError, match=r"is gone(?s:.*)audiences forget"):
        speak().remove(marketing, told(ADA))
    with pytest.raises(DefinitionError, match="not the id of a marketing list"):
        speak().upsert("L", told(ADA))

    assert "new_nps" not in far.tables["contacts"][ada]


def test_a_long_list_is_read_page_by_page_from_its_own_host(dialogue, speak, far):
    """
    Everybody on it; a link to the next page that names another host is followed at the account's own.
    """
    remote, far.page = speak(), 2
    marketing, people = remote.prepare("L"), [f"p{n}@example.com" for n in range(5)]
    for each in people:
        far.keep("contacts", {"emailaddress1": each})
    remote.upsert(marketing, told(*people))

    def astray(call):
        said = far(call).json() if call.method == "GET" and "$filter" in call.url.params else {}
        link = said.get("@odata.nextLink", "").replace("acme.crm4.dynamics.com", "elsewhere.example.com")
        return httpx.Response(200, json=said | {"@odata.nextLink": link}) if link else None

    reader = speak(before=astray)
    assert [each["emailaddress1"] for each in reader.members(marketing)] == people
    assert {call.url.host for call in dialogue.requests} == {"login.microsoftonline.com", "acme.crm4.dynamics.com"}


def test_calls_cost_what_the_page_says(dialogue, speak, far):
    """
    Fifty are found in five calls and looked up in one; each is updated and added by one more, and removed by one.
    """
    people = [f"p{n}@example.com" for n in range(50)]
    for each in people:
        far.keep("contacts", {"emailaddress1": each})
    remote, costs = speak(), []
    marketing = remote.prepare("L")
    for verb in (remote.upsert, remote.upsert, remote.remove):
        before = len(dialogue.requests)
        verb(marketing, told(*people))
        costs.append(len(dialogue.requests) - before)

    assert costs == [5 + 1 + 100, 5 + 1 + 50, 5 + 1 + 50 + 1]


def test_a_throttle_is_waited_for_as_long_as_it_asks(dialogue, speak, far):
    """
    A 429 has its Retry-After, and one that asks for more than a run waits defers the sync.
    """
    full = [far.throttled(20), far.throttled(3600)]
    remote = speak(before=lambda call: full.pop(0) if full and "WhoAmI" in call.url.path else None)

    with pytest.raises(Deferred):
        remote.check()
    assert 20 <= dialogue.clock.now < 30


def test_each_region_has_its_host(dialogue, speak):
    """
    Calls go to the environment of the settings; the secret goes to no other host.
    """
    remote = speak(settings=dialogue.far.elsewhere)
    remote.prepare("L")

    assert {call.url.host for call in dialogue.requests} == {"login.microsoftonline.com", "acme.crm.dynamics.com"}
    with pytest.raises(DefinitionError, match="DYNAMICS365_URL"):
        speak(settings={"DYNAMICS365_URL": "https://acme.crm4.dynamics.com.example.com"})


def test_a_file_a_list_and_back(dialogue, tmp_path, far, ada):
    """
    From SQL to list, where the file says that it knows the connector is experimental; without that word, nothing.
    """
    world = World(tmp_path, "dynamics365")
    world.receiver = far
    dialogue.account()
    text = HEADER.replace(SHOWN, SECTION + "-- experimental = true").replace("{more}", "-- [guard]\n-- removed = 1.0\n")
    world.define(text=text)
    world.people((1, ADA.upper(), 3), (2, ZOE, 4))
    first = world.sync()
    world.people((2, ZOE, 4))
    second = world.sync()

    assert (first.error, first.delivered, first.refused, second.error) == (None, 1, 1, None)
    assert far.tables["contacts"][ada]["new_nps"] == 3
    assert not far.tables["listmembers"]
