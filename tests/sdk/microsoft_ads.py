# /// script
# dependencies = ["msads==13.0.30.1"]
# ///
"""Microsoft's own client: sign-in, customer lists, and who is on them. Bodies are held to its models."""

from hashlib import sha256

from bingads.authorization import OAuthWebAuthCodeGrant
from openapi_client import ApiClient, Configuration
from openapi_client.api import CampaignManagementServiceApi
from openapi_client.models.campaign.add_audiences_request import AddAudiencesRequest
from openapi_client.models.campaign.apply_customer_list_user_data_request import ApplyCustomerListUserDataRequest
from openapi_client.models.campaign.audience_type import AudienceType
from openapi_client.models.campaign.customer_list import CustomerList
from openapi_client.models.campaign.customer_list_user_data import CustomerListUserData
from openapi_client.models.campaign.entity_scope import EntityScope
from openapi_client.models.campaign.get_audiences_by_ids_request import GetAudiencesByIdsRequest

PATH = "/CampaignManagement/v13"
KEYS = {
    "Authorization": "Bearer not-a-real-access",
    "DeveloperToken": "not-a-real-developer",
    "CustomerId": "4500600",
    "CustomerAccountId": "1200300",
}
NAME = "NPS / détracteurs (2026), all"
PEOPLE = ["person1@example.com", "person2@example.com"]


def calls(sends):
    login = OAuthWebAuthCodeGrant("app-1", "not-a-real-secret", None)
    sends("POST /common/oauth2/v2.0/token", login.request_oauth_tokens_by_refresh_token, "not-a-real-refresh")
    configuration = Configuration(host="https://campaign.api.bingads.microsoft.com", api_key=KEYS)
    client = CampaignManagementServiceApi(ApiClient(configuration))
    for ids in ({}, {"AudienceIds": ["800000000"]}):
        asked = GetAudiencesByIdsRequest(Type=AudienceType.CUSTOMERLIST, **ids)
        sends(f"POST {PATH}/Audiences/QueryByIds", client.get_audiences_by_ids, asked)
    scope = {"Scope": EntityScope.ACCOUNT, "ParentId": "1200300"}
    wanted = CustomerList(Type=AudienceType.CUSTOMERLIST, Name=NAME, MembershipDuration=390, **scope)
    sends(f"POST {PATH}/Audiences", client.add_audiences, AddAudiencesRequest(Audiences=[wanted]))
    items = [sha256(address.encode()).hexdigest() for address in PEOPLE]
    for action in ("Add", "Remove"):
        for accepts in ({}, {"AcceptCustomerMatchTerm": True}):
            whose = {"AudienceId": "800000000", "ActionType": action, "CustomerListItemSubType": "Email"}
            told = CustomerListUserData(**whose, CustomerListItems=items, **accepts)
            body = ApplyCustomerListUserDataRequest(CustomerListUserData=told)
            sends(f"POST {PATH}/CustomerListUserData/Apply", client.apply_customer_list_user_data, body)
