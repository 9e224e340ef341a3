# /// script
# dependencies = ["resend==2.52.0"]
# ///
"""Resend's own SDK: segments, properties, contacts."""

import resend

SEGMENT, ONE = "00000000-0000-0000-0000-000000000009", "person1@example.com"
CONTACT, PAGE = "/contacts/{id}", {"limit": 100}


def calls(sends):
    resend.api_key = "not-a-real-key"
    segments, contacts = resend.Segments, resend.Contacts
    sends("GET /segments", segments.list, PAGE)
    sends("GET /segments", segments.list, {"limit": 1})
    sends("POST /segments", segments.create, {"name": "NPS / détracteurs [2026]"})
    sends("GET /segments/{id}", segments.get, SEGMENT)
    sends("GET /contact-properties", resend.ContactProperties.list, PAGE)
    fields = {"first_name": "Ada", "properties": {"nps_score": 1}}
    sends(f"PATCH {CONTACT}", contacts.update, {"email": ONE, **fields})
    new = {"email": "person3@example.com", "unsubscribed": True, "first_name": "Ada", "properties": {"nps_score": 3}}
    sends("POST /contacts", contacts.create, new)
    sends(f"GET {CONTACT}", contacts.get, email="person3@example.com")
    place = {"email": ONE, "segment_id": SEGMENT}
    sends(f"POST {CONTACT}/segments/{{segment_id}}", contacts.Segments.add, place)
    sends(f"DELETE {CONTACT}/segments/{{segment_id}}", contacts.Segments.remove, place)
    stranger = {"email": "person9999@example.com"}
    sends(f"GET {CONTACT}/segments", contacts.Segments.list, stranger, PAGE)
    sends("GET /segments/{segment_id}/contacts", contacts.list, params=PAGE, segment_id=SEGMENT)
