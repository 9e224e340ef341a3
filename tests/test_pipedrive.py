"""The connector `pipedrive`: fields as lists, what a person may be changed to, and the tokens that it costs."""

from __future__ import annotations

import httpx
import pytest

from audiences import Member
from audiences.batch import Verdict
from audiences.errors import CredentialsRefused, Deferred, DefinitionError, DeliveryError
from dialogue import ADA, ZOE, delivered, first, fixtures, told

BY_ID = {"identify": "id", "send": ("id",)}

dialogue, far, speak = fixtures("pipedrive", identify="email")


@pytest.fixture
def remote(speak):
    return speak()


@pytest.fixture
def mark(remote):
    """The id of a list."""
    return remote.prepare("Detractors")


def listed(far, mark):
    """The ids of the persons whose field says that they are on the list."""
    code, _, option = mark.partition("/")
    return [n for n, each in far.people.items() if each["custom"].get(code) == int(option)]


def test_a_list_is_made_once(remote, speak, mark, far):
    """
    A field that is not there is made, with the option `yes`; from then on it is found by its exact name.
    """
    assert remote.prepare("Detractors") == speak().prepare("Detractors") == mark
    assert remote.prepare("detractors") != mark
    assert [[each["label"] for each in field["options"]] for field in far.fields[-2:]] == [["yes"]] * 2


def test_a_list_is_found_behind_the_first_page(remote, mark, far):
    """
    An account with more fields than fit on a page has the list still only once.
    """
    far.fields[:0] = [{**far.fields[0], "field_name": f"Field {n}"} for n in range(600)]

    assert remote.prepare("Detractors") == mark


@pytest.mark.parametrize(
    ("kind", "labels", "own"),
    [("varchar", (), False), ("set", ["yes"], False), ("enum", ["no"], False), ("enum", ["yes"], True)],
)
@pytest.mark.parametrize("beside", [True, False], ids=["beside a list", "alone"])
def test_a_field_that_is_no_list_is_never_taken(remote, far, kind, labels, own, beside):
    """
    Of another type, without the option `yes`, or Pipedrive's own: an error that shows it, and no second one is made.
    """
    if beside:
        remote.prepare("Detractors")
    far.add("Detractors", kind, labels, own)
    far.calls = []

    with pytest.raises(DefinitionError, match=rf"not the name of one single-option field(?s:.*)\w+ \({kind}\)"):
        remote.prepare("Detractors")
    assert "POST /personFields" not in far.calls


def test_two_workers_that_make_two_fields_are_told(speak, far):
    """
    Pipedrive takes two fields of one name: where another run made it meanwhile, neither is filled.
    """

    def race(request):
        if request.method == "POST" and far.calls.count("POST /personFields") == 0:
            speak().prepare("Detractors")

    with pytest.raises(DefinitionError, match="rename or delete"):
        speak(before=race).prepare("Detractors")


def test_a_field_that_cannot_be_made_is_told(remote):
    """
    What Pipedrive refuses to make is an error in its words, with the way to make it by hand.
    """
    with pytest.raises(DefinitionError, match="longer than 255 characters\n  do: make it in Pipedrive"):
        remote.prepare("D" * 300)


def test_a_stranger_is_refused(remote, mark, far):
    """
    Who is no person is not made one; the others are marked.
    """
    ada = far.person("Ada@Example.com")

    receipt = remote.upsert(mark, told(ADA, ZOE))

    assert receipt.accepted == {ADA}
    assert receipt.rejected[ZOE].startswith("no person with this email")
    assert (listed(far, mark), [*far.people]) == ([ada], [ada])


def test_everybody_with_the_address_is_marked_and_unmarked(remote, mark, far):
    """
    Pipedrive takes several persons with one address: the list's field is set, and emptied, with each of them.
    """
    twins = [far.person(ADA), far.person(ADA, emails=[ZOE, ADA])]

    remote.upsert(mark, told(ADA))
    there = listed(far, mark)
    remote.remove(mark, told(ADA))

    assert (there, listed(far, mark)) == (twins, [])


