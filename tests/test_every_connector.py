"""The promises that every connector keeps. A file in connectors/ is held to them by being there; it needs a sandbox.

AUDIENCES_PROJECT=FOLDER holds that project's own connectors to them as well. The sandbox of connectors/NAME.py is
tests/sandboxes/NAME.py: the part of the provider that the connector speaks to, in memory.

    class Sandbox:
        list = "Detractors"                     the name of a list
        any_field = "note"                      a field that takes every value; left out where there is none
        def __init__(self):
            self.settings = {"NAME_API_KEY": …}   every variable that the connector needs
            self.elsewhere = {"NAME_REGION": …}   those that lead to another region, where there are several
        def member(self, n): …                  the fields of the n-th person
        def unwelcome(self): …                  the fields of someone who is refused; left out where nobody is
        def holds(self, fields): …              whether someone is on the list with just these fields
        def __call__(self, request): …          the httpx.Response to a call; left out where none is made
        def works(self): …                      every job that is open is done; left out where none is ever open
        judges_few = True                       where a batch of few has its verdict at once, and only a larger a ticket
        def listed(self): …                     who is on the list, by identifier, where the connector has no `members`;
                                                an ads platform tells what it was sent: the hashes
        def consent(self, fields): …            what the provider keeps of someone's consent: "subscribed" where it may
                                                write to them, another word where not, None where it knows nobody so;
                                                for e-mail, and wherever else there is such a thing
        def opt_out(self, fields): …            someone opts out at the provider, by their own hand
        rate = (100, 10)                        calls in any so many seconds, where the provider documents a number
        at_once = 10                            calls under way at once, likewise
        def throttled(self, seconds): …         the httpx.Response to a call beyond these; seconds until one is let in

    options = ({…}, …)                          the sync's options that are tried, where there are any; a sandbox
                                                has the ones of its test as `self.options`
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import itertools
import os
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

import canary
from audiences import BatchRefused, Connector, Hashed, Member, Receipt, connectors, http
from audiences.errors import CredentialsRefused, DefinitionError
from audiences.http.wire import SIGN_IN
from audiences.send import covering

ROOTS = [Path(__file__).parent.parent, *map(Path, filter(None, [os.environ.get("AUDIENCES_PROJECT")]))]
FILES = sorted({path.resolve() for root in ROOTS for path in root.glob("connectors/[!_.]*.py")})

VALUES = [
    None,
    True,
    False,
    0,
    -7,
    2**40,
    2.5,
    "",
    "0012",
    "Zoë; \"a\", 'b'\n漢字 🎈\\",
    ["a", 1, None],
    {"b": {"c": [1.5]}},
]

seq = itertools.count()


@functools.cache
def sandbox_of(path):
    """The sandbox's module, or None."""
    file = path.parents[1] / "tests" / "sandboxes" / path.name
    if not file.is_file():
        return None
    spec = importlib.util.spec_from_file_location(f"sandbox_{path.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with suppress(DefinitionError):  # what is wrong with a connector, its own tests say
        if issubclass(connectors.find(path.stem, [path.parent]), Hashed):
            canary.overheard(module.Sandbox)
    return module


def cases(having=None):
    """(file, sandbox's module, options of the sync) of all that is there, or of those whose sandbox has something."""
    return [
        pytest.param((path, module, options), id="-".join([path.stem, *options.values()]))
        for path in FILES
        for module in [sandbox_of(path)]
        for options in getattr(module, "options", ({},))
        if having is None or (module and having in vars(module.Sandbox))
    ]


where_any_value_fits = pytest.mark.parametrize("case", cases("any_field"))
where_some_are_refused = pytest.mark.parametrize("case", cases("unwelcome"))
where_calls_are_made = pytest.mark.parametrize("case", cases("__call__"))


class Clock:
    """Time that passes only where someone sleeps."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture(params=cases())
def case(request):
    return request.param


@pytest.fixture
def path(case):
    return case[0]


@pytest.fixture
def cls(path):
    return connectors.find(path.stem, [path.parent])


@pytest.fixture
def sandbox(case, path, cls, monkeypatch):
    assert case[1], f"{path.name} has no sandbox: write tests/sandboxes/{path.name} beside connectors/"
    sandbox = case[1].Sandbox()
    how = f"{path.name} writes outcome: write works(self) in tests/sandboxes/{path.name}, which does its open jobs"
    assert hasattr(sandbox, "works") or not cls.judges_later(), how
    sandbox.options = case[2]
    for variable, value in sandbox.settings.items():
        monkeypatch.setenv(variable, value)
    return sandbox


@pytest.fixture
def speak(case, path, cls, sandbox, tmp_path):
    """A connector whose every call gets this answer."""

    def speak(answer):
        account, clock = connectors.settings(path.stem, cls, tmp_path), Clock()
        wire = httpx.MockTransport(answer)
        waits = {"passes_in": cls.passes_in, "means": cls.means, "sleep": clock.sleep, "clock": clock}
        line = http.client(cls.reach(account), cls.limits, transport=wire, **waits)
        send = [*sandbox.member(1), *filter(None, [getattr(sandbox, "any_field", None)])]
        return cls(account, cls.Options(**case[2]), line, send=send, outbox="project-sync-1")

    return speak


@pytest.fixture
def remote(speak, sandbox):
    return speak(sandbox if callable(sandbox) else uncalled)


@pytest.fixture
def list_id(remote, sandbox):
    return remote.prepare(sandbox.list)


@pytest.fixture(params=["upsert", "remove"])
def verb(request):
    return request.param


def uncalled(request):
    raise AssertionError("a call was made, and the sandbox has no __call__ to answer it")


def told(**people):
    """Members as a run would send them next: key -> fields."""
    return [Member(key, fields, next(seq)) for key, fields in people.items()]


@pytest.fixture
def taken(remote, list_id):
    """Send one batch and make it visible: its members and its receipt, which is one that the worker takes."""

    def taken(verb, **people):
        receipt = getattr(remote, verb)(list_id, members := told(**people))
        remote.flush(list_id)
        return members, covering(receipt, members, tickets=remote.judges_later())

    return taken


@pytest.fixture
def judged(speak, sandbox):
    """What became of a ticket, as the next run asks: a process that knows the ticket and its members, and no more."""

    def judged(members, receipt):
        assert isinstance(receipt.ticket, str), f"a ticket is text, and not {receipt.ticket!r}"
        waiting = [member for member in members if member.key in receipt.accepted]
        found = speak(sandbox).outcome(receipt.ticket, waiting)
        return None if found is None else covering(found, waiting)

    return judged


@pytest.fixture
def settled(taken, judged, sandbox):
    """Send one batch; its receipt once it is visible and, where it has a ticket, its job is done."""

    def settled(verb, **people):
        members, receipt = taken(verb, **people)
        if receipt.ticket is None:
            return receipt
        assert judged(members, receipt) is None, "outcome has a verdict before the job is done"
        sandbox.works()
        verdict, again = judged(members, receipt), judged(members, receipt)
        assert verdict, "outcome has no verdict after the sandbox's works()"
        assert verdict == again, "outcome says something else when it is asked again"
        return Receipt(verdict.accepted, {**receipt.rejected, **verdict.rejected})

    return settled


def test_upsert_makes_present(settled, sandbox):
    """
    Members that are accepted are on the list afterwards, with the fields that were sent.
    """
    receipt = settled("upsert", a=sandbox.member(1), b=sandbox.member(2))

    assert receipt.accepted == {"a", "b"}
    assert sandbox.holds(sandbox.member(1))
    assert sandbox.holds(sandbox.member(2))


def test_remove_makes_absent(settled, sandbox):
    """
    Members that are removed are off the list, and the others stay.
    """
    settled("upsert", a=sandbox.member(1), b=sandbox.member(2))

    receipt = settled("remove", a=sandbox.member(1))

    assert receipt.accepted == {"a"}
    assert not sandbox.holds(sandbox.member(1))
    assert sandbox.holds(sandbox.member(2))


def test_verbs_may_be_repeated(settled, sandbox):
    """
    A batch that is sent again, as after a crash, leaves what one sending leaves.
    """
    for verb, present in (("upsert", True), ("remove", False)):
        receipts = [settled(verb, a=sandbox.member(1)) for _ in range(2)]

        assert receipts[0] == receipts[1]
        assert sandbox.holds(sandbox.member(1)) is present


def test_removing_a_stranger_is_accepted(settled, sandbox):
    """
    Who is not there is already removed.
    """
    assert settled("remove", a=sandbox.member(1)).accepted == {"a"}


def test_whoever_comes_back_is_present(settled, sandbox):
    """
    Added, removed and added again with the same fields: on the list.
    """
    for verb in ("upsert", "remove", "upsert"):
        settled(verb, a=sandbox.member(1))

    assert sandbox.holds(sandbox.member(1))


def test_a_member_who_moved_is_there_once(settled, sandbox):
    """
    The old identifier is removed and the new one added, under one key: only the new one is on the list.
    """
    settled("upsert", a=sandbox.member(1))

    settled("remove", a=sandbox.member(1))
    settled("upsert", a=sandbox.member(2))

    assert not sandbox.holds(sandbox.member(1))
    assert sandbox.holds(sandbox.member(2))


@where_any_value_fits
def test_every_value_travels(settled, sandbox):
    """
    Each type of a JSON value, None and all of Unicode arrive as they were sent, and replace what was there.
    """
    for value in VALUES:
        settled("upsert", a={**sandbox.member(1), sandbox.any_field: "before"})
        assert sandbox.holds({**sandbox.member(1), sandbox.any_field: "before"})

        settled("upsert", a={**sandbox.member(1), sandbox.any_field: value})
        assert sandbox.holds({**sandbox.member(1), sandbox.any_field: value}), value


def test_a_full_batch_is_taken(cls, settled, sandbox):
    """
    As many members as `limits` says go into one call, and the receipt speaks of each of them by key.
    """
    everybody = {f"k{n}": sandbox.member(n) for n in reversed(range(cls.limits.batch))}

    receipt = settled("upsert", **everybody)

    assert receipt.accepted == everybody.keys()
    assert not receipt.rejected


@where_some_are_refused
@pytest.mark.parametrize("place", range(3))
def test_one_bad_member_spoils_only_itself(settled, sandbox, place):
    """
    Whoever the provider refuses is rejected by key, wherever in the batch, with the provider's reason.
    """
    people = [("a", sandbox.member(1)), ("b", sandbox.member(2))]
    people.insert(place, ("bad", sandbox.unwelcome()))

    receipt = settled("upsert", **dict(people))

    assert receipt.accepted == {"a", "b"}
    assert receipt.rejected.keys() == {"bad"}
    assert receipt.rejected["bad"]
    assert sandbox.holds(sandbox.member(1))
    assert sandbox.holds(sandbox.member(2))


def test_each_ticket_has_a_verdict_of_its_own(cls, taken, judged, sandbox):
    """
    Of batches that are open at once none has a verdict before its job is done, and then each has its own.
    """
    if not cls.judges_later() or getattr(sandbox, "judges_few", False):
        return
    bad = {"bad": sandbox.unwelcome()} if hasattr(sandbox, "unwelcome") else {}
    batches = [taken("upsert", a=sandbox.member(1), **bad), taken("upsert", b=sandbox.member(2))]
    before = [judged(*batch) for batch in batches]
    sandbox.works()

    assert before == [None, None]
    assert [judged(*batch).accepted for batch in reversed(batches)] == [{"b"}, {"a"}]


@where_calls_are_made
def test_a_batch_refused_as_a_whole_is_said_so(speak, list_id, sandbox, verb):
    """
    A 422 for a whole batch is a BatchRefused, so that the worker can halve it; a sign-in before it went well.
    """
    refusing = speak(lambda call: sandbox(call) if SIGN_IN in call.extensions else httpx.Response(422, text="no"))

    with pytest.raises(BatchRefused):
        getattr(refusing, verb)(list_id, told(a=sandbox.member(1)))


NO_VERDICTS = (
    httpx.Response(200, json={"rejected": {"nobody we know": "…"}, "results": 7, "job": None}),
    httpx.Response(200, text="<html>"),
)


@where_calls_are_made
def test_an_answer_that_says_neither_refuses_nobody(speak, list_id, sandbox, verb):
    """
    A success whose body is not the provider's is no verdict, whichever call it answers: a member whom it marked as
    refused would wait for days, with whatever the call did.
    """
    for answer in NO_VERDICTS:
        for place in itertools.count():
            calls = itertools.count()

            def strange(call, answer=answer, place=place, calls=calls):
                usual = sandbox(call)
                ours = SIGN_IN not in call.extensions and next(calls) == place
                return httpx.Response(200, headers=answer.headers, content=answer.content) if ours else usual

            refused = ""
            try:
                receipt = getattr(speak(strange), verb)(list_id, told(a=sandbox.member(1)))
                refused = ", ".join(receipt.rejected.values())
            except BatchRefused as refusal:
                refused = str(refusal.reason)
            except Exception:
                pass  # whatever breaks leaves it open what the call did
            if next(calls) <= place:
                break
            assert not refused, f"call {place + 1}: {answer.text} is taken for a refusal: {refused}"


@where_calls_are_made
def test_refused_credentials_stop_the_sync(speak, list_id, sandbox, verb):
    """
    A 401 is not tried again, and says that the account is to be mended.
    """
    calls = []
    refusing = speak(lambda request: calls.append(request) or httpx.Response(401))

    with pytest.raises(CredentialsRefused):
        getattr(refusing, verb)(list_id, told(a=sandbox.member(1)))
    assert len(calls) == 1


def test_members_reads_back_what_was_sent(cls, remote, list_id, settled, sandbox):
    """
    A connector that can read a list gives the identifying fields of everybody on it.
    """
    if cls.members is Connector.members:
        return
    settled("upsert", a=sandbox.member(1), b=sandbox.member(2), c=sandbox.member(3))
    settled("remove", b=sandbox.member(2))

    found = [{name: fields[name] for name in remote.identity} for fields in remote.members(list_id)]

    expected = [{name: sandbox.member(n)[name] for name in remote.identity} for n in (1, 3)]
    assert sorted(found, key=str) == expected


def test_a_missing_setting_is_named(path, cls, sandbox, monkeypatch, tmp_path):
    """
    Each variable that a connector needs is named as it must be exported, and no other's value is shown.
    """
    needed = [f"{path.stem.upper()}_{name.upper()}" for name, f in cls.Settings.model_fields.items() if f.is_required()]
    for variable in needed:
        with monkeypatch.context() as without:
            without.delenv(variable)
            with pytest.raises(DefinitionError, match=rf"\b{variable} is missing") as said:
                connectors.settings(path.stem, cls, tmp_path)

            assert not [value for value in sandbox.settings.values() if value in str(said.value)]


def test_settings_keep_their_secrets(path, cls, sandbox, tmp_path):
    """
    What is printed of an account shows no key, token or secret.
    """
    shown = repr(connectors.settings(path.stem, cls, tmp_path))

    assert "not-a-real" not in shown
    assert "whsec_" not in shown


def test_a_connector_says_how_it_is_set_up(path, cls):
    """
    Its docstring is its documentation: what it speaks to, and each variable that it needs.
    """
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""

    assert "Set-up:" in said
    for name, field in cls.Settings.model_fields.items():
        assert not field.is_required() or f"{path.stem.upper()}_{name.upper()}" in said
