# /// script
# dependencies = ["sendgrid==6.12.5"]
# ///
"""SendGrid's own library: marketing lists, fields, contacts and their jobs. It names paths and signs in; bodies are
sent as they are given.
"""

from sendgrid import SendGridAPIClient

LIST, JOB = "00000000-0001-0000-0000-000000000000", "00000000-0000-0001-0000-000000000000"
PEOPLE = ["person1@example.com", "person2@example.com"]


def calls(sends):
    marketing = SendGridAPIClient("not-a-real-key").client.marketing
    contacts = [
        {"email": address, "first_name": "Ada", "custom_fields": {"e1_N": n}} for n, address in enumerate(PEOPLE, 1)
    ]
    ids = {"contact_ids": ",".join(f"000000000000000000000000000{n}-contact" for n in (0, 1))}
    added = {"list_ids": [LIST], "contacts": contacts}
    listed = marketing.lists._(LIST)
    sends("GET /v3/marketing/lists", marketing.lists.get, query_params={"page_size": 1000})
    sends("GET /v3/marketing/lists", marketing.lists.get, query_params={"page_size": 1})
    sends("POST /v3/marketing/lists", marketing.lists.post, request_body={"name": "Detractors / 2026"})
    sends("GET /v3/marketing/lists/{id}", listed.get)
    sends("DELETE /v3/marketing/lists/{id}/contacts", listed.contacts.delete, query_params=ids)
    sends("GET /v3/marketing/field_definitions", marketing.field_definitions.get)
    sends("PUT /v3/marketing/contacts", marketing.contacts.put, request_body=added)
    sends("GET /v3/marketing/contacts/imports/{id}", marketing.contacts.imports._(JOB).get)
    search = marketing.contacts.search.emails
    sends("POST /v3/marketing/contacts/search/emails", search.post, request_body={"emails": PEOPLE})
