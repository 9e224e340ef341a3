# /// script
# dependencies = ["google-api-python-client==2.202.0"]
# ///
"""Google's own client, of its own description of the Data Manager API: user lists, uploads, and what became of one. It
names paths and parameters; bodies are sent as they are given.
"""

from hashlib import sha256

from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build

ACCOUNTS = {"operatingAccount": "1234567890", "loginAccount": "9876543210"}
PARENT = "accountTypes/GOOGLE_ADS/accounts/1234567890"
NAME = "NPS / détracteurs (2026), all"
PEOPLE = ["person1@example.com", "person2@example.com"]


def calls(sends):
    granted = Credentials("not-a-real-access")
    client = build("datamanager", "v1", credentials=granted, static_discovery=True)
    of_lists(sends, client.accountTypes().accounts().userLists())
    agreed = {
        "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"},
        "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"},
    }
    members = client.audienceMembers()
    sends("POST /v1/audienceMembers:ingest", members.ingest(body=upload() | agreed).execute)
    sends("POST /v1/audienceMembers:remove", members.remove(body=upload()).execute)
    before = {"destinations": upload()["destinations"], "removeAsOfTime": "2025-12-31T23:55:00Z"}
    sends("POST /v1/audienceMembers:removeAll", members.removeAll(body=before).execute)
    sends("GET /v1/requestStatus:retrieve", client.requestStatus().retrieve(requestId="r-0").execute)


def of_lists(sends, lists):
    path = "/v1/accountTypes/{accountType}/accounts/{account}/userLists"
    takes = {"uploadKeyTypes": ["CONTACT_ID"], "contactIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"}}
    wanted = {"displayName": NAME, "membershipDuration": "46656000s", "ingestedUserListInfo": takes}
    for asked in ({"pageSize": 1}, {"pageSize": 1000, "filter": f'display_name = "{NAME}"'}):
        sends(f"GET {path}", by_manager(lists.list(parent=PARENT, **asked)).execute)
    sends(f"POST {path}", by_manager(lists.create(parent=PARENT, body=wanted)).execute)
    sends(f"GET {path}/{{userList}}", by_manager(lists.get(name=f"{PARENT}/userLists/7000000")).execute)


def by_manager(call):
    """As a user of the manager's account; the client leaves this header to whoever calls."""
    call.headers["login-account"] = "accountTypes/GOOGLE_ADS/accounts/9876543210"
    return call


def upload():
    accounts = {name: {"accountType": "GOOGLE_ADS", "accountId": number} for name, number in ACCOUNTS.items()}
    hashes = sorted(sha256(address.encode()).hexdigest() for address in PEOPLE)
    people = [{"userData": {"userIdentifiers": [{"emailAddress": each}]}} for each in hashes]
    destinations = [{**accounts, "productDestinationId": "7000000"}]
    return {"destinations": destinations, "audienceMembers": people, "encoding": "HEX"}
