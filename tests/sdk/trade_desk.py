# /// script
# dependencies = ["ttd-data==0.3.2"]
# ///
"""The Trade Desk's own SDK: two devices into a segment, and off it."""

from ttd_data import DataClient, models

DEVICES = [f"00000000-0000-4000-8000-{n:012}" for n in (1, 2)]


def calls(sends):
    client = DataClient(ttd_auth="not-a-real-token")
    for minutes in (90 * 24 * 60, 0):
        data = [models.AdvertiserData(name="NPS détracteurs / 2026", ttl_in_minutes=minutes)]
        items = [models.BaseAdvertiserDataItem(daid=each, data=data) for each in DEVICES]
        sends("POST /data/advertiser", client.advertiser.ingest_advertiser_data, advertiser_id="adv1234", items=items)
