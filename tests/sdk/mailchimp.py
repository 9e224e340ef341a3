# /// script
# dependencies = ["mailchimp-marketing==3.0.80"]
# ///
"""Mailchimp's own client: tags as static segments, merge fields, members."""

import mailchimp_marketing

AUDIENCE, TAG = "a1b2c3d4e5", "8"
LIST = "/3.0/lists/{list_id}"
CONTACT, OF_TAG = f"{LIST}/members/{{subscriber_hash}}", f"{LIST}/segments/{{segment_id}}"
KNOWN = "5c39b564d82e54df1f39bd2c9f3c0e11"  # the MD5 of person1@example.com, and below of person3@ and of two strangers
NEW, STRANGER = "efd59671aafc2cec38941a0bb9606943", "e7fbeb7945e254fbc2273cac2e97815d"
PAGE = {"count": 1000, "offset": 0}
EVERYBODY = {"include_cleaned": True, "include_transactional": True, "include_unsubscribed": True}


def calls(sends):
    client = mailchimp_marketing.Client({"api_key": "not-a-real-key-us19", "server": "us19"})
    lists = client.lists
    tag = {"name": "Detractors", "static_segment": []}
    merge = {"merge_fields": {"FNAME": "Ada"}}
    added = {"members_to_add": ["person1@example.com", "person2@example.com"]}
    taken = {"members_to_remove": ["person1@example.com", "person2@example.com"]}
    new = {**merge, "email_address": "person3@example.com", "status_if_new": "transactional"}
    segments = {"fields": ["total_items", "segments.id", "segments.name", "segments.type"], **PAGE}
    fields = {"fields": ["total_items", "merge_fields.tag", "merge_fields.type"], **PAGE}
    members = {"fields": ["total_items", "members.email_address", "members.merge_fields"], **PAGE, **EVERYBODY}
    sends("GET /3.0/ping", client.ping.get)
    sends(f"GET {LIST}/segments", lists.list_segments, AUDIENCE, **segments)
    sends(f"POST {LIST}/segments", lists.create_segment, AUDIENCE, tag)
    sends(f"GET {LIST}/merge-fields", lists.get_list_merge_fields, AUDIENCE, **fields)
    sends(f"PATCH {CONTACT}", lists.update_list_member, AUDIENCE, KNOWN, merge)
    sends(f"PUT {CONTACT}", lists.set_list_member, AUDIENCE, NEW, new)
    sends(f"POST {OF_TAG}", lists.batch_segment_members, added, AUDIENCE, TAG)
    sends(f"POST {OF_TAG}", lists.batch_segment_members, taken, AUDIENCE, TAG)
    tags = {"fields": ["tags.id"], "count": 1000}
    sends(f"GET {CONTACT}/tags", lists.get_list_member_tags, AUDIENCE, STRANGER, **tags)
    sends(f"GET {OF_TAG}/members", lists.get_segment_members_list, AUDIENCE, TAG, **members)
