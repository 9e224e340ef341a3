"""The connector `mailchimp`: which tag is a list, what is read back, and what an error of the provider's comes to."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences.errors import CredentialsRefused, Deferred, DefinitionError
from dialogue import ADA, ZOE, delivered, first, fixtures, told

THROTTLED = "<html>Too many requests</html>"

dialogue, far, speak = fixtures("mailchimp", audience_id="a1b2c3d4e5")


def test_a_tag_is_made_once(dialogue, speak):
    """
    A name that no tag has is made a tag; asked again, it is the same one.
    """
    ids = [speak().prepare("Detractors") for _ in range(2)]

    assert ids == ["a1b2c3d4e5/8"] * 2
    assert dialogue.sent("POST") == [{"name": "Detractors", "static_segment": []}]


def test_a_tag_is_found_by_its_whole_name(dialogue, far, speak):
    """
    A tag whose name only begins like the list's is another one, and a tag behind the first thousand is found.
    """
    far.segments |= {n: {"name": f"tag {n}", "type": "static"} for n in range(100, 2100)}
    far.segments[9000] = {"name": "Detractors", "type": "static"}

    found = speak().prepare("Detractors")

    assert found == "a1b2c3d4e5/9000"
    assert not dialogue.sent("POST")


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["saved"], "saved a1b2c3d4e5/100(?s:.*)name another list"),
        (["fuzzy"], "fuzzy a1b2c3d4e5/100"),
        (["static", "static"], "static a1b2c3d4e5/100, static a1b2c3d4e5/101(?s:.*)write one as list_id"),
    ],
)
def test_a_name_that_is_no_tag_is_refused(dialogue, far, speak, kinds, words):
    """
    A segment with conditions, or two of one name: an error with each id and the way out, and nothing is made.
    """
    far.segments |= {100 + n: {"name": "Detractors", "type": kind} for n, kind in enumerate(kinds)}

    with pytest.raises(DefinitionError, match=words):
        speak().prepare("Detractors")
    assert not dialogue.sent("POST")


def test_a_lost_answer_makes_no_second_tag(dialogue, far, speak):
    """
    The call that makes a tag is applied and its answer lost: the tag that is there is found.
    """

    found = speak(dialogue.losing("POST", "/segments$")).prepare("Detractors")

    assert found == "a1b2c3d4e5/8"
    assert [each["name"] for each in far.segments.values()].count("Detractors") == 1


def test_a_name_that_mailchimp_refuses_is_told_in_its_words(speak):
    """
    A tag that cannot be made is an error with Mailchimp's reason and what to do.
    """
    said = {"title": "Invalid Resource", "status": 400, "detail": "The name is too long."}
    remote = speak(before=lambda request: httpx.Response(400, json=said) if request.method == "POST" else None)

    with pytest.raises(DefinitionError, match=r"The name is too long\.\n  do: give the list another name"):
        remote.prepare("Detractors")


def test_an_audience_that_is_not_there_is_named(speak):
    """
    A wrong audience_id is an error that says to check it, and the key beside it.
    """
    with pytest.raises(DefinitionError, match=r"/lists/zzz9/segments(?s:.*)check audience_id(?s:.*)MAILCHIMP_API_KEY"):
        speak(audience_id="zzz9").prepare("Detractors")


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_tag_that_is_gone_is_not_made_again(dialogue, speak, verb):
    """
    A tag that someone deleted stops the sync with the way out; a new one is never made silently.
    """
    with pytest.raises(DefinitionError, match=r"/lists/a1b2c3d4e5/segments/999(?s:.*)audiences forget"):
        getattr(speak(), verb)("a1b2c3d4e5/999", told(ADA))
    assert [path for method, path, _ in dialogue.calls if method == "POST"] == ["/3.0/lists/a1b2c3d4e5/segments/999"]


def test_a_list_moves_to_another_audience(far, speak):
    """
    With another audience_id the old list takes nobody in, and still lets its members go.
    """
    far.contact(ADA, "subscribed")
    tag = speak().prepare("Detractors")
    speak().upsert(tag, told(ADA))
    moved = speak(audience_id="ffff0000")

    with pytest.raises(DefinitionError, match="name another list as well"):
        moved.upsert(tag, told(ZOE))
    assert moved.remove(tag, told(ADA)).accepted == {ADA}
    assert far.tags(ADA) == []


@pytest.mark.parametrize("list_id", ["Detractors", "8", "a1b2c3d4e5/", "a1b2c3d4e5/8/..", "a1/8?x=1", "a1/٣"])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_list_id_is_an_audience_and_a_tag(dialogue, speak, verb, list_id):
    """
    Anything else written as list_id is refused before a call is made, with the form that it has.
    """
    with pytest.raises(DefinitionError, match="AUDIENCE_ID/TAG_ID"):
        getattr(speak(), verb)(list_id, told(ADA))
    assert not dialogue.calls


def test_everybody_with_the_tag_is_read_back(far, speak):
    """
    `members` gives whoever has the tag, whatever their status, page by page, with their merge fields.
    """
    people = {
        f"p{n}@example.com": ("subscribed", "unsubscribed", "cleaned", "transactional")[n % 4] for n in range(1500)
    }
    for address, status in people.items():
        far.contact(address, status)
    remote = speak()
    tag = remote.prepare("Detractors")
    far.tagged[8].update(far.contacts)
    far.contact("p0@example.com", "subscribed", FNAME="Ada")

    found = {each.pop("email"): each for each in remote.members(tag)}

    assert found.keys() == people.keys()
    assert found["p0@example.com"]["FNAME"] == "Ada"


def test_a_403_without_json_is_waited_out(dialogue, speak):
    """
    At very high volume Mailchimp answers 403 with a page: that is a pause, not a matter of the key.
    """
    replies = first(httpx.Response(403, html=THROTTLED), httpx.Response(403))

    found = speak(replies).prepare("Detractors")

    assert found == "a1b2c3d4e5/8"
    assert dialogue.clock.now >= 2


def test_a_403_that_stays_defers_the_sync(speak):
    """
    Where the throttling does not end, the sync is left for the next run.
    """
    with pytest.raises(Deferred):
        speak(before=lambda request: httpx.Response(403, html=THROTTLED)).prepare("Detractors")


def test_a_403_with_json_is_about_the_account(dialogue, speak):
    """
    A 403 that Mailchimp explains is not tried again.
    """
    said = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "User does not have access."}

    with pytest.raises(CredentialsRefused):
        speak(before=lambda request: httpx.Response(403, json=said)).prepare("Detractors")
    assert len(dialogue.calls) == 1


def tagging(request):
    return b"members_to_" in request.content


@pytest.mark.parametrize(("status", "error"), [(401, CredentialsRefused), (429, Deferred)])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_what_is_stopped_before_it_began_was_not_applied(speak, verb, status, error):
    """
    Where the first call of a batch is refused, nothing of it is in doubt.
    """
    remote = speak(before=lambda request: httpx.Response(status) if tagging(request) else None)

    with pytest.raises(error):
        getattr(remote, verb)(remote.prepare("Detractors"), told(ADA))


@pytest.mark.parametrize(("status", "error"), [(401, CredentialsRefused), (429, Deferred)])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_what_is_stopped_half_way_is_in_doubt(far, speak, verb, status, error):
    """
    Some have been tagged or untagged when a later call of the batch fails: it is not said that nothing was applied.
    """
    far.contact(ADA, "subscribed")
    remote = speak(before=lambda request: httpx.Response(status) if request.url.path.endswith("/tags") else None)
    tag = remote.prepare("Detractors")
    if verb == "remove":
        remote.upsert(tag, told(ADA))

    sent = delivered(remote, tag, told(ADA, ZOE), verb)

    assert (type(sent.error), sent.found) == (error, {})
    assert far.tags(ADA) == (["Detractors"] if verb == "upsert" else [])


def test_what_is_stopped_while_fields_are_written_is_in_doubt(dialogue, far, speak):
    """
    A contact has its new fields when the next one's call is refused: the batch is in doubt.
    """
    far.contact(ADA, "subscribed")

    def before(request):
        return httpx.Response(401) if len(dialogue.sent("PATCH")) == 2 else None

    remote = speak(before=before)
    tag = remote.prepare("Detractors")

    sent = delivered(remote, tag, told(ADA, ZOE, FNAME="Ada"))

    assert (type(sent.error), sent.found) == (CredentialsRefused, {})


@pytest.mark.parametrize(
    ("key", "server", "words"),
    [
        ("not-a-real-key-us19", "us20", "another data centre"),
        ("not-a-real-key", "us19", "another data centre"),
        ("not-a-real-key-us19", "https://us19.api.mailchimp.com", "the data centre alone"),
    ],
)
def test_key_and_server_belong_together(dialogue, key, server, words):
    """
    A server that is not the key's is refused before a call is made, naming the variable and never the key.
    """
    with pytest.raises(DefinitionError, match=rf"MAILCHIMP_SERVER is invalid: .*{words}") as said:
        dialogue.account(MAILCHIMP_API_KEY=key, MAILCHIMP_SERVER=server)
    assert key not in str(said.value)


def test_blanks_around_key_and_server_do_not_count(far, speak):
    """
    What was pasted with a blank or in capitals is read as it is meant.
    """
    far.settings = {"MAILCHIMP_API_KEY": " not-a-real-key-us19 ", "MAILCHIMP_SERVER": " US19 "}

    assert speak().prepare("Detractors") == "a1b2c3d4e5/8"


def test_checking_changes_nothing(dialogue, speak):
    """
    The check of an account is one ping; a refused key is told.
    """
    speak().check()

    assert dialogue.calls == [("GET", "/3.0/ping", None)]
    with pytest.raises(CredentialsRefused):
        speak(before=lambda request: httpx.Response(401)).check()


def test_addresses_travel_without_blanks_and_capitals(dialogue, far, speak):
    """
    An address is sent in its normal form, and found whatever the case in which Mailchimp keeps it.
    """
    far.contact("Ada@Example.com", "subscribed")
    remote = speak()
    tag = remote.prepare("Detractors")

    receipts = [verb(tag, told(" ADA@example.com ")) for verb in (remote.upsert, remote.upsert, remote.remove)]

    assert not [each for each in receipts if each.rejected]
    assert json.dumps(dialogue.sent("POST")[1:]).count(f'["{ADA}"]') == 3
    assert ["/tags?" in path for _, path, _ in dialogue.calls].count(True) == 1  # the second time it was there
    assert far.tags(ADA) == []
