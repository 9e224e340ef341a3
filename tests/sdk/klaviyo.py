# /// script
# dependencies = ["klaviyo-api==25.0.0"]
# ///
"""Klaviyo's own client: lists, profiles, and jobs that import them. Bodies are held to its models."""

from klaviyo_api import KlaviyoAPI
from openapi_client.models.list_create_query import ListCreateQuery
from openapi_client.models.list_members_delete_query import ListMembersDeleteQuery
from openapi_client.models.profile_import_job_create_query import ProfileImportJobCreateQuery

LIST, JOB = "L9999", "am9i-0"
JOBS = "/api/profile-bulk-import-jobs"


def calls(sends):
    client = KlaviyoAPI("not-a-real-key")
    of_lists(sends, client.Lists)
    of_profiles(sends, client.Profiles)


def of_lists(sends, lists):
    named = 'equals(name,"NPS / détracteurs (2026), all")'
    wanted = {"type": "list", "attributes": {"name": "NPS / détracteurs (2026), all"}}
    taken = [{"type": "profile", "id": each} for each in ("P00000", "P00001")]
    sends("GET /api/lists", lists.get_lists, filter=named)
    sends("GET /api/lists", lists.get_lists, page_size=1)
    sends("POST /api/lists", lists.create_list, ListCreateQuery(data=wanted))
    sends("GET /api/lists/{id}", lists.get_list, LIST)
    for page in ({}, {"page_cursor": "100"}):
        asked = {"page_size": 100, "fields_profile": ["email"], **page}
        sends("GET /api/lists/{id}/profiles", lists.get_profiles_for_list, LIST, **asked)
    body = ListMembersDeleteQuery(data=taken)
    sends("DELETE /api/lists/{id}/relationships/profiles", lists.remove_profiles_from_list, LIST, body)


def of_profiles(sends, profiles):
    which = 'any(email,["person1@example.com","person2@example.com"])'
    sends("GET /api/profiles", profiles.get_profiles, filter=which, fields_profile=["email"], page_size=100)
    both = [{"email": f"person{n}@example.com", "first_name": "Ada", "external_id": f"C-{n}"} for n in (1, 2)]
    everybody = [{"type": "profile", "attributes": each} for each in both]
    changed = {"type": "profile", "attributes": {**both[0], "properties": {"note": "changed"}}}
    emptied = {**everybody[0], "meta": {"patch_properties": {"unset": ["note"]}}}
    for people in (everybody, [changed], [emptied]):
        lists = {"lists": {"data": [{"type": "list", "id": LIST}]}}
        job = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": people}}, "relationships": lists}
        body = ProfileImportJobCreateQuery(data=job)
        sends(f"POST {JOBS}", profiles.bulk_import_profiles, body)
    sends(f"GET {JOBS}/{{id}}", profiles.get_bulk_import_profiles_job, JOB)
    sends(f"GET {JOBS}/{{id}}/import-errors", profiles.get_errors_for_bulk_import_profiles_job, JOB, page_size=100)
