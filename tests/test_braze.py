"""The connector `braze`: whom it may make a user, whose failure an answer names, and that no consent is touched."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import BatchRefused, Form, Member
from audiences.errors import CredentialsRefused, DefinitionError, Unanswered
from dialogue import answering, delivered, documented, fixtures

dialogue, far, speak = fixtures("braze", send=("external_id", "first_name"))

TRACK = "/users/track"


def users(*names, **fields):
    return [Member(each, {"external_id": each, **fields}, n) for n, each in enumerate(names)]


def saying(status=201, **said):
    """Let each change get this answer."""
    return answering(TRACK, status, **said)


@pytest.mark.parametrize("new", ["refuse", "subscribed"])
def test_consent_is_never_spoken_of(speak, far, dialogue, new):
    """
    Through add, update and removal it stays as it was, whatever becomes of new ones.
    """
    far.opt_out({"external_id": "u-1"})
    remote = speak(new=new)

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb("in_detractors", users("u-1", first_name="Ada")).accepted == {"u-1"}
        assert far.users["u-1"]["email_subscribe"] == "unsubscribed"
    assert "subscri" not in json.dumps(dialogue.calls)


@pytest.mark.parametrize("name", ["email_subscribe", "push_subscribe", "subscription_groups"])
def test_consent_cannot_be_sent(speak, dialogue, name):
    """
    It is refused as a field before any call.
    """
    with pytest.raises(DefinitionError, match=f"{name}(?s:.*)take it out of send"):
        speak(send=["external_id", name])
    assert not dialogue.calls


@pytest.mark.parametrize("name", ["_update_existing_only", "braze_id", "user_alias"])
def test_who_is_meant_cannot_be_sent_otherwise(speak, name):
    """
    What says who is meant, or how a change is taken, is no field.
    """
    with pytest.raises(DefinitionError, match=f"{name}(?s:.*)goes by external_id"):
        speak(send=["external_id", name])


def test_a_stranger_is_refused(speak, far, dialogue):
    """
    Who is no user is looked for first, made nobody, and named with the option that would; the others are written.
    """
    far.user("u-1")

    receipt = speak().upsert("in_detractors", users("u-1", "u-2"))

    assert receipt.accepted == {"u-1"}
    assert 'new = "subscribed"' in receipt.rejected["u-2"]
    assert (far.users.keys(), far.listed()) == ({"u-1"}, ["u-1"])
    assert dialogue.sent("POST", TRACK) == [
        {"attributes": [{"in_detractors": True, "external_id": "u-1", "_update_existing_only": True}]}
    ]


def test_strangers_alone_make_no_change(speak, dialogue):
    """
    Where nobody is left to write, no call that writes is made.
    """
    assert speak().upsert("in_detractors", users("u-1", "u-2")).rejected.keys() == {"u-1", "u-2"}
    assert not dialogue.sent("POST", TRACK)


def test_a_stranger_becomes_a_user_where_the_sync_says_so(speak, far, dialogue):
    """
    Nobody is looked for, and who is not there is made with what is sent.
    """
    remote = speak(new="subscribed")

    assert remote.upsert("in_detractors", users("u-2", first_name="Zoë")).accepted == {"u-2"}
    assert far.holds({"external_id": "u-2", "first_name": "Zoë"})
    assert len(dialogue.calls) == 1


@pytest.mark.parametrize("new", ["refuse", "subscribed"])
def test_a_removal_makes_nobody(speak, far, dialogue, new):
    """
    Nobody is looked for, and a stranger is not made a user on the way out; who was listed keeps all else.
    """
    far.user("u-1").update(in_detractors=True, first_name="Ada")
    remote = speak(new=new)

    assert remote.remove("in_detractors", users("u-1", "u-2")).accepted == {"u-1", "u-2"}
    assert far.users == {"u-1": {"email_subscribe": "subscribed", "first_name": "Ada"}}
    assert len(dialogue.calls) == 1


def test_whoever_an_error_names_is_refused(speak, far):
    """
    By the place among the objects of the call, which has none for those refused before; the others are on the list.
    """
    for each in ("u-1", "u-3"):
        far.user(each)
    remote = speak(send=["external_id", "email"])
    members = users("u-0", "u-1", email="ada@example.com") + users("u-3", email="nowhere")

    receipt = remote.upsert("in_detractors", members)

    assert receipt.accepted == {"u-1"}
    assert receipt.rejected["u-3"] == "'email' is not valid"
    assert far.listed() == ["u-1"]


@pytest.mark.parametrize(
    "error",
    ["invalid attribute", {"type": "invalid"}, {"type": "invalid", "index": 2}, {"type": "invalid", "index": "0"}],
)
def test_an_error_that_names_nobody_is_found_by_halving(speak, far, error):
    """
    An error of another form counts: the batch is refused, so that it is halved, and nobody is taken on trust.
    """
    for each in ("u-1", "u-2"):
        far.user(each)

    with pytest.raises(BatchRefused) as refusal:
        speak(saying(message="success", errors=[error])).upsert("in_detractors", users("u-1", "u-2"))
    assert "invalid" in refusal.value.reason


def test_halving_finds_the_one_that_is_meant(speak, far):
    """
    With errors that name nobody, the worker refuses the one who fails alone, and the other is taken.
    """
    for each in ("u-1", "u-2"):
        far.user(each)

    def before(request):
        told = json.loads(request.content).get("attributes", ())
        wrong = any(each["external_id"] == "u-2" for each in told)
        return httpx.Response(201, json={"message": "success", "errors": ["no such user"]}) if wrong else None

    sent = delivered(speak(before), "in_detractors", users("u-1", "u-2"))

    assert sent.reasons == {"u-2": "no such user"}
    assert far.listed() == ["u-1"]


def test_a_queued_change_is_taken(speak, far):
    """
    While Braze is at work on itself it answers 202 and keeps the changes.
    """
    far.user("u-1")

    assert speak(saying(202, message="queued")).upsert("in_detractors", users("u-1")).accepted == {"u-1"}


@pytest.mark.parametrize("answer", [{"json": {}}, {"json": {"message": "maybe"}}, {"json": [1]}, {"text": "<html>"}])
def test_an_answer_that_says_neither_is_no_success(speak, answer):
    """
    A 200 without Braze's own word on it leaves the batch in doubt.
    """
    remote = speak(lambda request: httpx.Response(200, **answer), new="subscribed")

    with pytest.raises(Unanswered, match="does not say whether"):
        remote.upsert("in_detractors", users("u-1"))


@pytest.mark.parametrize(("null", "kept"), [("clear", None), ("keep", "Ada")])
def test_null_removes_or_leaves(speak, far, null, kept):
    """
    As the sync says; without a word on it an attribute is removed.
    """
    far.user("u-1")["first_name"] = "Ada"

    speak(null=null).upsert("in_detractors", users("u-1", first_name=None))

    assert far.users["u-1"].get("first_name") == kept


def test_a_struct_spoils_one_member(speak, far, dialogue):
    """
    Braze would take some for operations, which add up when they are repeated: they are not sent.
    """
    for each in ("u-1", "u-2"):
        far.user(each)
    remote = speak(send=["external_id", "visits"])

    receipt = remote.upsert("in_detractors", [*users("u-1", visits={"inc": 1}), *users("u-2", visits=[1])])

    assert "visits holds a struct" in receipt.rejected["u-1"]
    assert far.listed() == ["u-2"]
    assert "inc" not in json.dumps(dialogue.calls)


def test_membership_is_a_boolean(dialogue):
    """
    An array of a user drops what is too many without a word: the option is refused.
    """
    with pytest.raises(ValueError, match="membership"):
        dialogue.cls.Options(membership="array")


@pytest.mark.parametrize(
    "url", ["http://rest.iad-01.braze.com", "https://rest.iad-01.example.com", "https://sdk.iad-01.braze.com"]
)
def test_another_address_is_named(speak, url):
    """
    An address that is no REST endpoint of Braze's is refused, by its variable.
    """
    with pytest.raises(DefinitionError, match="BRAZE_URL is invalid"):
        speak(settings={"BRAZE_URL": url})


def test_checking_changes_nothing(speak, dialogue):
    """
    The check of an account is one look for someone whom nobody knows; a refused key is told.
    """
    speak().check()

    assert [path for _, path, _ in dialogue.calls] == ["/users/export/ids"]
    with pytest.raises(CredentialsRefused):
        speak(lambda request: httpx.Response(401)).check()


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("braze", tmp_path)

    assert not found.errors
    assert found.bindings["team.braze"].identity == {"external_id": Form.EXACT}
