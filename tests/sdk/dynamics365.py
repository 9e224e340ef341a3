# /// script
# dependencies = ["powerplatform-dataverse-client==1.1.0"]
# ///
"""Microsoft's own client for Dataverse: rows of tables. It knows no marketing lists' actions."""

from azure.core.credentials import AccessToken, TokenCredential
from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse.client import DataverseClient

API = "/api/data/v9.2"
NIL = "00000000-0000-0000-0000-00000000000"
LIST = "d1bc828b-a575-5b90-8de7-fd094930edfc"
TENANT = "https://login.microsoftonline.com/acme.example.com"


class Granted(TokenCredential):
    def get_token(self, *_, **__):
        return AccessToken("not-a-real-access", 2**40)


def calls(sends):
    records = DataverseClient("https://acme.crm4.dynamics.com", Granted()).records
    of_lists(sends, records)
    for table, by, own, ids in (
        ("contact", "emailaddress1", "firstname", ("person1@example.com", "person2@example.com")),
        ("account", "new_no", "name", ("A-1", "A-2")),
    ):
        which, told = " or ".join(f"{by} eq '{each}'" for each in ids), [known(table)]
        sends(f"GET {API}/{table}s", records.list, table, told=told, select=[f"{table}id", by], filter=which)
        changed = {own: "Ada", "new_nps": 1}
        sends(f"PATCH {API}/{table}s({{id}})", records.update, table, f"{NIL}1", changed, told=[{"value": []}])
    signs_in(sends)


def known(table):
    """What the client asks first of a table."""
    return {"value": [{"LogicalName": table, "EntitySetName": f"{table}s", "PrimaryIdAttribute": f"{table}id"}]}


def of_lists(sends, records):
    named = "listname eq 'NPS d''été: détracteurs 2026'"
    sends(f"GET {API}/lists", records.list, "list", told=[known("list")], select=["listid", "listname"], filter=named)
    shown = ["listname", "type", "createdfromcode", "lockstatus"]
    sends(f"GET {API}/lists({{id}})", records.retrieve, "list", LIST, select=shown)
    on = f"_listid_value eq {LIST} and (_entityid_value eq {NIL}1 or _entityid_value eq {NIL}3)"
    of, told = ["listmemberid", "_entityid_value"], [known("listmember")]
    sends(f"GET {API}/listmembers", records.list, "listmember", told=told, select=of, filter=on)
    sends(f"DELETE {API}/listmembers({{id}})", records.delete, "listmember", f"{NIL}4")


def signs_in(sends):
    """By the library that Microsoft's client is given its sign-in by."""
    named = ("acme.example.com", "application-id", "not-a-real-secret")
    account = ClientSecretCredential(*named, disable_instance_discovery=True)
    found = {f"{each}_endpoint": f"{TENANT}/oauth2/v2.0/{each}" for each in ("authorization", "token")}
    told = [{**found, "issuer": f"{TENANT}/v2.0"}]
    sends("POST /{tenant}/oauth2/v2.0/token", account.get_token, "https://acme.crm4.dynamics.com/.default", told=told)
