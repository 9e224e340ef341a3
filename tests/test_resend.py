"""The connector `resend`: no call overwrites a contact or its opt-out, and each member has a fate of its own."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import CredentialsRefused, Deferred, DefinitionError
from dialogue import ADA, ZOE, Dialogue, told

FIELDS = ["email", "first_name", "nps_score"]

each_new = pytest.mark.parametrize("new", ["refuse", "unsubscribed", "subscribed"])


@pytest.fixture
def resend(tmp_path):
    return Dialogue("resend", tmp_path)


@each_new
@pytest.mark.parametrize("send", [["email"], FIELDS], ids=["address", "fields"])
@pytest.mark.parametrize("out", [True, False])
def test_a_contact_is_never_made_again(resend, new, send, out):
    """
    Resend's call that makes contacts overwrites opt-outs: it is not made for a contact, and no call speaks of consent.
    """
    resend.far.contact(ADA, unsubscribed=out)
    remote = resend.speak(new=new, send=send)
    segment = remote.prepare("Detractors")
    fields = {"first_name": "Ada", "nps_score": 3} if send == FIELDS else {}

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(segment, told(ADA, **fields)).accepted == {ADA}
        assert resend.far.found(ADA)["unsubscribed"] is out
    assert "/contacts" not in [path for method, path, _ in resend.calls if method == "POST"]
    assert not [body for _, _, body in resend.calls if body and {"unsubscribed", "topics"} & body.keys()]


@each_new
def test_a_segment_that_goes_meanwhile_makes_nobody_new(resend, new):
    """
    A 404 that is about the segment is not taken for one about the contact, who would be made anew, opt-out and all.
    """
    resend.far.contact(ADA, unsubscribed=True)

    def before(request):
        if request.method == "POST" and "/segments/" in request.url.path:
            resend.far.segments.clear()

    remote = resend.speak(before, new=new)

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA))

    assert receipt.rejected == {ADA: "Segment not found"}
    assert resend.far.consent({"email": ADA}) == "unsubscribed"


def test_a_stranger_is_refused(resend):
    """
    Who is no contact is not made one, and the reason names the option that would.
    """
    resend.far.contact(ADA)
    remote = resend.speak()

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, ZOE))

    assert receipt.accepted == {ADA}
    assert 'new = "unsubscribed"' in receipt.rejected[ZOE]
    assert resend.far.found(ZOE) is None


@pytest.mark.parametrize("new", ["unsubscribed", "subscribed"])
@pytest.mark.parametrize("fields", [{}, {"first_name": "Zoë", "nps_score": 3}], ids=["address", "fields"])
def test_a_stranger_is_made_as_the_option_says(resend, new, fields):
    """
    One call makes the contact, with its fields and the consent that the option names; another lists it.
    """
    remote = resend.speak(new=new, send=["email", *fields])

    assert remote.upsert(remote.prepare("Detractors"), told(ZOE, **fields)).accepted == {ZOE}
    assert resend.far.consent({"email": ZOE}) == new
    assert resend.far.segments_of(ZOE) == ["Detractors"]
    assert resend.far.found(ZOE)["properties"] == ({"nps_score": 3} if fields else {})


def test_an_address_alone_costs_one_call(resend):
    """
    Without fields nothing of a contact is written; with fields it is one call more.
    """
    resend.far.contact(ADA)
    remote = resend.speak(send=FIELDS)
    segment = remote.prepare("Detractors")
    remote.upsert(segment, told(ADA, first_name="Ada", nps_score=1))
    resend.calls.clear()

    remote.upsert(segment, told(ADA))
    remote.upsert(segment, told(ADA, first_name="Ada", nps_score=3))

    assert [method for method, _, _ in resend.calls] == ["POST", "PATCH", "POST"]
    assert resend.calls[0][1] == f"/contacts/ada%40example.com/segments/{segment}"
    assert resend.sent("PATCH") == [{"first_name": "Ada", "properties": {"nps_score": 3}}]


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"first_name": 7}, {"first_name": "7"}),
        ({"last_name": None}, {"last_name": ""}),
        ({"nps_score": 2.5}, {"properties": {"nps_score": 2.5}}),
        ({"nps_score": None}, {"properties": {"nps_score": None}}),
        ({"plan": 7}, {"properties": {"plan": "7"}}),
        ({"plan": None}, {"properties": {"plan": None}}),
    ],
)
def test_values_travel_as_their_fields_take_them(resend, fields, sent):
    """
    A name is a text, and empty for NULL; a property has its own type, and null for NULL.
    """
    resend.far.contact(ADA)
    remote = resend.speak(send=["email", *fields])

    assert not remote.upsert(remote.prepare("Detractors"), told(ADA, **fields)).rejected
    assert resend.sent("PATCH") == [sent]


@pytest.mark.parametrize(
    "fields", [{"first_name": True}, {"plan": ["secret"]}, {"nps_score": "secret"}, {"nps_score": False}]
)
def test_a_value_that_fits_no_field_is_refused(resend, fields):
    """
    The reason has the field's name and never the value, and nothing is written.
    """
    resend.far.contact(ADA)
    remote = resend.speak(send=["email", *fields])

    reason = remote.upsert(remote.prepare("Detractors"), told(ADA, **fields)).rejected[ADA]

    assert f"{next(iter(fields))} holds a" in reason
    assert "secret" not in reason
    assert not resend.sent("PATCH")
    assert resend.far.segments_of(ADA) == []


def test_one_refusal_spoils_one_member(resend):
    """
    Whom Resend refuses is told in its words, and is not listed.
    """
    resend.far.contact(ADA)
    resend.far.contact(ZOE)

    def before(request):
        if request.method == "PATCH" and ADA in request.url.path:
            return httpx.Response(422, json={"statusCode": 422, "name": "validation_error", "message": "Too long."})
        return None

    remote = resend.speak(before, send=FIELDS)
    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, ZOE, nps_score=3))

    assert receipt.rejected == {ADA: "Too long."}
    assert (resend.far.segments_of(ADA), resend.far.segments_of(ZOE)) == ([], ["Detractors"])


def test_an_id_is_no_address(resend):
    """
    Resend finds contacts by id, too: what is no address is refused unsent, and on no list.
    """
    number = resend.far.contact(ADA)["id"]
    remote = resend.speak()
    segment = remote.prepare("Detractors")
    resend.far.found(ADA)["segments"] = [segment]

    assert remote.upsert(segment, told(number)).rejected == {number: "not an e-mail address"}
    assert remote.remove(segment, told(number)).accepted == {number}
    assert resend.far.segments_of(ADA) == ["Detractors"]


def test_an_unknown_property_stops_the_sync(resend):
    """
    A property that the team has not stops before anything is changed, and names those that there are.
    """
    resend.far.contact(ADA)
    remote = resend.speak(send=["email", "Plan"])
    segment = remote.prepare("Detractors")
    resend.calls.clear()

    with pytest.raises(DefinitionError, match=r"'Plan' is the key of no property(?s:.*)last_name, nps_score, plan"):
        remote.upsert(segment, told(ADA, Plan="free"))
    assert {method for method, _, _ in resend.calls} == {"GET"}


@pytest.mark.parametrize("name", ["unsubscribed", "topics"])
def test_consent_is_not_sent(resend, name):
    """
    A sync that would send consent is refused before it begins.
    """
    with pytest.raises(DefinitionError, match=f"{name}' is a contact's consent"):
        resend.cls.identify(resend.cls.Options(), ["email", name])


def test_a_removal_takes_the_segment_alone(resend):
    """
    The contact and its other segments stay; who is not in it, or no contact, is gone already.
    """
    resend.far.contact(ADA)
    remote = resend.speak()
    other, segment = remote.prepare("NPS / détracteurs [2026] / May"), remote.prepare("Detractors")
    for each in (other, segment):
        remote.upsert(each, told(ADA))

    for _ in range(2):
        assert remote.remove(segment, told(ADA, ZOE)).accepted == {ADA, ZOE}
    assert resend.far.segments_of(ADA) == ["NPS / détracteurs [2026] / May"]


def test_who_is_not_deleted_is_looked_up(resend):
    """
    Where Resend does not say that it took someone out, and shows them in the segment, the removal is refused.
    """
    resend.far.contact(ADA)
    silent = {"object": "contact_segment", "deleted": False}
    remote = resend.speak(lambda request: httpx.Response(200, json=silent) if request.method == "DELETE" else None)
    segment = remote.prepare("Detractors")
    remote.upsert(segment, told(ADA))

    assert "left this contact in the segment" in remote.remove(segment, told(ADA)).rejected[ADA]


@pytest.mark.parametrize("wait", [7, 2000])
def test_a_throttle_is_waited_out_or_deferred(resend, wait):
    """
    A 429 is waited out for as long as it asks; one that asks for too much leaves the sync for the next run.
    """
    replies = [resend.far.throttled(wait)]
    remote = resend.speak(lambda request: replies.pop() if replies else None)

    if wait == 7:
        assert remote.prepare("Detractors") == remote.prepare("Detractors")
        assert resend.clock.now >= wait
    else:
        with pytest.raises(Deferred):
            remote.prepare("Detractors")


@pytest.mark.parametrize(("status", "name"), [(401, "restricted_api_key"), (403, "invalid_api_key")])
def test_a_wrong_key_is_said_so(resend, status, name):
    """
    A key that is unknown, or may only send, stops the check.
    """
    said = {"statusCode": status, "name": name, "message": "API key is invalid."}

    with pytest.raises(CredentialsRefused):
        resend.speak(lambda request: httpx.Response(status, json=said)).check()
