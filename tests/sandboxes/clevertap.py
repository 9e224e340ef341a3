"""The part of CleverTap that connectors/clevertap.py speaks to, in memory: the profiles of one project.

It keeps what is known: up to 1,000 records a call, unknown identities made profiles, an answer of success that is
partial or says it failed and echoes what was not processed, keys of 120 bytes and values of 512. A profile with an
address is written to until its user opts out.
Chosen here: the number and words of an error, and that an identity which begins with a blank is one.
"""

import json

import httpx

HOSTS = {"eu1": "api.clevertap.com", "in1": "in1.api.clevertap.com"}


class Sandbox:
    list = "Détractors / 2026"
    at_once = 15

    def __init__(self):
        self.settings = {
            "CLEVERTAP_ACCOUNT_ID": "TEST-ACC-1",
            "CLEVERTAP_PASSCODE": "not-a-real-passcode",
            "CLEVERTAP_REGION": "eu1",
        }
        self.elsewhere = {"CLEVERTAP_REGION": "in1"}
        self.profiles = {}  # identity -> properties

    def member(self, n):
        """The n-th person. Every third has a profile, and an address."""
        fields = {"identity": f"user/{n}", "Name": "Ada", "NPS score": 7}
        if n % 3 == 1:
            self.profiles.setdefault(fields["identity"], {"Email": f"person{n}@example.com", "MSG-email": True})
        return fields

    def unwelcome(self):
        return {"identity": " blank", "Name": "Ada", "NPS score": 7}

    def holds(self, fields):
        profile = self.profiles.get(fields["identity"], {})
        sent = {name: value for name, value in fields.items() if name != "identity"}
        return fields["identity"] in self.listed() and {name: profile.get(name) for name in sent} == sent

    def listed(self):
        return [user for user, profile in self.profiles.items() if profile.get("in_detractors_2026") is True]

    def consent(self, fields):
        profile = self.profiles.get(fields["identity"])
        if profile is None or "Email" not in profile:
            return None if profile is None else "nowhere to write to"
        return "subscribed" if profile.get("MSG-email", True) else "unsubscribed"

    def opt_out(self, fields):
        self.profiles.setdefault(fields["identity"], {}).update({"Email": "x@example.com", "MSG-email": False})

    def throttled(self, seconds):
        return httpx.Response(429, json={"status": "fail", "error": "Too many concurrent requests", "code": 429})

    def __call__(self, request):
        if (request.method, request.url.path) != ("POST", "/1/upload"):
            return httpx.Response(404)
        signed = [request.headers.get(f"x-clevertap-{name}") for name in ("account-id", "passcode")]
        if request.url.host != HOSTS[self.settings["CLEVERTAP_REGION"]] or signed != [
            "TEST-ACC-1",
            "not-a-real-passcode",
        ]:
            return httpx.Response(
                401, json={"status": "fail", "error": "Account Id and passcode do not match", "code": 1}
            )
        records = json.loads(request.content)["d"]
        if not 1 <= len(records) <= 1000:
            return httpx.Response(400, json={"status": "fail", "error": "1 to 1,000 records", "code": 509})
        failed = [n for n, each in enumerate(records) if not self.fits(**each)]
        for n, each in enumerate(records):
            if n not in failed:
                self.profiles.setdefault(each["identity"], {}).update(each["profileData"])
        words = "Profile identity is not valid. Skipped record number : "
        left = [{"status": "fail", "code": 514, "error": f"{words}{n + 1}", "record": records[n]} for n in failed]
        status = "partial" if 0 < len(failed) < len(records) else "fail" if failed else "success"
        return httpx.Response(
            200, json={"status": status, "processed": len(records) - len(failed), "unprocessed": left}
        )

    def fits(self, identity, type, profileData):
        kept = all(
            len(name.encode()) <= 120 and isinstance(value, str | int | float) and len(str(value).encode()) <= 512
            for name, value in profileData.items()
        )
        return identity == identity.strip() and type == "profile" and profileData and kept
