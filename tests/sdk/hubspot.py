# /// script
# dependencies = ["hubspot-api-client==12.0.0"]
# ///
"""HubSpot's own client: contacts and companies in batches, lists and who is on them."""

from hubspot import HubSpot
from hubspot.crm import companies, contacts
from hubspot.crm.lists import ListCreateRequest

LIST = "NPS / détracteurs [2026]"
PEOPLE, FIRMS = "/crm/v3/objects/contacts/batch", "/crm/v3/objects/companies/batch"


def calls(sends):
    crm = HubSpot(access_token="not-a-real-token").crm
    sends("GET /crm/v3/lists/folders", crm.lists.folders_api.get_all)
    of_lists(sends, crm.lists.lists_api, crm.lists.memberships_api)
    by_address(sends, crm.contacts.batch_api)
    for path, module, by in ((PEOPLE, contacts, "customer_no"), (FIRMS, companies, "account_no")):
        by_property(sends, path, module, getattr(crm, path.split("/")[4]).batch_api, by)


def of_lists(sends, lists, memberships):
    named = "/crm/v3/lists/object-type-id/{objectTypeId}/name/{listName}"
    wanted = ListCreateRequest(name=LIST, object_type_id="0-1", processing_type="MANUAL")
    sends(f"GET {named}", lists.get_by_name, LIST, "0-1")
    sends("POST /crm/v3/lists", lists.create, wanted)
    sends("GET /crm/v3/lists/{listId}", lists.get_by_id, "1")
    sends("GET /crm/v3/lists/{listId}/memberships", memberships.get_page, "1", limit=250)
    sends("PUT /crm/v3/lists/{listId}/memberships/add", memberships.add, "1", ["1000", "1007"])
    sends("PUT /crm/v3/lists/{listId}/memberships/remove", memberships.remove, "1", ["1000", "1007"])


def by_address(sends, people):
    new = [
        contacts.SimplePublicObjectBatchInputForCreate(
            associations=[],
            properties={"email": f"person{n}@example.com", "firstname": "Ada", "nps_score": f"{n}"},
            object_write_trace_id=f"audiences-{n - 1}",
        )
        for n in (1, 2)
    ]
    known = contacts.SimplePublicObjectBatchInput(
        id="1000", properties={"firstname": "changed", "nps_score": "1"}, object_write_trace_id="audiences-0"
    )
    read = contacts.BatchReadInputSimplePublicObjectId(
        inputs=[contacts.SimplePublicObjectId(id=f"person{n}@example.com") for n in (1, 2)],
        properties=["email", "hs_additional_emails"],
        properties_with_history=[],
        id_property="email",
    )
    sends(f"POST {PEOPLE}/read", people.read, read)
    sends(f"POST {PEOPLE}/create", people.create, contacts.BatchInputSimplePublicObjectBatchInputForCreate(new))
    sends(f"POST {PEOPLE}/update", people.update, contacts.BatchInputSimplePublicObjectBatchInput([known]))


def by_property(sends, path, module, batch, by):
    initial, named = by[0].upper(), {"customer_no": "firstname", "account_no": "name"}[by]
    inputs = [
        module.SimplePublicObjectBatchInputUpsert(
            id=f"{initial}-{n}",
            id_property=by,
            properties={"email": f"person{n}@example.com", by: f"{initial}-{n}", named: "Ada", "nps_score": f"{n}"},
            object_write_trace_id=f"audiences-{n - 1}",
        )
        for n in (1, 2)
    ]
    read = module.BatchReadInputSimplePublicObjectId(
        inputs=[module.SimplePublicObjectId(id=f"{initial}-{n}") for n in (1, 2)],
        properties=[by],
        properties_with_history=[],
        id_property=by,
    )
    sends(f"POST {path}/upsert", batch.upsert, module.BatchInputSimplePublicObjectBatchInputUpsert(inputs))
    sends(f"POST {path}/read", batch.read, read)
