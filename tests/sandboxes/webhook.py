"""A receiver as connectors/webhook.py asks for it: one list by e-mail address, at most 1,000 members a call."""

import json

import httpx


class Sandbox:
    list = "Detractors"
    any_field = "answer"

    def __init__(self):
        self.settings = {
            "WEBHOOK_URL": "https://receiver.example.com/hook/not-a-real-token",
            "WEBHOOK_SECRET": "whsec_bm90LWEtcmVhbC1zZWNyZXQtYnV0LWxvbmc=",
        }
        self.people = {}  # address in lower case -> fields
        self.answers = {}  # webhook-id -> the body that it was answered with

    def member(self, n):
        return {"email": f"person{n}@example.com", "first_name": "Ada"}

    def unwelcome(self):
        return {"email": "nowhere", "first_name": "Ada"}

    def holds(self, fields):
        return self.people.get(fields["email"].lower()) == fields

    def listed(self):
        return set(self.people)

    def __call__(self, request):
        name, call = request.headers["webhook-id"], json.loads(request.content)
        if len(call["members"]) > 1000:
            return httpx.Response(413, text="at most 1000 members a call")
        if name not in self.answers:
            self.answers[name] = {"rejected": dict(filter(None, (self.take(call["verb"], m) for m in call["members"])))}
        return httpx.Response(200, json=self.answers[name])

    def take(self, verb, member):
        """(key, reason) where the member is rejected."""
        address = member["fields"]["email"].lower()
        if "@" not in address:
            return member["key"], "not an e-mail address"
        if verb == "remove":
            self.people.pop(address, None)
        else:
            self.people[address] = member["fields"]
        return None