def test_an_answer_of_somebody_else_is_not_taken(speak, mark, far):
    """
    A search that finds more than the address asked for marks nobody else.
    """
    far.person(ZOE)
    found = {"items": [{"item": {"id": 1, "emails": [ZOE]}}]}

    def before(request):
        return httpx.Response(200, json={"data": found}) if request.url.path.endswith("/search") else None

    assert ADA in speak(before).upsert(mark, told(ADA)).rejected
    assert not listed(far, mark)


def test_removal_empties_one_field(remote, mark, far):
    """
    The person stays, with its other fields and lists; a stranger is accepted.
    """
    other = remote.prepare("Promoters")
    ada = far.person(ADA)
    for each in (mark, other):
        remote.upsert(each, told(ADA, **{"NPS score": 3}))

    receipt = remote.remove(mark, told(ADA, ZOE))

    assert receipt.accepted == {ADA, ZOE}
    assert (listed(far, mark), listed(far, other)) == ([], [ada])
    assert far.people[ada]["custom"][far.code("NPS score")] == 3


def test_no_call_speaks_of_consent(speak, mark, far):
    """
    Neither an address nor a marketing status nor a label is ever sent: only the list's field, and what the sync names.
    """
    far.person(ADA)
    bodies = []
    remote = speak(lambda request: bodies.append(request.content.decode()))

    remote.upsert(mark, told(ADA, Plan="paid"))
    remote.remove(mark, told(ADA, Plan="paid"))

    changes = [each for each in bodies if each]
    assert len(changes) == 2
    assert not [each for each in changes if "marketing" in each or "emails" in each or "label" in each]


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_field_that_stays_is_told(speak, mark, far, verb):
    """
    A 200 whose answer does not show the change is a refusal; so is one that says success: false.
    """
    far.person(ADA)
    strange = {"upsert": None, "remove": 7}[verb]
    answers = [
        {"success": True, "data": {"custom_fields": {mark.partition("/")[0]: strange}}},
        {"success": False, "error": "locked"},
    ]
    remote = speak(lambda request: httpx.Response(200, json=answers.pop(0)) if request.method == "PATCH" else None)

    reasons = [getattr(remote, verb)(mark, told(ADA)).rejected[ADA] for _ in range(2)]

    assert reasons == ["Pipedrive left the list's field as it was", "locked"]


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("NPS score", 2.5, 2.5),
        ("Note", 7, "7"),
        ("Note", None, None),
        ("Topics", ["price", "support"], [301, 302]),
        ("Topics", [], None),
        ("Plan", "paid", 202),
    ],
)
def test_values_travel_as_their_field_wants_them(remote, mark, far, name, value, kept):
    """
    Numbers are text in a text field, options go by their names, and NULL and an empty list empty a field.
    """
    ada = far.person(ADA, custom={far.code(name): "before"})

    receipt = remote.upsert(mark, told(ADA, **{name: value}))

    assert not receipt.rejected
    assert far.people[ada]["custom"].get(far.code(name)) == kept


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"Plan": "secret"}, "Plan has no such option; it has free, paid"),
        ({"NPS score": "secret"}, "NPS score holds a str, and a field of the type double takes none"),
        ({"Note": ["secret"]}, "Note holds a list, and a field of the type varchar takes none"),
    ],
)
def test_a_value_that_fits_no_field_is_refused(remote, mark, far, fields, words):
    """
    It is refused without its value, before the person is touched; the others are taken.
    """
    for each in (ADA, ZOE):
        far.person(each)

    receipt = remote.upsert(mark, [*told(ADA), *told(ZOE, **fields)])

    assert receipt.rejected == {ZOE: words}
    assert listed(far, mark) == [1]


@pytest.mark.parametrize("name", ["Unknown", "Site", "marketing_status", "emails"])
def test_a_field_that_cannot_be_sent_stops_the_sync(remote, mark, far, name):
    """
    What is the fault of no member stops before anyone is touched, and names the fields that there are.
    """
    far.person(ADA)

    with pytest.raises(DefinitionError, match=rf"'{name}' cannot be sent(?s:.*)send one of: name, org_id, .*NPS score"):
        remote.upsert(mark, told(ADA, **{name: "x"}))
    assert not listed(far, mark)


