"""The connector `mailerlite`: which account and which group, and who is read back."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import CredentialsRefused, Deferred, DefinitionError, Unanswered
from dialogue import ADA, Dialogue, told

LIST = "NPS detractors"


@pytest.fixture
def mailer(tmp_path):
    return Dialogue("mailerlite", tmp_path)


def test_a_group_is_found_by_its_whole_name_or_made_once(mailer):
    """
    A group that only holds the name, or has it in other letters, is another; one behind the first page is found.
    """
    mailer.far.groups |= {100 + n: f"{LIST} {n}" for n in range(1050)} | {4: LIST.upper()}

    assert [mailer.speak().prepare(LIST) for _ in range(2)] == ["7", "7"]
    assert mailer.speak().prepare(f"{LIST} 1049") == "1149"
    assert mailer.sent("POST") == [{"name": LIST}]


def test_a_group_whose_making_had_no_answer_is_made_once(mailer):
    """
    The answer to the making is lost: the run ends, and the next one takes what it made.
    """

    def before(request):
        if request.method == "POST" and len(mailer.sent("POST")) == 1:
            mailer.far(request)
            return httpx.Response(503)
        return None

    with pytest.raises(Unanswered):
        mailer.speak(before).prepare(LIST)
    assert mailer.speak(before).prepare(LIST) == "7"


def test_two_groups_of_one_name_are_told_apart(mailer):
    """
    An error with both ids and the way out.
    """
    mailer.far.groups |= {5: LIST, 6: LIST}

    with pytest.raises(DefinitionError, match=r"5, 6\n  do: rename all but one"):
        mailer.speak().prepare(LIST)


def test_a_name_that_is_refused_is_told_in_its_words(mailer):
    """
    A group that cannot be made is an error with MailerLite's reason and what to do.
    """
    with pytest.raises(DefinitionError, match=r"greater than 255 characters(?s:.*)do: give the list another name"):
        mailer.speak().prepare("x" * 256)


@pytest.mark.parametrize("list_id", ["999", LIST, "3/..", "٣"])
@pytest.mark.parametrize("verb", ["upsert", "remove", "members"])
def test_a_group_that_is_gone_is_not_made_again(mailer, verb, list_id):
    """
    A group that someone deleted, or that never was one, stops the sync with the way out, and nobody is written.
    """
    remote = mailer.speak()

    with pytest.raises(DefinitionError, match="audiences forget"):
        [*remote.members(list_id)] if verb == "members" else getattr(remote, verb)(list_id, told(ADA))
    assert not mailer.sent("POST")


def test_everybody_in_the_group_is_read_back(mailer):
    """
    Whatever their status, and page by page: without being asked for a status MailerLite lists the active alone.
    """
    remote = mailer.speak()
    group = remote.prepare(LIST)
    statuses = ("active", "active", "active", "unsubscribed", "unconfirmed", "bounced", "junk")
    for n in range(2100):
        mailer.far.people[100 + n] = {"email": f"p{n}@example.com", "status": statuses[n % 7] if n < 70 else "active"}
    for each in mailer.far.people.values():
        each["fields"] = {}
    mailer.far.held[int(group)] = dict.fromkeys(mailer.far.people)

    found = [each["email"] for each in remote.members(group)]

    assert len(found) == 2100
    assert {*found} == {f"p{n}@example.com" for n in range(2100)}


def test_a_throttle_is_waited_out_or_deferred(mailer):
    """
    A 429 is waited out for as long as it asks; one that stays leaves the sync for the next run.
    """
    replies = [mailer.far.throttled(7)]

    assert mailer.speak(lambda request: replies.pop() if replies else None).prepare(LIST) == "7"
    assert mailer.clock.now >= 7
    with pytest.raises(Deferred):
        mailer.speak(lambda request: mailer.far.throttled(1000)).prepare(LIST)


def test_checking_changes_nothing(mailer):
    """
    The check of an account is one look at its groups; a refused token is told.
    """
    mailer.speak().check()

    assert mailer.calls == [("GET", "/api/groups?limit=1", None)]
    with pytest.raises(CredentialsRefused):
        mailer.speak(lambda request: httpx.Response(401)).check()
