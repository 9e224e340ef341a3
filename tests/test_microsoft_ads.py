"""The connector `microsoft_ads`: what it sends, whom Microsoft turns away, its lists, terms and faults."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import httpx
import pytest

from audiences import BatchRefused, Member
from audiences.errors import CredentialsRefused, DefinitionError, DeliveryError
from dialogue import ADA, ZOE, answering, documented, first, fixtures, told

APPLY = "/CampaignManagement/v13/CustomerListUserData/Apply"

dialogue, far, speak = fixtures("microsoft_ads")


def hashed(text):
    return sha256(text.encode()).hexdigest()


def fault(code, name, status=400):
    """An answer that is a fault, in the words of either kind that Microsoft has."""
    return httpx.Response(status, json={"OperationErrors": [{"Code": code, "ErrorCode": name}], "TrackingId": "t"})


def test_addresses_are_hashed_and_ids_are_not(dialogue, far, speak):
    """
    The address that Microsoft prints has the hash that it is; an id of one's own is sent as it is, in another call.
    """
    remote = speak(send=("email", "external_id"))
    people = [Member("1", {"email": "test@contoso.com"}), Member("2", {"external_id": "C-7"})]

    receipt = remote.upsert(remote.prepare(far.list), people)

    bodies = [body["CustomerListUserData"] for body in dialogue.sent("POST", APPLY)]
    whose = {"AudienceId": "800000000", "ActionType": "Add"}
    known = "f25ad364d33972379a7a4f4df33db142205f5c40eb19cfdb2fc5aaf117e10101"
    assert bodies == [
        {**whose, "CustomerListItemSubType": "Email", "CustomerListItems": [known]},
        {**whose, "CustomerListItemSubType": "CRM", "CustomerListItems": ["C-7"]},
    ]
    assert receipt.accepted == {"1", "2"}


def test_an_identifier_that_is_sent_no_more_can_leave(far, speak):
    """
    A sync that has stopped to send ids of its own takes those off that it has sent before.
    """
    remote, number = speak(), Member("1", {"external_id": "C-7"})
    listed = remote.prepare(far.list)
    far.on.add((listed, "CRM", "C-7"))

    assert remote.remove(listed, [number]).accepted == {"1"}
    assert not far.on


def test_each_error_is_its_members(far, speak):
    """
    Whom Microsoft turns away is refused in its words, by place among those that were sent; so is a removal.
    """
    far.refuses[hashed(ZOE)] = (8010, "Unwanted")
    remote = speak()
    listed = remote.prepare(far.list)

    for verb in (remote.upsert, remote.remove):
        receipt = verb(listed, told("nowhere", ADA, ZOE))

        assert receipt.accepted == {ADA}
        assert receipt.rejected[ZOE] == "Unwanted See the codes."
        assert "no e-mail address" in receipt.rejected["nowhere"]


def test_an_error_of_no_item_has_the_batch_halved(far, speak):
    """
    An error without a place among the items is nobody's in particular.
    """
    remote = speak(answering("Apply", 200, PartialErrors=[{"Code": 1, "ErrorCode": "Odd", "Index": 7}]))

    with pytest.raises(BatchRefused) as refusal:
        remote.upsert(remote.prepare(far.list), told(ADA))
    assert refusal.value.reason == "Odd"


def test_terms_are_accepted_only_where_the_sync_says_so(dialogue, far, speak):
    """
    Without the option no call speaks of them, and where they are wanted the error names both ways to accept them.
    """
    far.signed = False
    remote = speak()
    listed = remote.prepare(far.list)

    with pytest.raises(DeliveryError, match=r'CustomerMatchTermNotAccepted(?s:.*)terms = "accepted", or make one'):
        remote.upsert(listed, told(ADA))
    assert "AcceptCustomerMatchTerm" not in dialogue.sent("POST", APPLY)[0]["CustomerListUserData"]
    assert speak(terms="accepted").upsert(listed, told(ADA)).accepted == {ADA}


def test_a_list_is_the_accounts_own_and_keeps_its_days(dialogue, far, speak):
    """
    A new list is made for this account and as many days as the sync says, which are those that the worker reckons with.
    """
    speak(days=60).prepare("NPS")

    wanted = {
        "Type": "CustomerList",
        "Name": "NPS",
        "MembershipDuration": 60,
        "Scope": "Account",
        "ParentId": "1200300",
    }
    assert {"Audiences": [wanted]} in [body for _, _, body in dialogue.calls]
    assert dialogue.cls.lasts(dialogue.cls.Options(days=60)) == timedelta(days=60)


def test_a_list_is_found_by_its_exact_name(far, speak):
    """
    Another case is another name; of several with one name none is taken.
    """
    far.has(Name="nps", MembershipDuration=390)
    own = far.has(Name="NPS", MembershipDuration=390)
    found = speak().prepare("NPS")
    far.has(Name="NPS", MembershipDuration=390)

    assert found == own
    with pytest.raises(DefinitionError, match="name of several"):
        speak().prepare("NPS")


def test_a_list_that_cannot_be_made_is_said_so(speak):
    """
    An answer of 200 that says that nothing was made is no success.
    """
    with pytest.raises(DefinitionError, match="can be made: AudienceNotValid"):
        speak().prepare("N" * 129)


def test_a_list_that_forgets_sooner_is_an_error(far, speak):
    """
    Microsoft's own 30 days under a sync that reckons with 390: said before anybody is sent.
    """
    listed = far.has(Name="NPS", MembershipDuration=30)

    with pytest.raises(DefinitionError, match=r"30 days, and not 390(?s:.*)write days = 30"):
        speak().upsert(listed, told(ADA))
    assert speak(days=30).upsert(listed, told(ADA)).accepted == {ADA}


def test_a_list_that_is_gone_is_said_so(far, speak):
    """
    A deleted list is an error with the way out, for additions and for removals.
    """
    for verb in ("upsert", "remove"):
        with pytest.raises(DeliveryError, match=r"gone|InvalidCustomerListId") as error:
            getattr(speak(), verb)("77", told(ADA))
        assert "audiences forget" in error.value.do


def test_too_many_calls_are_waited_for(dialogue, far, speak):
    """
    Code 117 is told apart from other faults with the same status, and is over after the minute that is counted.
    """
    remote = speak(first(fault(117, "CallRateExceeded"), fault(117, "CallRateExceeded", 500)))

    remote.prepare(far.list)

    assert dialogue.clock.now >= 120


@pytest.mark.parametrize("code", [105, 106, 109])
def test_codes_of_credentials_stop_the_sync(speak, code):
    """
    Whatever status HTTP carries them with.
    """
    with pytest.raises(CredentialsRefused):
        speak(lambda request: fault(code, "No")).check()


def test_a_code_within_a_success_is_no_fault(far, speak):
    """
    An item's error whose code is that of a fault leaves the call the success that it is.
    """
    far.refuses[hashed(ZOE)] = (117, "Unwanted")
    remote = speak()

    assert remote.upsert(remote.prepare(far.list), told(ADA, ZOE)).accepted == {ADA}


def test_the_manuals_sample_is_one(tmp_path):
    """
    The section that the manual shows can be read as it stands.
    """
    found = documented("microsoft_ads", tmp_path)

    assert not found.errors
    assert found.bindings["team.microsoft_ads"].identity.keys() == {"email"}
