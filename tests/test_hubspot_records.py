"""The connector `hubspot` and the records of its members: found, created, brought up to date, and never assumed."""

from __future__ import annotations

import httpx
import pytest

from audiences.batch import Verdict
from dialogue import ADA, ZOE, answering, delivered, fixtures
from test_hubspot import KIM, OWN, crowd, people

dialogue, sandbox, speak = fixtures("hubspot", send=("email", "nps_score"))


@pytest.fixture
def hubspot(speak):
    return speak()


@pytest.fixture
def detractors(hubspot):
    """The id of a list."""
    return hubspot.prepare("NPS detractors")


def test_who_is_new_is_created_and_who_is_known_is_updated(hubspot, detractors, sandbox):
    """
    A known contact keeps what is not sent, and the address as HubSpot has it.
    """
    sandbox.records["0-1"]["7"] = {"email": ADA, "firstname": "Ada", "nps_score": "9"}

    receipt = hubspot.upsert(
        detractors, people({"email": " Ada@Example.com", "nps_score": 3}, {"email": ZOE, "nps_score": None})
    )

    assert receipt.accepted == {"k0", "k1"}
    assert sandbox.records["0-1"].pop("7") == {"email": ADA, "firstname": "Ada", "nps_score": "3"}
    assert [*sandbox.records["0-1"].values()] == [{"email": ZOE, "nps_score": ""}]
    assert len(sandbox.lists[detractors]["members"]) == 2


def test_known_contacts_cost_no_update_where_only_the_address_is_sent(speak, detractors, sandbox):
    """
    Three calls list contacts that are there: look, find, add.
    """
    sandbox.records["0-1"]["7"] = {"email": ADA}
    sandbox.calls.clear()

    assert speak(send=["email"]).upsert(detractors, people({"email": ADA})).accepted == {"k0"}
    assert [call.rpartition("/")[2] for call in sandbox.calls] == [detractors, "read", "add"]


@pytest.mark.parametrize("alone", [True, False], ids=["207", "409"])
def test_a_contact_that_another_creates_meanwhile_is_updated(speak, detractors, sandbox, alone):
    """
    Whether the conflict fails alone or with its batch, the contact is found then, and has the fields that were sent.
    """

    def race(request):
        if request.url.path.endswith("/create") and "7" not in sandbox.records["0-1"]:
            sandbox.records["0-1"]["7"] = {"email": "p1@example.com"}
            if not alone:
                return httpx.Response(409, json={"message": "Contact already exists. Existing ID: 7"})
        return None

    sent = delivered(speak(race), detractors, crowd(4))

    assert sent.found == {Verdict.OK: [(0, 3)]}
    assert sandbox.records["0-1"]["7"]["nps_score"] == "1"


def test_an_additional_address_is_the_contacts_own(hubspot, detractors, sandbox):
    """
    Two addresses of one contact, also in one batch, list one contact; neither is rewritten.
    """
    sandbox.records["0-1"]["7"] = {"email": ADA, "hs_additional_emails": f"{KIM};{ZOE}"}

    sent = delivered(hubspot, detractors, people({"email": ZOE, "nps_score": 1}, {"email": ADA, "nps_score": 1}))

    assert sent.found == {Verdict.OK: [(0, 1)]}
    assert sandbox.records["0-1"] == {"7": {"email": ADA, "hs_additional_emails": f"{KIM};{ZOE}", "nps_score": "1"}}
    assert hubspot.remove(detractors, people({"email": KIM})).accepted == {"k0"}
    assert sandbox.lists[detractors]["members"] == set()


def test_an_additional_address_that_is_not_found_is_refused_in_hubspots_words(hubspot, detractors, sandbox):
    """
    Where a batch does not find it, HubSpot says which contact has it; nobody else is held up.
    """
    sandbox.records["0-1"]["7"], sandbox.additional = {"email": ADA, "hs_additional_emails": ZOE}, False

    receipt = hubspot.upsert(detractors, people({"email": ZOE, "nps_score": 1}, {"email": KIM, "nps_score": 1}))

    assert receipt.accepted == {"k1"}
    assert receipt.rejected == {"k0": "Contact already exists. Existing ID: 7"}


def test_a_property_of_ones_own_identifies_in_one_call(speak, detractors, sandbox):
    """
    By a unique property a batch is one upsert and one addition, and a changed address is an update.
    """
    own = speak(send=["customer_no", "email"], **OWN)
    own.upsert(detractors, people({"customer_no": "A 1", "email": ADA}))
    sandbox.calls.clear()

    receipt = own.upsert(detractors, people({"customer_no": "A 1", "email": ZOE}, {"customer_no": 2, "email": KIM}))

    assert receipt.accepted == {"k0", "k1"}
    assert [call.rpartition("/")[2] for call in sandbox.calls] == ["upsert", "add", "read"]
    assert [*sandbox.records["0-1"].values()] == [
        {"customer_no": "A 1", "email": ZOE},
        {"customer_no": "2", "email": KIM},
    ]


