"""One batch to one connector: every row gets its verdict, and one bad member spoils only itself."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import httpx
import orjson
import pytest
from pydantic import SecretStr

from audiences import BatchRefused, Connector, Limits, Member, Receipt, connectors, http, ranges
from audiences.batch import Batch, Verdict
from audiences.errors import CredentialsRefused, Deferred, DeliveryError, LeaseLost, Unanswered
from audiences.member import Written
from audiences.send import send
from world import SECRET

Webhook = connectors.find("webhook", [connectors.shipped("connectors")])


def batch(size, again=False, verb="upsert", **odd):
    """Members 0 to size - 1; `odd` gives one of them another value: m3=float("nan")."""
    members = [Member(f"k{n}", {"email": f"p{n}@x", "nps": odd.get(f"m{n}", 1)}, n) for n in range(size)]
    return Batch(verb, again, "L", members, frozenset(member.fields["email"] for member in members))


class Far:
    """The far end of `webhook`: `answer` is asked with the keys of each call and their fields."""

    def __init__(self, answer):
        self.answer, self.calls, self.bodies = answer, [], []

    def __call__(self, request):
        members = {member["key"]: member["fields"] for member in json.loads(request.content)["members"]}
        self.calls.append(list(members))
        self.bodies.append(request.content)
        answer = self.answer(members)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(answer)


def sent(batch, answer, lease=lambda seconds: None):
    """What became of a batch that `webhook` sends to a far end which answers so."""
    far = Far(answer)
    settings = Webhook.Settings.model_construct(url=SecretStr("http://127.0.0.1:9/in"), secret=SecretStr(SECRET))
    transport = httpx.MockTransport(far)
    with http.client({}, Webhook.limits, lease=lease, transport=transport, sleep=lambda seconds: None) as client:
        return send(Webhook(settings, Webhook.Options(), client, ("email", "nps"), "o-1"), batch), far


def kept(sent):
    """verdict -> the places it names."""
    return {
        verdict: [place for lo, hi in found for place in range(lo, hi + 1)] for verdict, found in sent.found.items()
    }


def refusing(*keys):
    """A far end that refuses every batch with one of these in it."""
    return lambda members: httpx.Response(400, text="bad member") if members.keys() & set(keys) else 200


def as_written(made):
    """The same batch with its members as an engine writes them."""
    told = orjson.dumps([{"key": member.key, "fields": member.fields} for member in made.members]).decode()[1:-1]
    return replace(made, members=Written(told, [member.seq for member in made.members]))


ANSWERS = {
    "all": lambda members: 200,
    "one rejected by name": lambda members: httpx.Response(200, json={"rejected": {"k3": "p3@x is gone"}}),
    "one refused": refusing("k17"),
    "two refused": refusing("k0", "k63"),
    "none taken": lambda members: 400,
    "no answer": lambda members: 503,
    "no key": lambda members: 401,
    "garbage": lambda members: httpx.Response(200, json={"rejected": ["k1"]}),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_what_the_engine_wrote_is_settled_as_what_python_made(answer):
    """
    The same calls with the same bodies, and the same verdicts, reasons and errors, whoever made the JSON.
    """
    (made, far), (told, beyond) = sent(batch(64), answer), sent(as_written(batch(64)), answer)

    assert (kept(told), told.reasons, told.calls, str(told.error)) == (
        kept(made),
        made.reasons,
        made.calls,
        str(made.error),
    )
    assert beyond.calls == far.calls
    assert beyond.bodies == far.bodies


def test_nobody_looks_at_a_member_whom_all_is_well_with():
    """
    What the engine wrote goes out as it is, and neither members nor keys are made of it.
    """
    made = as_written(batch(64))
    sent(made, ANSWERS["all"])

    assert "members" not in vars(made.members)
    assert vars(made.members.keys).keys() == {"json", "number"}


@pytest.mark.parametrize("culprit", [0, 1, 499, 500, 731, 999])
def test_one_poison_in_a_thousand(culprit):
    """
    Of a thousand members one is refused and 999 are accepted, in at most 2·⌈log2 1000⌉ further calls.
    """
    found, far = sent(batch(1000), refusing(f"k{culprit}"))

    assert kept(found) == {
        Verdict.OK: [n for n in range(1000) if n != culprit],
        Verdict.REFUSED: [culprit],
    }
    assert found.reasons == {f"k{culprit}": "bad member"}
    assert found.error is None
    assert len(far.calls) == found.calls <= 1 + 2 * math.ceil(math.log2(1000))


@pytest.mark.parametrize("size", [10, 11, 64, 1000])
def test_a_batch_that_is_refused_to_the_last_is_a_fault_of_set_up(size):
    """
    Where nobody is accepted in 2·⌈log2⌉ calls, the sync stops, nobody is marked refused, and the error has the words.
    """
    found, far = sent(batch(size), lambda members: httpx.Response(400, text="unknown field nps"))

    assert kept(found) == {Verdict.NO: list(range(size))}
    assert (found.reasons, type(found.error)) == ({}, DeliveryError)
    assert "unknown field nps" in found.error.what
    assert len(far.calls) <= 2 * math.ceil(math.log2(size))


def test_a_batch_whose_every_member_is_rejected_by_name():
    """
    Where the far end takes the call and says of each of them why not, it has judged members, not the set-up: each is
    refused with its reason, and the sync goes on. Twelve strangers to a list that takes no strangers are no fault.
    """
    everyone = {f"k{n}": "no consent" for n in range(12)}
    found, far = sent(batch(12), lambda members: httpx.Response(200, json={"rejected": everyone}))

    assert kept(found) == {Verdict.REFUSED: list(range(12))}
    assert (found.reasons, found.error, len(far.calls)) == (everyone, None, 1)


@pytest.mark.parametrize(("size", "again"), [(9, False), (40, True)])
def test_few_members_or_those_refused_before_may_all_be_refused(size, again):
    """
    Fewer than 10, and members refused before, are refused each, and the sync goes on.
    """
    found, _ = sent(batch(size, again), refusing(*(f"k{n}" for n in range(size))))

    assert kept(found) == {Verdict.REFUSED: list(range(size))}
    assert len(found.reasons) == size
    assert found.error is None


def test_some_are_rejected_by_name():
    """
    Who is named in the answer is refused with the reason, people masked; the others are accepted.
    """
    answer = httpx.Response(200, json={"rejected": {"k1": "p1@x bounced", "k2": None}})
    found, _ = sent(batch(12), lambda members: answer)

    assert kept(found)[Verdict.REFUSED] == [1, 2]
    assert len(kept(found)[Verdict.OK]) == 10
    assert found.reasons == {"k1": "… bounced", "k2": "no reason given"}


def test_a_value_that_cannot_travel_spoils_only_its_member():
    """
    NaN is refused before anything is sent; the field is named and the value is not.
    """
    found, far = sent(batch(3, m1=float("nan")), lambda members: 200)

    assert kept(found) == {Verdict.OK: [0, 2], Verdict.REFUSED: [1]}
    assert found.reasons == {"k1": "nps holds NaN or infinity, which JSON does not carry"}
    assert far.calls == [["k0", "k2"]]


def test_a_batch_of_which_nothing_can_travel_makes_no_call():
    """
    Where every member has such a value, each is refused, and no empty call is made.
    """
    found, far = sent(batch(12, **{f"m{n}": float("inf") for n in range(12)}), lambda members: 200)

    assert kept(found) == {Verdict.REFUSED: list(range(12))}
    assert (far.calls, found.error) == ([], None)


def unsure_first(then):
    """A far end whose first answer is lost, and the later ones are `then`'s."""
    lost = iter([httpx.ReadTimeout("gone")])

    def answer(members):
        for error in lost:
            raise error
        return then(members)

    return answer


