"""Consent is never touched: whoever opted out stays so, and nobody becomes subscribed whom a sync only lists.

Every connector for e-mail is held to it by being there, and so is every other whose sandbox has `consent`.
"""

from __future__ import annotations

import inspect
from contextlib import nullcontext

import httpx
import pytest

import story
from audiences import Category, connectors
from test_every_connector import FILES, Clock, cases, sandbox_of
from test_readme import blocks

SUBSCRIBED = "subscribed"
DAYS = ("add", "update", "remove", "add", "remove")

where_there_is_consent = pytest.mark.parametrize("case", cases("consent"))


@pytest.fixture
def told(case, tmp_path):
    return beginning(*case, tmp_path)


def beginning(path, module, options, folder):
    """The story of one connector, of which no more is told than that its list is there."""
    sandbox, clock = story.sandbox_with(module, options), Clock()
    line = {"transport": httpx.MockTransport(sandbox), "sleep": clock.sleep, "clock": clock}
    made = story.Story(story.remote(path, options, sandbox, story.account(sandbox, folder), **line), sandbox)
    made.list_id = made.remote.prepare(sandbox.list)
    return made


def lives(told, fields):
    """Someone comes, changes, leaves, comes back and leaves again; after each, what is kept of their consent."""
    found = []
    for day in DAYS:
        verb = "remove" if day == "remove" else "upsert"
        told.tell(verb, a=told.changed(fields) if day == "update" else fields)
        found.append(told.sandbox.consent(fields))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_connector_for_email_tells_of_consent(path):
    """
    Where people are written to, the sandbox knows who may be, and lets them opt out.
    """
    cls, module = connectors.find(path.stem, [path.parent]), sandbox_of(path)
    hooks = [hook for hook in ("consent", "opt_out") if hasattr(module, "Sandbox") and hook in vars(module.Sandbox)]

    missing = {"consent", "opt_out"} - {*hooks} if cls.category is Category.EMAIL or hooks else set()

    how = " and ".join(f"{hook}(self, fields)" for hook in sorted(missing))
    assert not missing, f"write {how} in tests/sandboxes/{path.name}, as tests/test_every_connector.py says"


@where_there_is_consent
@pytest.mark.parametrize("n", range(1, 4))
def test_who_opted_out_stays_out(told, n):
    """
    Before a sync knows them: through add, update and removal, and added again, nobody comes back to the mail.
    """
    fields = told.sandbox.member(n)
    told.sandbox.opt_out(fields)
    out = told.sandbox.consent(fields)

    assert out not in (None, SUBSCRIBED), "opt_out leaves someone whom the provider does not know, or may write to"
    assert lives(told, fields) == [out] * len(DAYS)


@where_there_is_consent
@pytest.mark.parametrize("n", range(1, 4))
def test_who_opts_out_while_listed_stays_out(told, n):
    """
    The same where the sync has listed someone before they opted out.
    """
    fields = told.sandbox.member(n)
    told.tell("upsert", a=fields)
    told.sandbox.opt_out(fields)
    out = told.sandbox.consent(fields)

    assert out not in (None, SUBSCRIBED)
    assert lives(told, fields) == [out] * len(DAYS)


@where_there_is_consent
@pytest.mark.parametrize("n", range(1, 4))
def test_a_known_consent_is_left_as_it_is(told, n):
    """
    Whom the provider knows it keeps, with the consent that they gave: a removal takes back no more than the list.
    """
    fields = told.sandbox.member(n)
    before = told.sandbox.consent(fields)

    after = lives(told, fields)

    assert before is None or after == [before] * len(DAYS)


@where_there_is_consent
def test_a_stranger_is_not_subscribed(told, case):
    """
    Whom the provider does not know is made nobody that it may write to, unless the sync's options say so.
    """
    _, module, options = case
    strangers = [story.sandbox_with(module, options).member(n) for n in range(4, 7)]  # another sandbox knows them
    known = [each for each in strangers if told.sandbox.consent(each) is not None]

    made = {word for each in strangers for word in lives(told, each)}

    assert not known, "consent knows someone whom nobody has added yet"
    assert SUBSCRIBED not in made or SUBSCRIBED in options.values(), "nobody asked for new ones to be subscribed"


HOOKS = """
    def consent(self, fields):
        return self.mail.get(fields["email"])

    def opt_out(self, fields):
        self.mail[fields["email"]] = "unsubscribed"

    def __call__("""
# The README's connector as one for e-mail, whose provider may write to its first person.
EMAIL = {
    "Limits, Receipt": "Category, Limits, Receipt",
    "    limits =": "    category = Category.EMAIL\n    limits =",
    "\n    def __call__(": HOOKS,
    "# address -> fields": "\n        self.mail = {'person1@example.com': 'subscribed'}",
}
ADDS, REMOVES = '"/add"):\n', "            else:\n"


def then(moment, line):
    """What stands at this moment of the sandbox -> the same, and then this line."""
    return {moment: f"{moment}{' ' * 16}{line}\n"}


# What must be caught -> by which words -> what makes the fault: what stands there -> what stands here.
FAULTS = {
    "no hooks": (test_a_connector_for_email_tells_of_consent, "write consent", {HOOKS: "\n    def __call__("}),
    "one hook": (test_a_connector_for_email_tells_of_consent, "write opt_out", {"def opt_out(": "def out("}),
    "nobody can leave": (test_who_opted_out_stays_out, "or may write to", {'= "unsubscribed"': '= "subscribed"'}),
    "adding": (test_who_opted_out_stays_out, "'subscribed'", then(ADDS, 'self.mail[address] = "subscribed"')),
    "removing": (test_who_opted_out_stays_out, "None", then(REMOVES, "self.mail.pop(address, None)")),
    "coming back": (test_who_opts_out_while_listed_stays_out, "'asked'", then(ADDS, 'self.mail[address] = "asked"')),
    "leaving": (test_a_known_consent_is_left_as_it_is, "'away'", then(REMOVES, 'self.mail[address] = "away"')),
    "new": (test_a_stranger_is_not_subscribed, "asked for", then(ADDS, 'self.mail.setdefault(address, "subscribed")')),
}


@pytest.mark.parametrize(("claim", "words", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_caught(tmp_path, claim, words, fault):
    """
    A connector that touches consent, and a sandbox that tells nothing of it, fail in clear words; without the fault
    they do not.
    """
    for part, caught in ({}, False), (fault, True):
        path = pigeon(tmp_path / str(caught), EMAIL | part)
        case = path, sandbox_of(path), {}
        given = {"path": path, "case": case, "n": 1}
        with pytest.raises(AssertionError, match=words) if caught else nullcontext():
            asked = inspect.signature(claim).parameters
            told = {"told": beginning(*case, path.parent)} if "told" in asked else {}
            claim(**{name: value for name, value in (given | told).items() if name in asked})


def pigeon(folder, other):
    """The README's connector and its sandbox in a folder, but for these words; the connector's file."""
    for name, text in zip(("connectors/pigeon.py", "tests/sandboxes/pigeon.py"), blocks("python"), strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for old, new in other.items():
            text = text.replace(old, new)
        path.write_text(text)
    return folder / "connectors" / "pigeon.py"
