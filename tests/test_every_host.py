"""Where connectors call: the table of every host, so that nobody's data goes anywhere unseen."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args, get_origin

import httpx
import pytest

import specified
import story
from audiences import connectors
from audiences.http.wire import SIGN_IN
from test_every_connector import Clock, cases
from test_every_request import beyond

# Of each connector that ships, in the regions that its sandbox tries. An address that the account names is a sandbox's.
HOSTS = {
    "activecampaign": {"audiences-test.api-us1.com"},
    "airship": {"go.airship.eu", "go.urbanairship.com"},
    "amplitude": {"amplitude.com", "api2.amplitude.com", "analytics.eu.amplitude.com", "api.eu.amplitude.com"},
    "appcues": {"api.appcues.com", "api.eu.appcues.com"},
    "attio": {"api.attio.com"},
    "braze": {"rest.fra-01.braze.eu", "rest.iad-01.braze.com"},
    "brevo": {"api.brevo.com"},
    "clevertap": {"api.clevertap.com", "in1.api.clevertap.com"},
    "customerio": {"api-eu.customer.io", "api.customer.io", "track-eu.customer.io", "track.customer.io"},
    "dynamics365": {"acme.crm.dynamics.com", "acme.crm4.dynamics.com", "login.microsoftonline.com"},
    "google_ads": {"datamanager.googleapis.com", "oauth2.googleapis.com"},
    "google_sheets": {"oauth2.googleapis.com", "sheets.googleapis.com"},
    "hubspot": {"api.hubapi.com"},
    "intercom": {"api.eu.intercom.io", "api.intercom.io"},
    "iterable": {"api.eu.iterable.com", "api.iterable.com"},
    "klaviyo": {"a.klaviyo.com"},
    "linkedin_ads": {"api.linkedin.com", "www.linkedin.com"},
    "loops": {"app.loops.so"},
    "mailchimp": {"us19.api.mailchimp.com", "us6.api.mailchimp.com"},
    "mailerlite": {"connect.mailerlite.com"},
    "meta_ads": {"graph.facebook.com"},
    "microsoft_ads": {"campaign.api.bingads.microsoft.com", "login.microsoftonline.com"},
    "mixpanel": {"api-eu.mixpanel.com", "eu.mixpanel.com", "api.mixpanel.com", "mixpanel.com"},
    "moengage": {"api-02.moengage.com", "api-101.moengage.com"},
    "onesignal": {"api.onesignal.com"},
    "pendo": {"app.eu.pendo.io", "app.pendo.io"},
    "pinterest_ads": {"api.pinterest.com"},
    "pipedrive": {"api.pipedrive.com"},
    "posthog": {"eu.i.posthog.com", "eu.posthog.com", "us.i.posthog.com", "us.posthog.com"},
    "reddit_ads": {"ads-api.reddit.com", "www.reddit.com"},
    "resend": {"api.resend.com"},
    "rudderstack": {"acme.dataplane.rudderstack.com"},
    "salesforce": {"acme--test.sandbox.my.salesforce.com", "acme.my.salesforce.com"},
    "segment": {"api.segment.io", "events.eu1.segmentapis.com"},
    "sendgrid": {"api.sendgrid.com"},
    "snapchat_ads": {"accounts.snapchat.com", "adsapi.snapchat.com"},
    "tiktok_ads": {"business-api.tiktok.com"},
    "trade_desk": {"euw-data.adsrvr.org", "usw-data.adsrvr.org"},
    "userpilot": {"analytex-eu.userpilot.io", "analytex.userpilot.io"},
    "webhook": {"receiver.example.com"},
    "x_ads": {"ads-api.x.com"},
    "zoho_crm": {"accounts.zoho.com", "accounts.zoho.eu", "www.zohoapis.com", "www.zohoapis.eu"},
}

SHIPPED = connectors.shipped("connectors")
CASES = [case.values[0] for case in cases("__call__") if case.values[0][0].parent == SHIPPED]
REGIONAL = [case for case in CASES if hasattr(case[1].Sandbox(), "elsewhere")]

each_region = pytest.mark.parametrize("case", REGIONAL, ids=lambda case: "-".join([case[0].stem, *case[2].values()]))


def told(case, folder, elsewhere=False):
    """The requests of a story that a connector is told, in its sandbox's region or in the other one; and the story."""
    path, module, options = case
    sandbox, clock, asked = story.sandbox_with(module, options), Clock(), []
    sandbox.settings |= sandbox.elsewhere if elsewhere else {}
    line = httpx.MockTransport(lambda request: asked.append(request) or sandbox(request))
    ways = {"transport": line, "sleep": clock.sleep, "clock": clock}
    made = story.Story(story.remote(path, options, sandbox, story.account(sandbox, folder), **ways), sandbox)
    made.short()
    made.tell("upsert", a=sandbox.member(1))
    made.optional()
    return asked, made


@cache
def hosts(name):
    """Every host that a connector speaks to, in all of its ways and regions."""
    found = set()
    for case in [case for case in CASES if case[0].stem == name]:
        for elsewhere in {False, case in REGIONAL}:
            with TemporaryDirectory() as folder:
                found |= {request.url.host for request in told(case, Path(folder), elsewhere)[0]}
    return found


@pytest.mark.parametrize("name", sorted({*HOSTS, *(case[0].stem for case in CASES)}))
def test_every_host_is_in_the_table(name):
    """
    A connector speaks to the hosts that the table has for it, to all of them and to no other.
    """
    assert HOSTS.get(name) == hosts(name), f"write into HOSTS what {name} speaks to, if it is right that it does"


def addresses(asked):
    """The hosts of these requests, sign-ins left out: there may be one place for all regions to sign in."""
    return {request.url.host for request in asked if SIGN_IN not in request.extensions}


@each_region
def test_another_region_is_spoken_to_as_the_first(case, tmp_path):
    """
    The same story is told there: other hosts, and in the end the same people; as the vendor's specification has it.
    """
    home, _ = told(case, tmp_path)
    there, made = told(case, tmp_path, elsewhere=True)

    assert [each.method for each in there] == [each.method for each in home]
    assert addresses(there).isdisjoint(addresses(home))
    assert made.sandbox.holds(made.sandbox.member(1))


@each_region
def test_another_region_is_one_of_the_specification(case, tmp_path):
    """
    Where the vendor publishes its addresses, the other region's are among them.
    """
    if case[0].stem in specified.NAMED:
        specification = specified.of(case[0].stem)

        found = [each for each in told(case, tmp_path, True)[0] if not beyond(case[0].stem, each)]

        assert found
        assert not [fault for each in found for fault in specification.faults(each)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join([case[0].stem, *case[2].values()]))
def test_a_choice_of_regions_is_tried(case):
    """
    Where the account chooses from a few, as regions are, the sandbox names another one.
    """
    path, module, _ = case
    kinds = connectors.find(path.stem, [path.parent]).Settings.model_fields
    choices = [
        name
        for name, field in kinds.items()
        if Literal in map(get_origin, [field.annotation, *get_args(field.annotation)])
    ]

    how = f"write elsewhere = {{…}} in tests/sandboxes/{path.name}: settings of another region than its own"
    assert not hasattr(module, "elsewhere"), "elsewhere belongs into the Sandbox, as `settings` does"
    assert not choices or f"{path.stem}_{choices[0]}".upper() in getattr(module.Sandbox(), "elsewhere", {}), how
