"""The connector `zoho_crm`: which tag a list is, who has it, and how an account signs in."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import CredentialsRefused, DefinitionError
from dialogue import ADA
from test_zoho_crm import LIST, Zoho, told


@pytest.fixture
def zoho(tmp_path):
    return Zoho("zoho_crm", tmp_path)


def test_a_tag_is_found_by_its_exact_name(zoho):
    """
    In its own module, and not by the beginning of its name; one that is not there is made once.
    """
    zoho.far.tags["Leads"]["77"] = LIST
    zoho.far.tags["Contacts"]["78"] = f"{LIST} since May"
    remote = zoho.speak()

    assert remote.prepare(LIST) == remote.prepare(LIST) == "55440000001001"
    assert zoho.sent("POST") == [{"tags": [{"name": LIST}]}]
    assert zoho.speak(module="Leads").prepare(LIST) == "77"


def test_two_runs_at_once_take_one_tag(zoho):
    """
    Names are unique: where another run made the tag meanwhile, Zoho makes none, and both take that one.
    """

    def before(request):
        if request.method == "POST":
            zoho.far.tags["Contacts"]["78"] = LIST

    assert zoho.speak(before).prepare(LIST) == "78"


@pytest.mark.parametrize(
    ("name", "words"), [("detractors", "DUPLICATE_DATA: duplicate tag name"), ("d" * 26, "26 characters(?s:.*)most 25")]
)
def test_a_name_that_makes_no_tag_is_said(zoho, name, words):
    """
    One that differs in case alone, in Zoho's words; one that is too long, before it is asked.
    """
    zoho.far.tags["Contacts"]["78"] = LIST

    with pytest.raises(DefinitionError, match=words):
        zoho.speak().prepare(name)
    assert len(zoho.far.tags["Contacts"]) == 2


@pytest.mark.parametrize("verb", ["upsert", "remove", "members"])
def test_a_tag_that_is_gone_stops_the_sync(zoho, verb):
    """
    A deleted tag, or one of the other module, would be made anew by its name: nothing is changed.
    """
    zoho.far.record(Email=ADA)
    zoho.far.tags["Leads"]["77"] = LIST
    remote = zoho.speak()

    with pytest.raises(DefinitionError, match="'77' is the id of no tag of Contacts"):
        list(remote.members("77")) if verb == "members" else getattr(remote, verb)("77", told(ADA))
    assert {method for method, _, _ in zoho.calls} == {"GET"}


def test_reading_back_takes_every_page(zoho):
    """
    Whoever has the tag, and an address; of an empty module nobody.
    """
    remote = zoho.speak()
    tag = remote.prepare(LIST)
    assert [*remote.members(tag)] == []
    for n in range(450):
        zoho.far.record(Email=f"person{n}@example.com" if n % 5 else None)["tags"] = [tag] * (n % 2)

    found = [each["Email"] for each in remote.members(tag)]

    assert found == [f"person{n}@example.com" for n in range(450) if n % 2 and n % 5]


def test_the_check_reads_the_tags(zoho):
    """
    One call that changes nothing; a module without tags answers with no body.
    """
    zoho.far.tags["Contacts"].clear()

    zoho.speak().check()

    assert zoho.calls == [("GET", "/crm/v8/settings/tags?module=Contacts", None)]
    with pytest.raises(CredentialsRefused):
        zoho.speak(lambda request: httpx.Response(403, json={"code": "NO_PERMISSION"})).check()


def test_a_refused_sign_in_is_said(zoho):
    """
    Zoho refuses a refresh token with a success: nothing was sent, and the token itself is not shown.
    """
    zoho.far.settings["ZOHO_CRM_REFRESH_TOKEN"] = "not-a-real-refresh-of-last-year"

    with pytest.raises(CredentialsRefused) as said:
        zoho.speak().check()
    assert "last-year" not in f"{said.value}"
    assert not zoho.calls
