# /// script
# dependencies = ["mailerlite==0.2.0"]
# ///
"""MailerLite's own SDK: groups, fields, subscribers; and batches, which it sends as they are given."""

from mailerlite import Client

GROUP = "8"


def calls(sends):
    client = Client({"api_key": "not-a-real-token"})
    named = {"filter": {"name": "NPS detractors"}, "limit": 100, "page": 1}
    sends("GET /api/groups", client.groups.list, **named)
    sends("POST /api/groups", client.groups.create, "NPS detractors")
    sends("GET /api/fields", client.fields.list, limit=100, page=1)
    sends("GET /api/groups/{id}/subscribers", client.groups.get_group_subscribers, int(GROUP), limit=1)
    active = {"filter": {"status": "active"}, "limit": 1000}
    sends("GET /api/groups/{id}/subscribers", client.groups.get_group_subscribers, int(GROUP), **active)
    new = {"fields": {"name": "Ada"}, "groups": [GROUP], "status": "active"}
    sends("POST /api/subscribers", client.subscribers.create, "person3@example.com", **new)
    looks = [{"method": "GET", "path": f"api/subscribers/person{n}@example.com"} for n in (1, 2)]
    writes = [{"method": "PUT", "path": f"api/subscribers/{n}", "body": {"fields": {"name": "Ada"}}} for n in (7, 9)]
    adds = [{"method": "POST", "path": f"api/subscribers/{n}/groups/{GROUP}"} for n in (7, 9)]
    takes = [{"method": "DELETE", "path": f"api/subscribers/{n}/groups/{GROUP}"} for n in (7, 9)]
    for batch in (looks, writes, adds, takes):
        sends("POST /api/batch", client.batches.request, batch)
