"""The connector `activecampaign`: which account and which tag, and who is read back."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import CredentialsRefused, DefinitionError, Unanswered
from dialogue import ADA, Dialogue, told


@pytest.fixture
def campaign(tmp_path):
    return Dialogue("activecampaign", tmp_path)


def test_a_tag_is_found_by_its_whole_name_or_made_once(campaign):
    """
    A tag that only holds the name, or is no contact's, is another's; one behind the first page is found.
    """
    campaign.far.tags |= {100 + n: {"tag": f"Detractors {n}", "tagType": "contact"} for n in range(150)}
    campaign.far.tags[4] = {"tag": "Detractors", "tagType": "template"}

    assert [campaign.speak().prepare("Detractors") for _ in range(2)] == ["7", "7"]
    assert [campaign.speak().prepare("Detractors 149")] == ["249"]
    assert campaign.sent("POST") == [{"tag": {"tag": "Detractors", "tagType": "contact", "description": ""}}]


def test_a_tag_whose_making_had_no_answer_is_made_once(campaign):
    """
    The answer to the making is lost: the run ends, and the next one takes what it made.
    """

    def before(request):
        if request.method == "POST" and len(campaign.sent("POST")) == 1:
            campaign.far(request)
            return httpx.Response(503)
        return None

    with pytest.raises(Unanswered):
        campaign.speak(before).prepare("Detractors")
    assert campaign.speak(before).prepare("Detractors") == "7"
    assert len(campaign.far.tags) == 2


def test_two_tags_of_one_name_are_told_apart(campaign):
    """
    An error with both ids and the way out.
    """
    campaign.far.tags |= {n: {"tag": "Detractors", "tagType": "contact"} for n in (5, 6)}

    with pytest.raises(DefinitionError, match=r"5, 6\n  do: rename all but one"):
        campaign.speak().prepare("Detractors")


def test_a_name_that_is_refused_is_told_in_its_words(campaign):
    """
    A tag that cannot be made is an error with ActiveCampaign's reason and what to do.
    """
    said = {"errors": [{"title": "The tag name is too long"}]}
    remote = campaign.speak(lambda request: httpx.Response(422, json=said) if request.method == "POST" else None)

    with pytest.raises(DefinitionError, match=r"The tag name is too long(?s:.*)do: give the list another name"):
        remote.prepare("Detractors")


@pytest.mark.parametrize("list_id", ["999", "Detractors", "7/..", "٣"])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_tag_that_is_gone_is_not_made_again(campaign, verb, list_id):
    """
    A tag that someone deleted, or that never was one, stops the sync with the way out, and nobody is written.
    """
    with pytest.raises(DefinitionError, match="audiences forget"):
        getattr(campaign.speak(), verb)(list_id, told(ADA))
    assert not [path for _, path, _ in campaign.calls if "contacts" in path]


def test_everybody_with_the_tag_is_read_back(campaign):
    """
    Whoever has the tag, whatever they have subscribed to, page by page.
    """
    for n in range(250):
        campaign.far.contact(f"p{n}@example.com", (1, 2, None)[n % 3])
    remote = campaign.speak()
    tag = remote.prepare("Detractors")
    campaign.far.given = {1000 + each: (each, int(tag)) for each in [*campaign.far.contacts][1:]}

    assert [each["email"] for each in remote.members(tag)] == [f"p{n}@example.com" for n in range(1, 250)]


def test_a_page_that_comes_again_ends_the_list(campaign):
    """
    Where ActiveCampaign does not heed from which id it is asked, nobody is read twice, and nobody asks for ever.
    """
    page = {"contacts": [{"id": "3", "email": ADA}]}
    remote = campaign.speak(lambda call: httpx.Response(200, json=page) if call.url.path == "/api/3/contacts" else None)

    assert list(remote.members(remote.prepare("Detractors"))) == [{"email": ADA}]


def test_checking_changes_nothing(campaign):
    """
    The check of an account is one look at whose key it is; a refused key is told.
    """
    campaign.speak().check()

    assert campaign.calls == [("GET", "/api/3/users/me", None)]
    with pytest.raises(CredentialsRefused):
        campaign.speak(lambda request: httpx.Response(401)).check()


@pytest.mark.parametrize("url", ["you", "http://you.api-us1.com", "https://you.api-us1.com/api/3", "https://you@x.com"])
def test_an_address_is_the_account_s_alone(campaign, url):
    """
    What is no https address of a host alone is refused, naming the variable.
    """
    campaign.far.settings["ACTIVECAMPAIGN_URL"] = url

    with pytest.raises(DefinitionError, match="ACTIVECAMPAIGN_URL is invalid"):
        campaign.speak()
