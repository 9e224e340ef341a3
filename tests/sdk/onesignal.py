# /// script
# dependencies = ["onesignal-python-api==5.18.0"]
# ///
"""OneSignal's own client: segments, and the tags of users."""

from onesignal import ApiClient, Configuration
from onesignal.api.default_api import DefaultApi
from onesignal.models import Filter, PropertiesObject, Segment, UpdateUserRequest

APP, MARK = "app-1", "in_detractors_2026"
FIELDS = {"first_name": "Ada", "score": "7"}
SEGMENTS, USER = "/apps/{app_id}/segments", "/apps/{app_id}/users/by/{alias_label}/{alias_id}"


def calls(sends):
    api = DefaultApi(ApiClient(Configuration(rest_api_key="not-a-real-key")))
    tagged = {"field": "tag", "key": MARK, "relation": "=", "value": "true"}
    sends(f"GET {SEGMENTS}", api.get_segments, APP, offset=0, limit=300)
    sends(f"GET {SEGMENTS}", api.get_segments, APP, limit=1)
    new = Segment(name="Détractors / 2026", filters=[Filter(**tagged)], _check_type=False)
    sends(f"POST {SEGMENTS}", api.create_segment, APP, segment=new)
    sends(f"GET {SEGMENTS}/{{segment_id}}", api.get_segment, APP, "seg-1", include_segment_detail=True)
    for tags in ({**FIELDS, MARK: "true"}, {MARK: ""}):
        change = UpdateUserRequest(properties=PropertiesObject(tags=tags))
        sends(f"PATCH {USER}", api.update_user, APP, "external_id", "user/1", change)