def test_accepted_after_an_attempt_without_an_answer():
    """
    An acknowledgement settles what an earlier attempt left open.
    """
    found, far = sent(batch(4), unsure_first(lambda members: 200))

    assert kept(found) == {Verdict.OK: [0, 1, 2, 3]}
    assert len(far.calls) == 2


def test_refused_after_an_attempt_without_an_answer():
    """
    A refusal after a lost answer is a doubt: the first attempt may have been applied. Whoever is accepted is accepted.
    """
    found, _ = sent(batch(4), unsure_first(refusing("k2")))

    assert kept(found) == {Verdict.OK: [0, 1, 3], Verdict.DOUBT: [2]}
    assert found.reasons == {"k2": "bad member"}


@pytest.mark.parametrize("status", [401, 404, 429])
def test_not_taken_after_an_attempt_without_an_answer(status):
    """
    After a lost answer, what is said to be not done has no verdict: it stays in doubt.
    """
    found, _ = sent(batch(4), unsure_first(lambda members: status))

    assert kept(found) == {}
    assert isinstance(found.error, DeliveryError | Deferred)


@pytest.mark.parametrize("answer", [408, 500, 503, httpx.ReadTimeout("gone"), httpx.RemoteProtocolError("cut")])
def test_no_answer_at_all(answer):
    """
    A time-out, a cut line or a 5xx, again and again, is no verdict: it may have been applied. The sync stops.
    """

    def silent(members):
        if isinstance(answer, Exception):
            raise answer
        return answer

    found, _ = sent(batch(4), silent)

    assert kept(found) == {}
    assert isinstance(found.error, Unanswered)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(401, CredentialsRefused), (403, CredentialsRefused), (404, DeliveryError), (429, Deferred)],
)
def test_definitely_not_applied(answer, kind):
    """
    Refused credentials, a wrong address and a throttle were not applied: they may be tried in the next run.
    """
    found, _ = sent(batch(4), lambda members: answer)

    assert kept(found) == {Verdict.NO: [0, 1, 2, 3]}
    assert isinstance(found.error, kind)


