# /// script
# dependencies = ["facebook-business==26.0.3"]
# ///
"""Meta's own client of the Marketing API: an ad account, its audiences, and the rows that one is told."""

import hashlib

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.customaudience import CustomAudience
from facebook_business.api import FacebookAdsApi

NAME = "Detractors / 2026"
FIRST = "23850000000001"


def calls(sends):
    api = FacebookAdsApi.init(access_token="not-a-real-token", crash_log=False)
    account, audience = AdAccount("act_4711", api=api), CustomAudience(FIRST, api=api)
    sends("GET /v26.0/act_{account}", account.api_get, fields=["tos_accepted"])
    audiences = "/v26.0/act_{account}/customaudiences"
    sends(f"GET {audiences}", account.get_custom_audiences, fields=["name", "subtype"], params={"limit": 50})
    wanted = {"name": NAME, "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    sends(f"POST {audiences}", account.create_custom_audience, params={**wanted, "enable_fetch_or_create": True})
    sends("GET /v26.0/{audience}", audience.api_get, fields=["subtype", "operation_status"])
    rows = [[hashlib.sha256(f"person{n}@example.com".encode()).hexdigest()] for n in (1, 2)]
    sends("POST /v26.0/{audience}/users", audience.add_users, ["EMAIL"], rows, is_raw=True, pre_hashed=True)
    session = {"session_id": int.from_bytes(hashlib.sha256(b"project-sync-1").digest()[:7]), "batch_seq": 1}
    told = {"schema": ["EMAIL"], "is_raw": True, "data": rows[:1]}
    one = {"payload": told, "session": session | {"last_batch_flag": False}}
    sends("POST /v26.0/{audience}/usersreplace", audience.create_users_replace, params=one)