def test_a_number_that_is_another_records_id_is_not_taken_for_it(speak, detractors, sandbox):
    """
    An identifier may read like the id of a record: each member is matched by what was sent.
    """
    own = speak(send=["customer_no"], **OWN)
    own.upsert(detractors, people({"customer_no": "1007"}, {"customer_no": "1000"}))

    own.remove(detractors, people({"customer_no": "1000"}))

    assert [*own.members(detractors)] == [{"customer_no": "1007"}]


@pytest.mark.parametrize("options", [{}, OWN], ids=["email", "own"])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "whole"])
def test_a_wrong_value_spoils_only_its_member(speak, detractors, sandbox, alone, options):
    """
    Whether HubSpot refuses the one or the whole batch, the others are listed; the reason is HubSpot's, people masked.
    """
    sandbox.alone, told = alone, speak(send=["email", "nps_score", "customer_no"], **options)
    members = [m._replace(fields={**m.fields, "customer_no": m.key}) for m in crowd(20)]
    told.upsert(detractors, members)
    members[13].fields["nps_score"] = "many"

    sent = delivered(told, detractors, members)

    assert sent.found == {Verdict.OK: [(0, 12), (14, 19)], Verdict.REFUSED: [(13, 13)]}
    assert "… was not a valid number." in sent.reasons["k13"]


@pytest.mark.parametrize("options", [{}, OWN], ids=["email", "own"])
def test_a_property_that_does_not_exist_is_a_fault_of_set_up(speak, detractors, options):
    """
    The sync stops with the property's name, and nobody is marked refused.
    """
    told = speak(send=["email", "nps", "customer_no"], **options)
    members = people(*({"email": f"p{n}@example.com", "nps": 1, "customer_no": f"C-{n}"} for n in range(100)))

    sent = delivered(told, detractors, members)

    assert 'Property "nps" does not exist' in str(sent.error)
    assert sent.found == {Verdict.NO: [(0, 99)]}


def test_members_who_are_wrong_in_the_same_way_are_refused_one_by_one(hubspot, detractors):
    """
    Where a batch is refused to the last for one reason, each is asked for alone, and is refused with its own reason.
    """
    sent = delivered(
        hubspot, detractors, people({"email": ADA, "nps_score": "many"}, {"email": ZOE, "nps_score": "many"})
    )

    assert sent.found == {Verdict.REFUSED: [(0, 1)]}
    assert sent.reasons.keys() == {"k0", "k1"}


def test_an_own_property_that_is_not_unique_is_a_fault_of_set_up(speak, detractors):
    """
    HubSpot's word on it reaches whoever runs the sync.
    """
    told = speak(send=["email", "firstname"], identify="firstname")

    sent = delivered(told, detractors, people(*({"email": f"p{n}@x", "firstname": f"Ada {n}"} for n in range(10))))

    assert "non-unique 0-1 property firstname" in str(sent.error)


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ([], "HubSpot does not say what became of it"),
        ([{"message": "Could not get it", "context": {"ids": [""]}}], "Could not get it"),
        ([{"message": "Wrong", "errors": [{"message": "Too long"}, {"message": "Too wide"}]}], "Too long; Too wide"),
        ([{}], "HubSpot gives no reason"),
    ],
)
def test_silence_is_no_success(speak, sandbox, detractors, errors, words):
    """
    A record that an answer does not name is rejected, with what is said of nobody else, and not put on the list.
    """
    silence = answering("/upsert", 207, results=[], errors=errors)

    receipt = speak(silence, send=["customer_no"], **OWN).upsert(detractors, people({"customer_no": "1"}))

    assert receipt.rejected == {"k0": words}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), (True, "true"), (False, "false"), (0, "0"), (-7, "-7"), (2.5, "2.5"), (3.0, "3"),
        (2**60, str(2**60)), ("0012", "0012"), ("Zoë\n漢字", "Zoë\n漢字"), ("2026-11-02", "2026-11-02"),
        (["a", 1, None, "", True], "a;1;true"), ([], ""), ([None], ""),
        (1e-7, "0.0000001"), (1e16, "10000000000000000"), (0.1, "0.1"), (-0.0, "-0"), ("a;b", "a;b"),
    ],
)  # fmt: skip
def test_values_travel_as_text(speak, detractors, sandbox, value, text):
    """
    Each value arrives as HubSpot keeps it; NULL empties the property.
    """
    speak(send=["email", "topics"]).upsert(detractors, people({"email": ADA, "topics": value}))

    assert [each["topics"] for each in sandbox.records["0-1"].values()] == [text]


STRUCT = "topics holds a struct, and a HubSpot property holds text"
LIST = "topics holds a list with a `;` in a text, which HubSpot would read as two"


@pytest.mark.parametrize(
    ("value", "words"), [({"a": 1}, STRUCT), ([{"a": 1}], STRUCT), (["a;b", "c"], LIST), ([["a", "b"]], LIST)]
)
def test_what_no_property_can_hold_is_refused_and_named(speak, detractors, value, words):
    """
    What no property can hold rejects its member alone, with the name of the field, and before HubSpot is asked.
    """
    members = people({"email": ADA, "topics": value}, *({"email": f"p{n}@example.com"} for n in range(9)))

    sent = delivered(speak(send=["email", "topics"]), detractors, members)

    assert sent.found == {Verdict.OK: [(1, 9)], Verdict.REFUSED: [(0, 0)]}
    assert sent.reasons["k0"] == words