def test_what_was_accepted_before_the_stop_stays_accepted():
    """
    Half a halved batch accepted, then the key is revoked: the half is known, the rest was not applied.
    """
    answers = iter([400, 200, 401])
    found, far = sent(batch(20), lambda members: next(answers))

    assert kept(found) == {Verdict.OK: list(range(10)), Verdict.NO: list(range(10, 20))}
    assert isinstance(found.error, CredentialsRefused)
    assert len(far.calls) == 3


class Steps(Connector):
    """Looks members up, writes them and lists them, a call each."""

    limits = Limits(batch=20)

    @classmethod
    def reach(cls, settings):
        return {}

    def upsert(self, list_id, members):
        told = [member.key for member in members]
        for step in ("look", "write", "list"):
            self.http.post(f"https://far.example.com/{step}", json=told, extensions={"reads": step == "look"})
        return Receipt.of(members)

    remove = upsert


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([401], {Verdict.NO: list(range(12))}),
        ([200, 401], {Verdict.NO: list(range(12))}),
        ([200, 200, 401], {}),
        ([200, 400, 200, 401], {Verdict.NO: list(range(12))}),
        ([200, 200, 400, 200, 401], {}),
        ([200, 400, *[200] * 3, *[200, 200, 401]], {Verdict.OK: list(range(6))}),
        ([200, 400, *[200] * 3, 401], {Verdict.OK: list(range(6)), Verdict.NO: list(range(6, 12))}),
    ],
)
def test_what_is_stopped_between_two_calls_is_in_doubt(answers, found):
    """
    Once a call that changes something was answered well, nobody whom it was for is said to be untouched.
    """
    said = iter(answers)
    with http.client({}, Steps.limits, transport=httpx.MockTransport(lambda _: httpx.Response(next(said)))) as client:
        sent = send(Steps(None, None, client), batch(12))

    assert kept(sent) == found
    assert isinstance(sent.error, CredentialsRefused)


