# /// script
# dependencies = ["brevo-python==5.1.0"]
# ///
"""Brevo's own client: lists and their folder, attributes, contacts."""

from brevo import Brevo

CONTACT, ONE = "/v3/contacts/{identifier}", "person1@example.com"


def calls(sends):
    contacts = Brevo(api_key="not-a-real-key").contacts
    by, page = {"identifier_type": "email_id"}, {"offset": 0, "sort": "asc"}
    sends("GET /v3/contacts/lists", contacts.get_lists, limit=50, **page)
    sends("GET /v3/contacts/lists", contacts.get_lists, limit=1)
    sends("GET /v3/contacts/folders", contacts.get_folders, limit=1, **page)
    sends("POST /v3/contacts/lists", contacts.create_list, name="Détracteurs / 2026", folder_id=1)
    sends("GET /v3/contacts/lists/{listId}", contacts.get_list, 1)
    sends("GET /v3/contacts/attributes", contacts.get_attributes)
    fields = {"FIRSTNAME": "Ada", "NPS": 1}
    sends(f"PUT {CONTACT}", contacts.update_contact, ONE, **by, attributes=fields, list_ids=[1])
    sends(f"PUT {CONTACT}", contacts.update_contact, ONE, **by, unlink_list_ids=[1])
    new = {"email": "person3@example.com", "email_blacklisted": True, "attributes": {"FIRSTNAME": "Ada", "NPS": 3}}
    sends("POST /v3/contacts", contacts.create_contact, **new, list_ids=[1])
    sends(f"GET {CONTACT}", contacts.get_contact_info, "nowhere", **by)
    sends("GET /v3/contacts/lists/{listId}/contacts", contacts.get_contacts_from_list, 1, limit=500, **page)
