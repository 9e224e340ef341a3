# /// script
# dependencies = ["linkedin-api-client==0.3.0"]
# ///
"""LinkedIn's own client: sign-in, and resources by Rest.li's methods. It makes headers, queries and lists of entities;
what an entity holds is sent as it is given.
"""

from hashlib import sha256

from linkedin_api.clients.auth.client import AuthClient
from linkedin_api.clients.restli.client import RestliClient

ACCOUNT = "urn:li:sponsoredAccount:507000"
SIGNED = {"access_token": "not-a-real-access", "version_string": "202608"}
NAME = "NPS / détracteurs (2026), all"
PEOPLE = ["person1@example.com", "person2@example.com"]


def calls(sends):
    login = AuthClient("app-1", "not-a-real-secret")
    sends("POST /oauth/v2/accessToken", login.exchange_refresh_token_for_access_token, "not-a-real-refresh")
    client = RestliClient()
    of_segments(sends, client)
    hashes = [sha256(address.encode()).hexdigest() for address in PEOPLE]
    people = [{"userIds": [{"idType": "SHA256_EMAIL", "idValue": each}]} for each in hashes]
    companies = [{"companyWebsiteDomain": f"company{n}.example.com"} for n in (1, 2)]
    for edge, entries in (("users", people), ("companies", companies)):
        path = f"/dmpSegments/{{id}}/{edge}"
        for action in ("ADD", "REMOVE"):
            told = [{"action": action, **each} for each in entries]
            whose = {"resource_path": path, "path_keys": {"id": "10800"}}
            sends(f"POST /rest{path}", client.batch_create, **whose, entities=told, **SIGNED)


def of_segments(sends, client):
    path = "/dmpSegments"
    whose = {"account": ACCOUNT, "sourcePlatform": "ACME_DATA"}
    for asked in ({"account": ACCOUNT, "count": 1}, {**whose, "count": 100, "start": 0}):
        sends(
            f"GET /rest{path}", client.finder, resource_path=path, finder_name="account", query_params=asked, **SIGNED
        )
    for kind in ("USER", "COMPANY"):
        wanted = {**whose, "accessPolicy": "PRIVATE", "type": kind, "destinations": [{"destination": "LINKEDIN"}]}
        sends(f"POST /rest{path}", client.create, resource_path=path, entity={"name": NAME, **wanted}, **SIGNED)