def test_a_lease_that_ends_before_the_call():
    """
    Without a lease that outlasts the call, nothing is sent.
    """

    def lost(seconds):
        raise LeaseLost("taken over", do="nothing")

    found, far = sent(batch(4), lambda members: 200, lease=lost)

    assert kept(found) == {Verdict.NO: [0, 1, 2, 3]}
    assert (far.calls, type(found.error)) == ([], LeaseLost)


def test_garbage_in_the_answer():
    """
    An answer that names no key of the batch says nothing of what was done: it is in doubt.
    """
    found, _ = sent(batch(4), lambda members: httpx.Response(200, json={"rejected": {"someone": "no"}}))

    assert kept(found) == {}
    assert isinstance(found.error, Unanswered)


class Odd(Connector):
    """A connector that answers as a test says."""

    limits = Limits(batch=10)

    @classmethod
    def reach(cls, settings):
        return {}

    def upsert(self, list_id, members):
        return self.settings(members)

    remove = upsert


def told(says, rows=None):
    with httpx.Client() as client:
        return send(Odd(says, None, client), rows or batch(3))


@pytest.mark.parametrize(
    "says",
    [
        lambda members: None,
        lambda members: Receipt(frozenset()),
        lambda members: Receipt(frozenset({"k0", "k1"})),
        lambda members: Receipt(frozenset({"k0", "k1", "k2", "k3"})),
        lambda members: Receipt(frozenset({"k0", "k1", "k2"}), {"k2": "both"}),
        lambda members: Receipt(frozenset({"k0", "k1"}), {"k9": "a stranger"}),
        lambda members: Receipt.of(members, ticket="ask later"),
        lambda members: Receipt.of(members, {"k9": "a stranger"}),
    ],
    ids=["nothing", "nobody", "one missing", "one too many", "one twice", "a stranger", "a ticket", "of a stranger"],
)
def test_silence_is_not_success(says):
    """
    A receipt that does not speak of every member of its batch, once each, leaves them all in doubt.
    """
    found = told(says)

    assert kept(found) == {}
    assert isinstance(found.error, Unanswered)


def test_a_broken_connector_is_named_and_its_words_are_not():
    """
    An exception of a connector leaves the batch in doubt; its class and line are told, its words may hold a person.
    """

    def says(members):
        raise ValueError(members[0].fields["email"])

    found = told(says)

    assert kept(found) == {}
    assert "Odd fails with ValueError (test_send.py:" in found.error.what
    assert "p0@x" not in str(found.error)
    assert found.error.__cause__ is None
    assert found.error.__suppress_context__


def test_a_reason_that_is_no_text():
    """
    A connector that gives a provider's code as a reason, or none, stops nothing.
    """
    found = told(lambda members: Receipt.of(members, {"k0": 17, "k1": None}))

    assert kept(found) == {Verdict.OK: [2], Verdict.REFUSED: [0, 1]}
    assert found.reasons == {"k0": "17", "k1": "None"}


def test_a_batch_refused_with_people_in_its_words():
    """
    A refusal of a whole batch is kept for its culprit with people masked, also those of the error.
    """

    def says(members):
        raise BatchRefused(f"{members[-1].fields['email']} is no member")

    found = told(says, batch(12))

    assert "… is no member" in found.error.what
    assert "@x" not in str(found.error)


def test_removals_are_removals():
    """
    Every verb but upsert takes members off the list.
    """
    verbs = []

    class Listening(Odd):
        def remove(self, list_id, members):
            verbs.append((list_id, len(members)))
            return Receipt.of(members)

    with httpx.Client() as client:
        for verb in ("move", "remove"):
            found = send(Listening(None, None, client), batch(3, verb=verb))

            assert ranges.joined(found.found[Verdict.OK]) == [(0, 2)]
    assert verbs == [("L", 3), ("L", 3)]
