# /// script
# dependencies = ["mixpanel==5.4.1"]
# ///
"""Mixpanel's own library: changes of profiles, several a call."""

import mixpanel

LIST = "NPS détracteurs [2026]"
NOW = {"$time": 1795336130}


def calls(sends):
    people = [{"$email": f"person{n}@example.com", "$first_name": "Ada"} for n in (1, 2)]
    listed = [{**each, "in_nps_detracteurs_2026": True} for each in people]
    sends("POST /engage", both, "people_set", people)
    sends("POST /engage", both, "people_set", listed)
    sends("POST /engage", both, "people_union", [{"audiences": [LIST]}] * 2)
    sends("POST /engage", both, "people_remove", [{"audiences": LIST}] * 2)
    sends("POST /engage", both, "people_unset", [["in_nps_detracteurs_2026"]] * 2)


def both(change, values):
    """One change of two people, in one call."""
    consumer = mixpanel.BufferedConsumer(api_host="api-eu.mixpanel.com")
    library = mixpanel.Mixpanel("not-a-real-token", consumer)
    for n, value in enumerate(values, 1):
        getattr(library, change)(f"user-{n}", value, meta=NOW)
    consumer.flush()
