"""The connector `airship`: what a warning means, what an attribute may be, and that no opt-in is touched."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import DefinitionError, Form, Member
from audiences.errors import CredentialsRefused
from dialogue import delivered, documented, fixtures

ADA, ZOE = "user/1", "user/2"

dialogue, far, speak = fixtures("airship", send=("named_user_id", "nps"))


def told(*ids, **fields):
    """Members with these ids, keyed by them, and with the same fields."""
    return [Member(each, {"named_user_id": each, **fields}, n) for n, each in enumerate(ids)]


def test_a_list_is_a_tag_of_the_group(dialogue, far, speak):
    """
    One call tags a whole batch; a removal takes that tag alone, and leaves attributes and other tags.
    """
    far.user(ADA)["tags"] = {"audiences": ["Other"], "crm": ["Detractors"]}
    remote = speak()
    where = remote.prepare("Detractors")

    remote.upsert(where, told(ADA, ZOE))
    remote.remove(where, told(ADA))

    assert far.users[ADA]["tags"] == {"audiences": ["Other"], "crm": ["Detractors"]}
    assert far.users[ZOE]["tags"] == {"audiences": ["Detractors"]}
    assert len(dialogue.calls) == 2


def test_a_sync_may_name_another_group(far, speak):
    """
    As `property`; one that Airship keeps for itself is refused.
    """
    far.groups.add("crm")
    remote = speak(property="crm")

    remote.upsert(remote.prepare("Detractors"), told(ADA))

    assert far.users[ADA]["tags"] == {"crm": ["Detractors"]}
    with pytest.raises(DefinitionError, match="ua_location"):
        speak(property="ua_location")


def test_attributes_travel_with_their_types(far, speak):
    """
    Texts and numbers as they are, booleans as texts; NULL takes an attribute away.
    """
    far.user(ADA)["attributes"] = {"plan": "free", "first_name": "Ada"}
    remote = speak()

    remote.upsert(remote.prepare("Detractors"), told(ADA, nps=3, paid=True, plan=None))

    assert far.users[ADA]["attributes"] == {"nps": 3, "paid": "true", "first_name": "Ada"}


def test_null_may_leave_an_attribute(dialogue, far, speak):
    """
    With null = "keep" a NULL is not spoken of: where nothing else is sent, only the tag is written.
    """
    far.user(ADA)["attributes"] = {"nps": 9}
    remote = speak(null="keep")

    remote.upsert(remote.prepare("Detractors"), told(ADA, nps=None))

    assert far.users[ADA]["attributes"] == {"nps": 9}
    assert [path for _, path, _ in dialogue.calls] == ["/api/named_users/tags/"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"nps": [3]}, "nps is a list"), ({"nps": {"a": 3}}, "nps is a list"), ({"shoe": 42}, "do not exist: shoe")],
)
def test_whose_attributes_are_not_all_taken_is_not_listed(far, speak, fields, words):
    """
    A value that cannot be one, and a warning in an answer of success: refused with the reason, and not tagged.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare("Detractors"), [*told(ADA, **fields), *told(ZOE, nps=3)])

    assert receipt.accepted == {ZOE}
    assert words in receipt.rejected[ADA]
    assert not far.users.get(ADA, {}).get("tags")


def test_a_group_that_is_not_there_stops_the_sync(far, speak):
    """
    Airship warns, and says ok: nobody is taken for listed, and a batch of some size is a fault of set-up.
    """
    far.groups = set()
    remote = speak()

    sent = delivered(remote, remote.prepare("Detractors"), told(*(f"u{n}" for n in range(10))))

    assert "tag group does not exist: audiences" in sent.error.what
    assert not sent.reasons


def test_an_answer_that_is_not_ok_is_no_success(speak, far):
    """
    Whatever its status.
    """
    answers = {"/api/channels/attributes/": {"ok": True}, "/api/named_users/tags/": {"ok": False}}
    remote = speak(lambda request: httpx.Response(200, json=answers[request.url.path]))

    sent = delivered(remote, remote.prepare("Detractors"), told(ADA, nps=3))

    assert sent.reasons == {ADA: "Airship gives no reason"}


def test_one_bad_id_spoils_only_itself(far, speak):
    """
    A call for many that is refused for one is halved until that one stands alone.
    """
    remote = speak()

    sent = delivered(remote, remote.prepare("Detractors"), told(ADA, "blank ", ZOE))

    assert sent.reasons.keys() == {"blank "}
    assert far.users.keys() == {ADA, ZOE}


def test_an_opt_out_is_not_spoken_of(dialogue, far, speak):
    """
    Through add, update and removal the channels stay opted out, and no call names one.
    """
    far.opt_out({"named_user_id": ADA})
    remote = speak()
    where = remote.prepare("Detractors")

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(where, told(ADA, nps=3)).accepted == {ADA}
        assert far.consent({"named_user_id": ADA}) == "unsubscribed"
    bodies = json.dumps([body for _, _, body in dialogue.calls])
    assert not [word for word in ("opt", "subscription", '"channel"') if word in bodies]


def test_a_list_is_read_back_page_by_page(far, speak):
    """
    Whoever has the tag in this group, among all named users.
    """
    far.page_size = 2
    remote = speak()
    where = remote.prepare("Detractors")
    remote.upsert(where, told(*(f"u{n}" for n in range(5))))
    far.user("u2")["tags"] = {"audiences": ["Other"], "crm": ["Detractors"]}
    far.user("u9")

    assert [each["named_user_id"] for each in remote.members(where)] == ["u0", "u1", "u3", "u4"]


def test_checking_changes_nothing(dialogue, far, speak):
    """
    The check of an account looks for someone who is not there; a refused key is told.
    """
    speak().check()

    assert dialogue.calls == [("GET", "/api/named_users/?id=audiences-check", None)]
    assert not far.users
    with pytest.raises(CredentialsRefused):
        speak(settings={"AIRSHIP_MASTER_SECRET": "another"}).check()


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("airship", tmp_path)

    assert not found.errors
    assert found.bindings["team.airship"].identity == {"named_user_id": Form.EXACT}
