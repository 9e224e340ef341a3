"""The part of Iterable that connectors/iterable.py speaks to, in memory: the users and lists of one project.

It keeps what the vendor documents: failures named by identifier in an answer of success, fields that keep their types,
unknown users made by `subscribe` unless the project heeds `updateExistingUsersOnly` or `preferUserId`, users of a list
as lines of text. An opt-out that a call sends is taken, so that a connector which sends one is found out.
Not documented, and chosen here: a list's name may be taken twice, a call takes 1 to 1,000 users, and a list
that is not there, or is not static, gets a 400. `{}` for an unknown user is as the provider was seen to answer.
"""

import json
from itertools import count

import httpx

HOSTS = {"us": "api.iterable.com", "eu": "api.eu.iterable.com"}
FORGOTTEN = "forgotten@example.com"

options = ({"new": "refuse"}, {"new": "subscribed"})


class Sandbox:
    list = "Detractors"
    rate = (100, 1)

    def __init__(self):
        self.settings = {"ITERABLE_API_KEY": "not-a-real-key", "ITERABLE_REGION": "us"}
        self.elsewhere = {"ITERABLE_REGION": "eu"}
        self.options = {}  # of the sync
        self.project = "email"  # or "userId", or "hybrid"
        self.keeps_unknown = True  # fields
        self.users = {}  # identifier -> user
        self.kinds = {"firstName": str, "npsScore": int}  # field -> type
        self.lists = {77: {"name": "Detractors since May", "listType": "Standard"}}
        self.held = {77: {}}  # list -> identifiers
        self.numbers = count(1001)

    def member(self, n):
        """The n-th person. Every third is no user yet where that may be."""
        fields = {"email": f"person{n}@example.com", "firstName": "Ada"}
        if not (self.options.get("new") == "subscribed" and n % 3 == 0):
            self.user(fields["email"])
        return fields

    def unwelcome(self):
        return {"email": FORGOTTEN, "firstName": "Ada"}

    def holds(self, fields):
        user = self.users.get(fields["email"], {})
        sent = {name: value for name, value in fields.items() if name != "email"}
        return self.lists_of(fields["email"]) == [self.list] and user["dataFields"] == sent

    def consent(self, fields):
        user = self.users.get(fields["email"])
        return user and ("unsubscribed" if user["unsubscribedChannelIds"] else "subscribed")

    def opt_out(self, fields):
        self.user(fields["email"])["unsubscribedChannelIds"] = [5]

    def user(self, name):
        """A user, made where there is none; a new one has opted out of nothing."""
        return self.users.setdefault(name, {"dataFields": {}, "unsubscribedChannelIds": []})

    def lists_of(self, name):
        return [self.lists[each]["name"] for each, names in self.held.items() if name in names]

    def throttled(self, seconds):
        return told(429, "RateLimitExceeded", "The rate limit for this API key has been exceeded.")

    def __call__(self, request):
        if request.url.host != HOSTS[self.settings["ITERABLE_REGION"]]:
            return httpx.Response(404)
        if request.headers.get("api-key") != self.settings["ITERABLE_API_KEY"]:
            return told(401, "BadApiKey", "Invalid API key")
        body = json.loads(request.content) if request.content else {}
        match request.method, request.url.path:
            case "GET", "/api/lists":
                lists = [{"id": each, "createdAt": 1780000000000 + each, **said} for each, said in self.lists.items()]
                return httpx.Response(200, json={"lists": lists})
            case "POST", "/api/lists":
                return self.make(**body)
            case "GET", "/api/users/getByEmail":
                return self.find(request.url.params["email"])
            case "GET", "/api/lists/getUsers":
                return self.read(**request.url.params)
            case "POST", "/api/lists/subscribe":
                return self.change(body, self.subscribe)
            case "POST", "/api/lists/unsubscribe":
                return self.change(body, self.unsubscribe)
        return told(404, "NotFound", "No such page")

    def make(self, name):
        number = next(self.numbers)
        self.lists[number], self.held[number] = {"name": name, "listType": "Standard"}, {}
        return httpx.Response(200, json={"listId": number})

    def find(self, name):
        if "@" not in name:
            return told(400, "InvalidEmailAddressError", "Invalid email")
        return httpx.Response(200, json={"user": {"email": name, **self.users[name]}} if name in self.users else {})

    def read(self, listId, preferUserId):
        return httpx.Response(200, text="".join(f"{each}\n" for each in self.held[int(listId)]))

    def change(self, body, verb):
        """Both verbs: whoever fails is named by why, and the others are changed."""
        number, people = body.pop("listId"), body.pop("subscribers")
        if self.lists.get(number, {}).get("listType") != "Standard" or type(number) is not int:
            return told(400, "BadParams", "Invalid list")
        if not 1 <= len(people) <= 1000:
            return told(400, "BatchTooLarge", "From 1 to 1,000 users")
        failed, dropped = {}, set()
        for each in people:
            [by] = each.keys() & {"email", "userId"}
            if why := self.unfit(by, each[by]) or verb(self.held[number], by, each, dropped, body):
                failed.setdefault(f"{why}{by[0].upper()}{by[1:]}s", []).append(each[by])
        count = sum(map(len, failed.values()))
        said = {"successCount": len(people) - count, "failCount": count, "failedUpdates": failed}
        return httpx.Response(200, json={**said, "filteredOutFields": sorted(dropped)})

    def unfit(self, by, name):
        if name == FORGOTTEN:
            return "forgotten"
        return "invalid" if not name or (by == "email" and "@" not in name) else ""

    def subscribe(self, listed, by, told, dropped, asked):
        name, fields = told[by], told.get("dataFields", {})
        if name not in self.users and not self.makes(by, told, asked):
            return "notFound"
        if any(
            value is not None and type(value) is not self.kinds.get(each, type(value)) for each, value in fields.items()
        ):
            return "invalidData"
        dropped.update(each for each in fields if each not in self.kinds and not self.keeps_unknown)
        kept = {each: value for each, value in fields.items() if each not in dropped}
        self.kinds |= {
            each: type(value) for each, value in kept.items() if value is not None and each not in self.kinds
        }
        self.user(name)["dataFields"] |= kept
        for each in kept.keys() & {"unsubscribedChannelIds"}:
            self.users[name][each] = kept[each]
        listed[name] = None
        return ""

    def makes(self, by, told, asked):
        """Whether a call makes a user of someone unknown."""
        if self.project != "email":
            return not asked.get("updateExistingUsersOnly", False)
        return by == "email" or told.get("preferUserId", False)

    def unsubscribe(self, listed, by, told, dropped, asked):
        if told[by] not in self.users:
            return "notFound"
        listed.pop(told[by], None)
        if asked.get("channelUnsubscribe"):
            self.users[told[by]]["unsubscribedChannelIds"] = [1]
        return ""


def told(status, code, message):
    return httpx.Response(status, json={"code": code, "msg": message, "params": None})
