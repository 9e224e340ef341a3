# /// script
# dependencies = ["urbanairship==7.4.1"]
# ///
"""Airship's own library: named users, their tags and attributes."""

from urbanairship import Attribute, BasicAuthClient, ModifyAttributes, NamedUser, NamedUserList, NamedUserTags

GROUP, TAG = "audiences", "Détractors / 2026"


def calls(sends):
    client = BasicAuthClient("app-key-of-the-tests-1", "not-a-real-secret-1234")
    sends("GET /api/named_users/", NamedUser(client, "audiences-check").lookup)
    sends("GET /api/named_users/", next, NamedUserList(client))
    first_name = Attribute(action="set", key="first_name", value="Ada")
    described = ModifyAttributes(client, [first_name], named_user="user/1")
    sends("POST /api/channels/attributes/", described.send)
    for verb in ("add", "remove"):
        tags = NamedUserTags(client)
        tags.set_audience(["user/1", "user/2"])
        getattr(tags, verb)(GROUP, [TAG])
        sends("POST /api/named_users/tags/", tags.send)
