# /// script
# dependencies = ["python-intercom==5.0.1"]
# ///
"""Intercom's own client: tags, contacts and who has a tag, attributes."""

from intercom import (
    CreateContactRequestWithExternalId,
    CreateOrUpdateTagRequest,
    Intercom,
    SingleFilterSearchRequest,
    StartingAfterPaging,
)

CONTACT, TAG = "000000000000000000000001", "2"


def calls(sends):
    client = Intercom(token="not-a-real-token")
    sends("GET /me", client.admins.identify)
    sends("GET /data_attributes", client.data_attributes.list, model="contact")
    of_tags(sends, client.tags)
    of_contacts(sends, client.contacts)


def of_tags(sends, tags):
    sends("POST /tags", tags.create, request=CreateOrUpdateTagRequest(name="Detractors"))
    sends("GET /tags/{id}", tags.find, TAG)
    sends("POST /contacts/{contact_id}/tags", tags.tag_contact, CONTACT, tag_id=TAG)
    sends("DELETE /contacts/{contact_id}/tags/{id}", tags.untag_contact, CONTACT, TAG)


def of_contacts(sends, contacts):
    sends("GET /contacts/find_by_external_id/{external_id}", contacts.show_contact_by_external_id, "u-1")
    for field, value, page in (
        ("email", "person1@example.com", {}),
        ("tag_id", TAG, {}),
        ("tag_id", TAG, {"starting_after": "2"}),
    ):
        query = SingleFilterSearchRequest(field=field, operator="=", value=value)
        paging = StartingAfterPaging(per_page=150, **page)
        sends("POST /contacts/search", contacts.search, query=query, pagination=paging)
    ada = {"name": "Ada", "custom_attributes": {"nps_score": 1}}
    sends("PUT /contacts/{contact_id}", contacts.update, CONTACT, **ada)
    new = {"external_id": "u-3", "role": "user", "name": "Ada", "custom_attributes": {"nps_score": 3}}
    for consent in ({}, {"unsubscribed_from_emails": True}):
        made = CreateContactRequestWithExternalId(**new, **consent)
        sends("POST /contacts", contacts.create, request=made)
