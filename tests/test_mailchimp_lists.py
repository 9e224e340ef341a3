"""The connector `mailchimp`: which tag is a list, what is read back, and what an error of the provider's comes to."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import connectors
from audiences.batch import Batch
from audiences.errors import CredentialsRefused, Deferred, DefinitionError
from audiences.send import send
from chimp import ADA, ZOE, Chimp, mailchimp, told

THROTTLED = "<html>Too many requests</html>"


@pytest.fixture
def chimp(tmp_path):
    return Chimp(tmp_path)


def test_a_tag_is_made_once(chimp):
    """
    A name that no tag has is made a tag; asked again, it is the same one.
    """
    ids = [chimp.speak().prepare("Detractors") for _ in range(2)]

    assert ids == ["a1b2c3d4e5/8"] * 2
    assert chimp.sent("POST") == [{"name": "Detractors", "static_segment": []}]


def test_a_tag_is_found_by_its_whole_name(chimp):
    """
    A tag whose name only begins like the list's is another one, and a tag behind the first thousand is found.
    """
    chimp.far.segments |= {n: {"name": f"tag {n}", "type": "static"} for n in range(100, 2100)}
    chimp.far.segments[9000] = {"name": "Detractors", "type": "static"}

    found = chimp.speak().prepare("Detractors")

    assert found == "a1b2c3d4e5/9000"
    assert not chimp.sent("POST")


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["saved"], "saved a1b2c3d4e5/100(?s:.*)name another list"),
        (["fuzzy"], "fuzzy a1b2c3d4e5/100"),
        (["static", "static"], "static a1b2c3d4e5/100, static a1b2c3d4e5/101(?s:.*)write one as list_id"),
    ],
)
def test_a_name_that_is_no_tag_is_refused(chimp, kinds, words):
    """
    A segment with conditions, or two of one name: an error with each id and the way out, and nothing is made.
    """
    chimp.far.segments |= {100 + n: {"name": "Detractors", "type": kind} for n, kind in enumerate(kinds)}

    with pytest.raises(DefinitionError, match=words):
        chimp.speak().prepare("Detractors")
    assert not chimp.sent("POST")


def test_a_lost_answer_makes_no_second_tag(chimp):
    """
    The call that makes a tag is applied and its answer lost: the tag that is there is found.
    """

    def before(request):
        if request.method == "POST" and len(chimp.sent("POST")) == 1:
            chimp.far(request)
            return httpx.Response(502)
        return None

    found = chimp.speak(before=before).prepare("Detractors")

    assert found == "a1b2c3d4e5/8"
    assert [each["name"] for each in chimp.far.segments.values()].count("Detractors") == 1


def test_a_name_that_mailchimp_refuses_is_told_in_its_words(chimp):
    """
    A tag that cannot be made is an error with Mailchimp's reason and what to do.
    """
    said = {"title": "Invalid Resource", "status": 400, "detail": "The name is too long."}
    remote = chimp.speak(before=lambda request: httpx.Response(400, json=said) if request.method == "POST" else None)

    with pytest.raises(DefinitionError, match=r"The name is too long\.\n  do: give the list another name"):
        remote.prepare("Detractors")


def test_an_audience_that_is_not_there_is_named(chimp):
    """
    A wrong audience_id is an error that says to check it, and the key beside it.
    """
    with pytest.raises(DefinitionError, match=r"/lists/zzz9/segments(?s:.*)check audience_id(?s:.*)MAILCHIMP_API_KEY"):
        chimp.speak(audience="zzz9").prepare("Detractors")


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_tag_that_is_gone_is_not_made_again(chimp, verb):
    """
    A tag that someone deleted stops the sync with the way out; a new one is never made silently.
    """
    with pytest.raises(DefinitionError, match=r"/lists/a1b2c3d4e5/segments/999(?s:.*)audiences forget"):
        getattr(chimp.speak(), verb)("a1b2c3d4e5/999", told(ADA))
    assert [path for method, path, _ in chimp.calls if method == "POST"] == ["/lists/a1b2c3d4e5/segments/999"]


def test_a_list_moves_to_another_audience(chimp):
    """
    With another audience_id the old list takes nobody in, and still lets its members go.
    """
    chimp.far.contact(ADA, "subscribed")
    tag = chimp.speak().prepare("Detractors")
    chimp.speak().upsert(tag, told(ADA))
    moved = chimp.speak(audience="ffff0000")

    with pytest.raises(DefinitionError, match="name another list as well"):
        moved.upsert(tag, told(ZOE))
    assert moved.remove(tag, told(ADA)).accepted == {ADA}
    assert chimp.far.tags(ADA) == []


@pytest.mark.parametrize("list_id", ["Detractors", "8", "a1b2c3d4e5/", "a1b2c3d4e5/8/..", "a1/8?x=1", "a1/٣"])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_list_id_is_an_audience_and_a_tag(chimp, verb, list_id):
    """
    Anything else written as list_id is refused before a call is made, with the form that it has.
    """
    with pytest.raises(DefinitionError, match="AUDIENCE_ID/TAG_ID"):
        getattr(chimp.speak(), verb)(list_id, told(ADA))
    assert not chimp.calls


def test_everybody_with_the_tag_is_read_back(chimp):
    """
    `members` gives whoever has the tag, whatever their status, page by page, with their merge fields.
    """
    people = {
        f"p{n}@example.com": ("subscribed", "unsubscribed", "cleaned", "transactional")[n % 4] for n in range(1500)
    }
    for address, status in people.items():
        chimp.far.contact(address, status)
    remote = chimp.speak()
    tag = remote.prepare("Detractors")
    chimp.far.tagged[8].update(chimp.far.contacts)
    chimp.far.contact("p0@example.com", "subscribed", FNAME="Ada")

    found = {each.pop("email"): each for each in remote.members(tag)}

    assert found.keys() == people.keys()
    assert found["p0@example.com"]["FNAME"] == "Ada"


def test_a_403_without_json_is_waited_out(chimp):
    """
    At very high volume Mailchimp answers 403 with a page: that is a pause, not a matter of the key.
    """
    replies = [httpx.Response(403, html=THROTTLED), httpx.Response(403)]

    found = chimp.speak(before=lambda request: replies.pop() if replies else None).prepare("Detractors")

    assert found == "a1b2c3d4e5/8"
    assert chimp.clock.now >= 2


def test_a_403_that_stays_defers_the_sync(chimp):
    """
    Where the throttling does not end, the sync is left for the next run.
    """
    with pytest.raises(Deferred):
        chimp.speak(before=lambda request: httpx.Response(403, html=THROTTLED)).prepare("Detractors")


def test_a_403_with_json_is_about_the_account(chimp):
    """
    A 403 that Mailchimp explains is not tried again.
    """
    said = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "User does not have access."}

    with pytest.raises(CredentialsRefused):
        chimp.speak(before=lambda request: httpx.Response(403, json=said)).prepare("Detractors")
    assert len(chimp.calls) == 1


def tagging(request):
    return b"members_to_" in request.content


@pytest.mark.parametrize(("status", "error"), [(401, CredentialsRefused), (429, Deferred)])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_what_is_stopped_before_it_began_was_not_applied(chimp, verb, status, error):
    """
    Where the first call of a batch is refused, nothing of it is in doubt.
    """
    remote = chimp.speak(before=lambda request: httpx.Response(status) if tagging(request) else None)

    with pytest.raises(error):
        getattr(remote, verb)(remote.prepare("Detractors"), told(ADA))


@pytest.mark.parametrize(("status", "error"), [(401, CredentialsRefused), (429, Deferred)])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_what_is_stopped_half_way_is_in_doubt(chimp, verb, status, error):
    """
    Some have been tagged or untagged when a later call of the batch fails: it is not said that nothing was applied.
    """
    chimp.far.contact(ADA, "subscribed")
    remote = chimp.speak(before=lambda request: httpx.Response(status) if request.url.path.endswith("/tags") else None)
    tag = remote.prepare("Detractors")
    if verb == "remove":
        remote.upsert(tag, told(ADA))

    sent = send(remote, Batch(verb, False, tag, told(ADA, ZOE), frozenset()))

    assert (type(sent.error), sent.found) == (error, {})
    assert chimp.far.tags(ADA) == (["Detractors"] if verb == "upsert" else [])


def test_what_is_stopped_while_fields_are_written_is_in_doubt(chimp):
    """
    A contact has its new fields when the next one's call is refused: the batch is in doubt.
    """
    chimp.far.contact(ADA, "subscribed")

    def before(request):
        return httpx.Response(401) if len(chimp.sent("PATCH")) == 2 else None

    remote = chimp.speak(before=before)
    tag = remote.prepare("Detractors")

    sent = send(remote, Batch("upsert", False, tag, told(ADA, ZOE, FNAME="Ada"), frozenset()))

    assert (type(sent.error), sent.found) == (CredentialsRefused, {})


@pytest.mark.parametrize(
    ("key", "server", "words"),
    [
        ("not-a-real-key-us19", "us20", "another data centre"),
        ("not-a-real-key", "us19", "another data centre"),
        ("not-a-real-key-us19", "https://us19.api.mailchimp.com", "the data centre alone"),
    ],
)
def test_key_and_server_belong_together(tmp_path, monkeypatch, key, server, words):
    """
    A server that is not the key's is refused before a call is made, naming the variable and never the key.
    """
    monkeypatch.setenv("MAILCHIMP_API_KEY", key)
    monkeypatch.setenv("MAILCHIMP_SERVER", server)

    with pytest.raises(DefinitionError, match=rf"MAILCHIMP_SERVER is invalid: .*{words}") as said:
        connectors.settings("mailchimp", mailchimp(), tmp_path)
    assert key not in str(said.value)


def test_blanks_around_key_and_server_do_not_count(chimp):
    """
    What was pasted with a blank or in capitals is read as it is meant.
    """
    chimp.far.settings = {"MAILCHIMP_API_KEY": " not-a-real-key-us19 ", "MAILCHIMP_SERVER": " US19 "}

    assert chimp.speak().prepare("Detractors") == "a1b2c3d4e5/8"


def test_checking_changes_nothing(chimp):
    """
    The check of an account is one ping; a refused key is told.
    """
    chimp.speak().check()

    assert chimp.calls == [("GET", "/ping", None)]
    with pytest.raises(CredentialsRefused):
        chimp.speak(before=lambda request: httpx.Response(401)).check()


def test_addresses_travel_without_blanks_and_capitals(chimp):
    """
    An address is sent in its normal form, and found whatever the case in which Mailchimp keeps it.
    """
    chimp.far.contact("Ada@Example.com", "subscribed")
    remote = chimp.speak()
    tag = remote.prepare("Detractors")

    receipts = [verb(tag, told(" ADA@example.com ")) for verb in (remote.upsert, remote.upsert, remote.remove)]

    assert not [each for each in receipts if each.rejected]
    assert json.dumps(chimp.sent("POST")[1:]).count(f'["{ADA}"]') == 3
    assert [path.endswith("/tags") for _, path, _ in chimp.calls].count(True) == 1  # the second time it was there
    assert chimp.far.tags(ADA) == []
