"""The connector `trade_desk`: what is sent of whom and for how long, each identifier's fate, regions and throttles."""

from __future__ import annotations

import httpx
import pytest

from audiences import BatchRefused, Member
from audiences.errors import Deferred, DeliveryError
from dialogue import answering, documented, fixtures

dialogue, far, speak = fixtures("trade_desk", send=("madid",))
ADA, ZOE, NOBODY = (f"00000000-0000-4000-8000-{n:012}" for n in (1, 2, 999_999_999_999))
IDFA = "EA7583CD-A667-48BC-B806-42ECB2B48606"


def told(*devices):
    """Members with these devices, keyed by them."""
    return [Member(each, {"madid": each}, n) for n, each in enumerate(devices)]


def line(code="UserNotMapped", place="1"):
    return {"ErrorCode": code, "Message": "in words", "ItemNumber": place}


def test_each_identifier_goes_plain_under_its_name(dialogue, far, speak):
    """
    A device's id in small letters, all others as they are, each an item of its own, with the segment and its minutes.
    """
    fields = {"tdid": ADA, "madid": IDFA, "uid2": "Uid2==", "euid": "Euid==", "ramp_id": "XY1", "id5": "ID5*a"}
    remote = speak(send=[*fields], days=30)

    remote.upsert(remote.prepare("S"), [Member(name, {name: value}) for name, value in fields.items()])

    data = [{"Name": "S", "TtlInMinutes": 43_200}]
    names = {"TDID": ADA, "DAID": IDFA.lower(), "UID2": "Uid2==", "EUID": "Euid==", "RampID": "XY1", "ID5": "ID5*a"}
    [body] = dialogue.sent("POST")
    assert body == {"AdvertiserId": "adv1234", "Items": [{name: value, "Data": data} for name, value in names.items()]}


def test_nobody_stays_longer_than_the_platform_keeps_them(dialogue):
    """
    A membership ends after `days`, which the worker is told, so that it is renewed; more than 180 are refused.
    """
    lasts = dialogue.cls.lasts

    assert [lasts(dialogue.cls.Options(**each)).days for each in ({}, {"days": 180})] == [90, 180]
    with pytest.raises(ValueError, match="180"):
        dialogue.cls.Options(days=181)


def test_an_answer_of_success_names_who_failed(far, speak):
    """
    By their places they are refused, in The Trade Desk's words; the others are in the segment.
    """
    receipt = speak().upsert(far.list, told(ADA, NOBODY, ZOE))

    assert receipt.accepted == {ADA, ZOE}
    assert receipt.rejected == {NOBODY: "UserNotMapped: The user is not mapped"}
    assert far.listed() == {ADA, ZOE}


def test_a_removal_is_no_time_to_live(dialogue, far, speak):
    """
    Whom The Trade Desk does not know is in no segment; any other failure of a removal is one.
    """
    remote = speak()
    remote.upsert(far.list, told(ADA, ZOE))

    assert remote.remove(far.list, told(ADA, NOBODY)).accepted == {ADA, NOBODY}
    assert far.listed() == {ZOE}
    assert {each["Data"][0]["TtlInMinutes"] for each in dialogue.sent("POST")[1]["Items"]} == {0}
    other = speak(answering("/advertiser", 200, FailedLines=[line("Unknown")])).remove(far.list, told(ZOE))
    assert other.rejected == {ZOE: "Unknown: in words"}


@pytest.mark.parametrize("place", ["0", "3", "-1", "", None])
def test_a_failure_that_names_nobody_is_halved(far, speak, place):
    """
    Where a place is none of the call's, nobody knows who failed: the batch is refused.
    """
    remote = speak(answering("/advertiser", 200, FailedLines=[line(place=place)]))

    with pytest.raises(BatchRefused) as refusal:
        remote.upsert(far.list, told(ADA, ZOE))
    assert "UserNotMapped: in words" in refusal.value.reason


@pytest.mark.parametrize("code", ["TargetingDataCreationLimitExceeded", "TargetingDataDisabled"])
def test_what_is_wrong_with_the_segment_is_nobodys_fault(far, speak, code):
    """
    The sync stops with The Trade Desk's word for it, and nobody is marked refused.
    """
    remote = speak(answering("/advertiser", 200, FailedLines=[line(code)]))

    with pytest.raises(DeliveryError, match=code) as error:
        remote.upsert(far.list, told(ADA))
    assert "account manager" in error.value.do


def test_who_has_no_such_identifier_is_not_sent(dialogue, far, speak):
    """
    What is no device's id is refused with a reason; where nobody is left no call is made.
    """
    receipt = speak().upsert(far.list, told("nowhere", "00000000-0000-0000-0000-000000000000"))

    assert all(why.startswith("madid is ") for why in receipt.rejected.values())
    assert not receipt.accepted
    assert not speak().remove(far.list, told("nowhere")).accepted
    assert not dialogue.calls


def test_a_name_that_is_too_long_is_nobodys_fault(far, speak):
    """
    A segment's name has 256 characters at most.
    """
    with pytest.raises(DeliveryError, match="DataNameTooLong"):
        speak().upsert("x" * 257, told(ADA))


def test_a_throttle_is_waited_out_or_deferred(dialogue, far, speak):
    """
    As long as it says; one that stays leaves the sync for the next run.
    """
    replies = [far.throttled(7)]

    assert speak(lambda request: replies.pop() if replies else None).upsert(far.list, told(ADA)).accepted == {ADA}
    assert dialogue.clock.now >= 7
    with pytest.raises(Deferred):
        speak(lambda request: far.throttled(7)).upsert(far.list, told(ADA))


def test_a_call_that_is_too_large_is_halved(far, speak):
    """
    413 is an answer about the batch, and not about its members' set-up.
    """
    with pytest.raises(BatchRefused):
        speak(lambda request: httpx.Response(413, json="too large")).upsert(far.list, told(ADA, ZOE))


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("trade_desk", tmp_path)

    assert not found.errors
    assert set(found.bindings["team.trade_desk"].identity) == {"uid2", "madid"}
