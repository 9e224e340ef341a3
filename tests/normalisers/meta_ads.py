# /// script
# dependencies = ["facebook-business==26.0.3"]
# ///
"""Meta's own client of the Marketing API: the first 16 of 64 digits of the hash that it makes of a value."""

from facebook_business.adobjects.customaudience import CustomAudience

KEYS = {
    "EMAIL_META": "EMAIL",
    "PHONE_DIGITS": "PHONE",
    "NAME_META": "FN",
    "CITY": "CT",
    "STATE": "ST",
    "POSTCODE_META": "ZIP",
    "COUNTRY_META": "COUNTRY",
    "BIRTH_YEAR": "DOBY",
    "BIRTH_MONTH": "DOBM",
    "BIRTH_DAY": "DOBD",
    "GENDER": "GEN",
}


def hashed(key, value):
    return CustomAudience.format_params([key], [[value]], is_raw=True)["payload"]["data"][0][0][:16]


WRITES = {rule: lambda value, key=key: hashed(key, value) for rule, key in KEYS.items()}