def test_tokens_cost_what_the_page_says(speak, mark, far):
    """
    By address 25 a member, also for a removal; by Pipedrive's own number 5; reading back 10 for 500 persons.
    """
    for n in range(600):
        far.person(f"p{n}@example.com")
    by_mail, by_id = speak(), speak(**BY_ID)
    numbered = [Member("k", {"id": "1"}, 1)]
    costs = []
    for ask in (
        lambda: by_mail.upsert(mark, told("p0@example.com")),
        lambda: by_mail.remove(mark, told("p0@example.com")),
        lambda: by_id.upsert(mark, numbered),
        lambda: [*by_id.members(mark)],
        lambda: by_id.remove(mark, numbered),
    ):
        before = far.left
        ask()
        costs.append(before - far.left)

    assert costs == [25, 25, 5, 20, 5]


def test_everybody_on_the_list_is_read(remote, speak, mark, far):
    """
    All pages of the account, and of each person all addresses, or the one number.
    """
    for n in range(501):
        far.person(f"p{n}@example.com")
    last = far.person(ADA, emails=[ADA, ZOE])
    remote.upsert(mark, told("p0@example.com", ADA))

    assert [*remote.members(mark)] == [{"email": "p0@example.com"}, {"email": ADA}, {"email": ZOE}]
    assert [*speak(**BY_ID).members(mark)] == [{"id": "1"}, {"id": str(last)}]


@pytest.mark.parametrize("left", [24, 19])
def test_a_spent_day_defers_the_sync_at_once(dialogue, remote, mark, far, left):
    """
    The day's tokens are back at midnight: nobody waits for them, and nobody is refused.
    """
    far.person(ADA)
    begun, far.left, far.calls = dialogue.clock.now, left, []

    sent = delivered(remote, mark, told(ADA))

    assert isinstance(sent.error, Deferred)
    assert sent.found == {Verdict.NO: [(0, 0)]}
    assert len(far.calls) <= 2
    assert dialogue.clock.now <= begun + 2


@pytest.mark.parametrize(
    ("answer", "calls"),
    [(httpx.Response(403, text="<html>blocked</html>"), 1), (httpx.Response(429, json={"success": False}), 5)],
    ids=["blocked", "unsaid"],
)
def test_a_block_is_not_run_against(speak, answer, calls):
    """
    After a 403 of the gatekeeper no call is made; a 429 that says nothing of itself is tried a few times only.
    """
    made = []
    remote = speak(lambda request: made.append(request) or answer)

    with pytest.raises(Deferred):
        remote.prepare("L")
    assert len(made) <= calls


def test_a_full_window_is_waited_for(dialogue, speak, far):
    """
    A burst that others filled is over when the window has passed; the reset is heeded.
    """
    assert speak(first(far.throttled(5))).prepare("L")
    assert 5 <= dialogue.clock.now < 8


def test_an_account_is_checked_without_touching_anything(speak, far):
    """
    One call that changes nothing tells whether the token is taken; a 403 in JSON speaks of its rights.
    """
    speak(settings={"PIPEDRIVE_API_TOKEN": " not-a-real-token\n"}).check()

    other = speak(settings={"PIPEDRIVE_API_TOKEN": "not-a-real-other"})
    for wrong in (other, speak(lambda _: httpx.Response(403, json={"error": "Forbidden"}))):
        with pytest.raises(CredentialsRefused) as refused:
            wrong.check()
        assert "not-a-real" not in str(refused.value)
    assert {*far.calls} == {"GET /personFields"}


def test_an_identifier_that_is_missing_or_none_is_told(dialogue, speak, mark, far):
    """
    What identifies a person must be sent; a number that is none names nobody; a strange list id is an error.
    """
    with pytest.raises(DefinitionError, match=r"by id, which is not sent\n  do: send it: send = \{ id ="):
        dialogue.cls.identify(speak(**BY_ID).options, ["email"])
    with pytest.raises(DeliveryError, match=r'do: write `list`(?s:.*)list_id = "FIELD_CODE/OPTION_ID"'):
        speak().remove("Detractors", told(ADA))
    far.calls, by_id = [], speak(**BY_ID)
    assert by_id.upsert(mark, [Member("a", {"id": "7/../8"})]).rejected["a"].startswith("no person with this id")
    assert not far.calls
    assert by_id.remove(mark, [Member("a", {"id": "999"})]).accepted == {"a"}
