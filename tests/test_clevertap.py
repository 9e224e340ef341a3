"""The connector `clevertap`: what an answer of success leaves out, and that nobody becomes someone to write to."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import DefinitionError, Form, Member
from dialogue import delivered, documented, fixtures

ADA, ZOE = "user/1", "user/2"
TAG = "in_detractors_2026"

dialogue, far, speak = fixtures("clevertap", send=("identity", "nps"))


def told(*ids, **fields):
    """Members with these identities, keyed by them, and with the same fields."""
    return [Member(each, {"identity": each, **fields}, n) for n, each in enumerate(ids)]


def test_a_list_is_a_property(far, speak):
    """
    True for whoever is on it; a removal makes it false, and leaves all else.
    """
    far.profiles[ADA] = {"plan": "free", "in_other": True}
    remote = speak()
    where = remote.prepare(far.list)

    remote.upsert(where, told(ADA, nps=3, paid=True))
    assert far.profiles[ADA] == {"plan": "free", "in_other": True, "nps": 3, "paid": True, TAG: True}

    remote.remove(where, told(ADA, nps=3))
    assert far.profiles[ADA] == {"plan": "free", "in_other": True, "nps": 3, "paid": True, TAG: False}


def test_null_leaves_a_property(far, speak):
    """
    It is not sent; that it could unset one cannot be asked for.
    """
    far.profiles[ADA] = {"nps": 9}
    remote = speak()

    remote.upsert(remote.prepare(far.list), told(ADA, nps=None))

    assert far.profiles[ADA] == {"nps": 9, TAG: True}
    with pytest.raises(ValueError, match="keep"):
        speak(null="clear")


@pytest.mark.parametrize("name", ["Email", "phone", "MSG-email", "msg-push"])
def test_nobody_is_made_reachable(dialogue, name):
    """
    An address and an opt-out cannot be sent: CleverTap makes a profile of whoever it does not know.
    """
    with pytest.raises(DefinitionError, match=f"{name}(?s:.*)take it out of send"):
        dialogue.speak(send=["identity", name])
    assert not dialogue.calls


def test_an_opt_out_is_not_spoken_of(dialogue, far, speak):
    """
    Through add, update and removal a user stays opted out.
    """
    far.opt_out({"identity": ADA})
    remote = speak()
    where = remote.prepare(far.list)

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(where, told(ADA, nps=3)).accepted == {ADA}
        assert far.consent({"identity": ADA}) == "unsubscribed"
    assert "MSG" not in json.dumps(dialogue.calls)


@pytest.mark.parametrize(
    ("value", "words"),
    [(["a"], "nps is a list"), ({"a": 1}, "nps is a list"), ("é" * 257, "nps has more than the 512 bytes")],
)
def test_a_value_that_cannot_be_kept_spoils_one_member(dialogue, far, speak, value, words):
    """
    It is refused with the property's name, and the others are listed.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), [*told(ADA, nps=value), *told(ZOE, nps="é" * 256)])

    assert words in receipt.rejected[ADA]
    assert far.listed() == [ZOE]


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({"status": "fail", "processed": 0, "unprocessed": []}, {ADA, ZOE}),
        ({"status": "partial", "processed": 1, "unprocessed": []}, set()),
        ({"status": "success", "processed": 1}, set()),
        ({"processed": 1, "unprocessed": [{"error": "odd", "record": {"identity": "another"}}]}, {ADA, ZOE}),
    ],
)
def test_an_answer_that_does_not_name_all_who_failed_is_no_success(far, speak, said, refused):
    """
    Where two were sent and one is neither counted nor named, the batch is halved, until the answer is of one alone.
    """
    remote = speak(lambda request: httpx.Response(200, json=said))

    sent = delivered(remote, remote.prepare(far.list), told(ADA, ZOE))

    assert (sent.calls, sent.reasons.keys()) == (3, refused)


def test_who_is_named_is_refused_wherever_they_stood(far, speak):
    """
    By identity, in CleverTap's words; the others are listed by the same call.
    """
    remote = speak()

    sent = delivered(remote, remote.prepare(far.list), told(ADA, " odd", ZOE))

    assert sent.reasons.keys() == {" odd"}
    assert (sent.calls, far.listed()) == (1, [ADA, ZOE])


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("clevertap", tmp_path)

    assert not found.errors
    assert found.bindings["team.clevertap"].identity == {"identity": Form.EXACT}
