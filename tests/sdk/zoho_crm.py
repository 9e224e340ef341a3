# /// script
# dependencies = ["zohocrmsdk8-0==7.0.0"]
# ///
"""Zoho's own SDK for the API's version 8: the sign-in, tags, queries, updates of records."""

from tempfile import TemporaryDirectory

from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import TokenStore
from zohocrmsdk.src.com.zoho.crm.api import Initializer, ParameterMap, coql, tags
from zohocrmsdk.src.com.zoho.crm.api.coql import CoqlOperations
from zohocrmsdk.src.com.zoho.crm.api.dc import USDataCenter
from zohocrmsdk.src.com.zoho.crm.api.record import BodyWrapper, GetRecordsParam, Record, RecordOperations
from zohocrmsdk.src.com.zoho.crm.api.tags import GetTagsParam

RECORDS = [55440000001001, 55440000001003]
TAG, NAME = 55440000001002, "Détracteurs [2026]"
FOLDER = TemporaryDirectory()  # for what the SDK remembers of fields
tagging = tags.TagsOperations()


class Forgetful(TokenStore):
    """Keeps no token anywhere."""

    def find_token(self, token):
        return token

    def save_token(self, token):
        token.set_id("1")

    find_token_by_id = delete_token = lambda self, _: None
    delete_tokens = get_tokens = lambda self: []


def calls(sends):
    granted = {"access_token": "not-a-real-access", "expires_in": 3600, "api_domain": "https://www.zohoapis.com"}
    sends("POST /oauth/v2/token", initialize)
    sends("GET /crm/v8/settings/tags", lambda: initialize() or tagging.get_tags(of(GetTagsParam)), told=[granted])
    of_tags(sends)
    of_records(sends)


def initialize():
    token = OAuthToken("1000.TESTS", "not-a-real-secret", refresh_token="not-a-real-refresh", find_user=False)
    Initializer.initialize(USDataCenter.PRODUCTION(), token, store=Forgetful(), resource_path=FOLDER.name)


def of(parameters):
    named = ParameterMap()
    named.add(parameters.module, "Contacts")
    return named


def filled(what, **values):
    """An object of the SDK's, filled in by its setters."""
    for name, value in values.items():
        getattr(what, f"set_{name}")(value)
    return what


def of_tags(sends):
    new = filled(tags.BodyWrapper(), tags=[filled(tags.Tag(), name=NAME)])
    sends("POST /crm/v8/settings/tags", tagging.create_tags, new, of(tags.CreateTagsParam))
    tag = filled(tags.Tag(), id=TAG, name=NAME)
    added = filled(tags.NewTagRequestWrapper(), tags=[tag], over_write=False, ids=RECORDS)
    taken = filled(tags.ExistingTagRequestWrapper(), tags=[filled(tags.ExistingTag(), id=TAG, name=NAME)], ids=RECORDS)
    path = "POST /crm/v8/{module}/actions"
    sends(f"{path}/add_tags", tagging.add_tags_to_multiple_records, "Contacts", added)
    sends(f"{path}/remove_tags", tagging.remove_tags_from_multiple_records, "Contacts", taken)


def of_records(sends):
    query = "select id, Email from Contacts where Email in ('person1@example.com', 'person2@example.com')"
    sends("POST /crm/v8/coql", CoqlOperations().get_records, filled(coql.BodyWrapper(), select_query=query))
    page = ParameterMap()
    page.add(GetRecordsParam.fields, "Email,Tag")
    page.add(GetRecordsParam.per_page, 200)
    fields = {"fields": [{"api_name": "NPS_Score", "data_type": "integer", "json_type": "integer", "id": "1"}]}
    sends("GET /crm/v8/{module}", RecordOperations("Contacts").get_records, page, told=[fields])
    rows = [Record(), Record()]
    for n, (row, record) in enumerate(zip(rows, RECORDS, strict=True), 1):
        row.set_id(record)
        row.add_key_value("NPS_Score", n)
    body = filled(BodyWrapper(), data=rows, trigger=[])
    sends("PUT /crm/v8/{module}", RecordOperations("Contacts").update_records, body)
