# /// script
# dependencies = ["google-ads-datamanager-util==0.4.0"]
# ///
"""Google's own formatter of user data for the Data Manager API."""

from google.ads.datamanager_util import Formatter

ours = Formatter()
WRITES = {
    "GMAIL_EMAIL": ours.format_email_address,
    "PHONE_PLUS": ours.format_phone_number,
    "NAME_GOOGLE": ours.format_given_name,
    "POSTCODE_GOOGLE": ours.format_postal_code,
    "COUNTRY_GOOGLE": ours.format_region_code,
}
