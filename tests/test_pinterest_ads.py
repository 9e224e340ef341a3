"""The connector `pinterest_ads`: lists by name, the audience made of one, what is sent of whom, and what it is told."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from audiences import Member
from audiences.errors import Deferred, DefinitionError, DeliveryError
from dialogue import ADA, ZOE, documented, fixtures, told

dialogue, far, speak = fixtures("pinterest_ads")
LISTS = "/v5/ad_accounts/549755885175/customer_lists"
AUDIENCES = "/v5/ad_accounts/549755885175/audiences"
IDFA = "EA7583CD-A667-48BC-B806-42ECB2B48606"


def hashed(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def filled(far, speak):
    """Fill a list with so many people; its connector and id."""

    def filled(many):
        remote = speak()
        list_id = remote.prepare(far.list)
        remote.upsert(list_id, told(*(f"p{n}@example.com" for n in range(many))))
        return remote, list_id

    return filled


def test_a_change_is_one_text_of_hashes(dialogue, far, speak):
    """
    Addresses go as SHA-256 of their small letters, all in one call, and nothing else of anybody leaves.
    """
    remote = speak()
    list_id = remote.prepare(far.list)
    both = ",".join([hashed(ADA), hashed(ZOE)])

    assert remote.upsert(list_id, told(f" {ADA.upper()} ", ZOE)).accepted == {f" {ADA.upper()} ", ZOE}
    assert remote.remove(list_id, told(ADA)).accepted == {ADA}
    assert dialogue.sent("PATCH") == [
        {"operation_type": "ADD", "records": both},
        {"operation_type": "REMOVE", "records": hashed(ADA)},
    ]
    assert far.listed() == {hashed(ZOE)}


def test_who_has_no_address_spoils_only_themselves(dialogue, far, speak):
    """
    What is no address is refused with a reason, not sent, and so on no list; where nobody is left, no call is made.
    """
    remote = speak()
    list_id = remote.prepare(far.list)

    assert remote.upsert(list_id, told(ADA, "nowhere")).rejected == {"nowhere": "email is no e-mail address"}
    assert not remote.upsert(list_id, told("nowhere")).accepted
    assert not remote.remove(list_id, told("nowhere")).accepted
    assert len(dialogue.sent("PATCH")) == 1


def test_devices_have_a_list_of_their_own(dialogue, far, speak):
    """
    Where `madid` is sent the list is made for these, which go as hashes of their small letters.
    """
    remote = speak(send=["madid"])

    remote.upsert(remote.prepare(far.list), [Member("1", {"madid": IDFA})])

    assert [each["list_type"] for each in dialogue.sent("POST", LISTS)] == ["MAID"]
    assert far.listed() == {hashed(IDFA.lower())}


def test_a_list_has_one_type(speak):
    """
    Addresses and devices in one section are refused, with the way out.
    """
    with pytest.raises(DefinitionError, match="both are sent") as error:
        speak(send=["email", "madid"])
    assert "a section of its own" in error.value.do


def test_a_list_is_found_on_any_page(dialogue, far, speak):
    """
    Among more lists than a page has, by its exact name; one that is made is found from then on.
    """
    for name in (far.list, *(f"{far.list} {n}" for n in range(260))):
        far.made(name, hashed(name))
    remote = speak()

    assert remote.prepare(far.list) == "7000"
    assert remote.prepare("Another") == speak().prepare("Another") == "7261"
    assert len(dialogue.sent("POST", LISTS)) == 1


def test_several_lists_of_a_name_are_no_ones_choice(far, speak):
    """
    An error names their ids.
    """
    for _ in range(2):
        far.made(far.list, hashed("x"))

    with pytest.raises(DefinitionError, match="several Pinterest customer lists: 7000, 7001"):
        speak().prepare(far.list)


def test_a_list_is_made_with_nobody(far, speak):
    """
    The record that a list cannot be made without is nobody's: it is the hash of no address.
    """
    list_id = speak().prepare(far.list)

    assert far.lists[list_id]["records"] == {hashed("nobody")}
    assert not far.listed()


@pytest.mark.parametrize(("many", "made"), [(99, 0), (100, 1)])
def test_the_audience_is_made_once_it_can_be(dialogue, far, filled, speak, many, made):
    """
    Pinterest makes no audience of fewer than 100: it is asked for one at the end of the run that finds the list ready,
    once, under the list's name.
    """
    remote, list_id = filled(many)

    for each in (remote, remote, speak()):
        each.flush(list_id)

    wanted = {"audience_type": "CUSTOMER_LIST", "name": far.list, "rule": {"customer_list_id": list_id}}
    assert dialogue.sent("POST", AUDIENCES) == [wanted] * made
    assert len([call for call in dialogue.calls if call[:2] == ("GET", f"{LISTS}/{list_id}")]) == 2


def test_an_audience_that_is_there_is_enough(dialogue, far, filled):
    """
    One that somebody made of the list under another name is taken as it is; while the list is worked through none is.
    """
    remote, list_id = filled(100)
    far.processing = True
    remote.flush(list_id)
    assert not dialogue.sent("POST", AUDIENCES)

    far.processing = False
    far.made_of("CUSTOMER_LIST", "By hand", {"customer_list_id": list_id})
    remote.looked.clear()
    remote.flush(list_id)

    assert not dialogue.sent("POST", AUDIENCES)


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_list_that_is_gone_is_no_members_fault(speak, verb):
    """
    The sync stops with the way out, and none is made in its place; so it does where nothing is to be changed.
    """
    with pytest.raises(DeliveryError, match="the Pinterest customer list 9 is gone") as error:
        getattr(speak(), verb)("9", told(ADA))
    assert "audiences forget" in error.value.do
    with pytest.raises(DeliveryError, match="is gone"):
        speak().flush("9")


@pytest.mark.parametrize(("permissions", "fit"), [(["AUDIENCE_MANAGER"], True), (["ANALYST"], False), ([], True)])
def test_the_check_says_who_may_manage_audiences(dialogue, far, speak, permissions, fit):
    """
    One look at the account; a role that manages no audiences is named, with the one that does.
    """
    far.permissions = permissions
    if fit:
        speak().check()
    else:
        with pytest.raises(DeliveryError, match="ANALYST") as error:
            speak().check()
        assert "Audiences" in error.value.do

    assert dialogue.calls == [("GET", "/v5/ad_accounts/549755885175", None)]


def test_a_throttle_is_waited_out_by_the_minute(dialogue, far, speak):
    """
    A 429 does not say when: after a minute the call is made again; one that stays leaves the sync for the next run.
    """
    replies = [far.throttled(1)]

    assert speak(lambda request: replies.pop() if replies else None).prepare(far.list) == "7000"
    assert dialogue.clock.now >= 60
    with pytest.raises(Deferred):
        speak(lambda request: far.throttled(1) if "oauth" not in request.url.path else None).prepare(far.list)


def test_an_error_in_words_is_kept(far, speak):
    """
    What Pinterest says of a batch that it refuses is the reason that its members are refused with.
    """
    remote = speak(lambda request: httpx.Response(400, json={"code": 1, "message": "Invalid records."}))

    with pytest.raises(Exception, match="refused a whole batch") as refusal:
        remote.upsert("7000", told(ADA))
    assert "Invalid records." in refusal.value.reason


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("pinterest_ads", tmp_path)

    assert not found.errors
    assert set(found.bindings["team.pinterest_ads"].identity) == {"email"}
