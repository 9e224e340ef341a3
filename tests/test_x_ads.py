"""The connector `x_ads`: what is sent of whom, who spoils a call, audiences by name, counts, throttles."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from audiences import BatchRefused, Member
from audiences.errors import CredentialsRefused, DefinitionError, DeliveryError
from dialogue import ADA, ZOE, answering, documented, fixtures, told

dialogue, far, speak = fixtures("x_ads")
USERS = "/12/accounts/18ce54d4x5t/custom_audiences/1nmth/users"
ALL = ["email", "phone", "madid", "handle", "twitter_id"]


def hashed(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def remote(speak):
    return speak()


@pytest.fixture
def place(far, remote):
    """The id of the list."""
    return remote.prepare(far.list)


def test_a_handle_is_hashed_as_x_publishes_it(far, speak):
    """
    X prints the hash of @AdsAPI: it is what is sent.

    https://docs.x.com/x-ads-api/audiences (read 2026-11)
    """
    remote = speak(send=["handle"])

    remote.upsert(remote.prepare(far.list), [Member("1", {"handle": "@AdsAPI"})])

    assert far.listed() == {"49e0be2aeccfb51a8dee4c945c8a70a9ac500cf6f5cb08112575f74db9b1470d"}


def test_each_sort_of_identifier_has_its_name(far, speak):
    """
    Each goes under the name that X has for it, as the hash of what X says it is written like.
    """
    fields = {
        "email": " Ada@Example.com ",
        "phone": "030 901820",
        "madid": "EA7583CD-A667-48BC-B806-42ECB2B48606",
        "handle": "@Ada",
        "twitter_id": 2244994945,
    }
    remote = speak(send=ALL, region="DE")

    remote.upsert(remote.prepare(far.list), [Member(name, {name: value}) for name, value in fields.items()])

    assert far.people["1nmth"] == {
        ("email", hashed("ada@example.com")),
        ("phone_number", hashed("+4930901820")),
        ("device_id", hashed("ea7583cd-a667-48bc-b806-42ecb2b48606")),
        ("handle", hashed("ada")),
        ("twitter_id", hashed("2244994945")),
    }


def test_who_spoils_a_call_is_refused_and_the_others_sent_again(dialogue, far, remote, place):
    """
    X refuses a call as a whole and says in which places: these members are refused in its words, the rest go once more.
    """
    receipt = remote.upsert(place, told(ADA, "never@example.com", ZOE, "nowhere"))

    assert receipt.accepted == {ADA, ZOE}
    assert receipt.rejected == {
        "never@example.com": "INVALID_USER: This user cannot be added",
        "nowhere": "email is no e-mail address",
    }
    assert [len(body) for body in dialogue.sent("POST", USERS)] == [3, 2]
    assert far.listed() == {hashed(ADA), hashed(ZOE)}


def test_where_all_spoil_a_call_no_other_is_made(dialogue, remote, place):
    """
    There is nobody to send again.
    """
    assert remote.upsert(place, told("never@example.com")).rejected.keys() == {"never@example.com"}
    assert len(dialogue.sent("POST", USERS)) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"errors": [{"code": "INVALID_PARAMETER", "message": "Maximum batch size exceeded"}]},
        {"errors": [{"code": "X", "message": "batch"}], "operation_errors": [[], []]},
        {"errors": [{"code": "X", "message": "batch"}], "operation_errors": {"0": "shape"}},
        {"errors": [{"code": "X", "message": "batch"}], "operation_errors": [[], [], [{"code": "Y"}]]},
    ],
)
def test_a_refusal_that_names_nobody_is_halved(speak, place, said):
    """
    In whatever shape, places that are none of the call's name nobody: the batch is refused in X's words.
    """
    with pytest.raises(BatchRefused) as refusal:
        speak(answering("/users", 400, **said)).upsert(place, told(ADA, ZOE))
    assert "batch" in refusal.value.reason


@pytest.mark.parametrize("counts", [(1, 2), (1, 1), (3, 3)])
def test_counts_that_differ_are_no_success(speak, place, counts):
    """
    Both counts have to be of as many as were sent; else the batch is halved.
    """
    data = dict(zip(("success_count", "total_count"), counts, strict=True))

    with pytest.raises(BatchRefused, match="whole batch") as refusal:
        speak(answering("/users", 200, data=data)).upsert(place, told(ADA, ZOE))
    assert f"{counts[0]} of {counts[1]}" in refusal.value.reason


def test_a_removal_is_an_operation_for_each(dialogue, far, remote, place):
    """
    A removal is an operation as an addition is; who never was there is removed already.
    """
    remote.upsert(place, told(ADA, ZOE))

    assert remote.remove(place, told(ADA, "nowhere", "never@example.com")).accepted == {ADA, "never@example.com"}
    assert far.listed() == {hashed(ZOE)}
    assert [each["operation_type"] for each in dialogue.sent("POST", USERS)[1]] == ["Delete", "Delete"]


def test_an_audience_is_found_by_its_exact_name(dialogue, far, speak):
    """
    Among those whose name begins so, in any case and on any page; a second time it is not made again.
    """
    for n in range(1200):
        far.made(f"detractors {n}")
    remote = speak()

    assert remote.prepare("Detractors") == speak().prepare("Detractors") == "4b1nmth"
    paths = [path.removeprefix("/12/accounts/18ce54d4x5t/custom_audiences") for _, path, _ in dialogue.calls]
    assert paths[:3] == ["?q=Detractors&count=1000", "?q=Detractors&count=1000&cursor=1000", "?name=Detractors"]
    assert paths.count("?name=Detractors") == 1


def test_an_audience_of_another_type_is_not_taken(far, speak):
    """
    Nobody can be uploaded to one that X fills by itself; the error says which.
    """
    far.made(far.list)["audience_type"] = "WEB"

    with pytest.raises(DefinitionError, match="another type: WEB\n  do: name another list"):
        speak().prepare(far.list)


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_an_audience_that_is_gone_is_no_members_fault(speak, verb):
    """
    The sync stops with the way out, and none is made in its place.
    """
    with pytest.raises(DeliveryError, match="the X custom audience 9 is gone") as error:
        getattr(speak(), verb)("9", told(ADA))
    assert "audiences forget" in error.value.do


@pytest.mark.parametrize("answer", [httpx.Response(423), "throttled"])
def test_what_passes_is_waited_for(dialogue, far, speak, place, answer):
    """
    A lock for a minute, a throttle until the moment that its headers name; then the call is made again.
    """
    replies = [far.throttled(30) if answer == "throttled" else answer]
    remote = speak(lambda request: replies.pop() if replies else None)

    assert remote.upsert(place, told(ADA)).accepted == {ADA}
    assert dialogue.clock.now >= (29 if answer == "throttled" else 60)


def test_checking_changes_nothing(dialogue, far, speak):
    """
    The check is one look at the audiences; a token that is not the app's is told.
    """
    speak().check()

    assert dialogue.calls == [("GET", "/12/accounts/18ce54d4x5t/custom_audiences?count=1", None)]
    with pytest.raises(CredentialsRefused):
        speak(settings={"X_ADS_ACCESS_TOKEN": "other"}).check()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [("UNAUTHORIZED_CLIENT_APPLICATION", "Audience API"), ("ACCOUNT_NOT_FOUND", "X_ADS_ACCOUNT_ID"), (None, "sign in")],
)
def test_the_check_names_what_is_missing(speak, code, remedy):
    """
    Access that X grants apart, and rights of the user: each with what to do, also where X says nothing.
    """
    said = {"json": {"errors": [{"code": code, "message": "no"}]}} if code else {"text": "<html>"}

    with pytest.raises(DeliveryError, match=code or "without a word") as error:
        speak(lambda request: httpx.Response(403, **said)).check()
    assert remedy in error.value.do


def test_a_refusal_without_json_is_halved(speak, place):
    """
    X says that some errors have no JSON: the batch is refused all the same.
    """
    with pytest.raises(BatchRefused) as refusal:
        speak(lambda request: httpx.Response(400, text="<html>")).upsert(place, told(ADA, ZOE))
    assert "without a word" in refusal.value.reason


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("x_ads", tmp_path)

    assert not found.errors
    assert set(found.bindings["team.x_ads"].identity) == {"email", "phone", "handle"}
