"""What a connector of hashed identifiers is given, and what it makes of a batch."""

from __future__ import annotations

from hashlib import sha256
from typing import ClassVar, Literal

import httpx
import pytest

import story
from audiences import DefinitionError, Hashed, Kind, Limits, Member, Receipt, connectors
from audiences.normal import COUNTRY_META, EMAIL, EXTERNAL_ID, GENDER, NAME_META, PHONE_DIGITS
from test_every_connector import Clock, cases


class Billboard(Hashed):
    """A platform that is told nothing: what it would be told is looked at."""

    limits = Limits(batch=10)
    carries = frozenset({"score"})
    kinds: ClassVar = {
        "email": Kind(("email",), (EMAIL,)),
        "phone": Kind(("phone",), (PHONE_DIGITS,)),
        "id": Kind(("customer",), (EXTERNAL_ID,)),
        "name": Kind(
            ("first_name", "country", "gender"), (NAME_META, COUNTRY_META, GENDER), optional=frozenset({"gender"})
        ),
    }

    @classmethod
    def reach(cls, settings):
        return {}

    def upsert(self, list_id, members):
        found, rejected = self.identified(members)
        self.sent = [(each.kind, *each.values) for each in found]
        return Receipt.of(members, rejected)

    remove = upsert


def made(send, **options):
    return Billboard(None, Billboard.Options(**options), None, send)


def sha(text):
    return sha256(text.encode()).hexdigest()


def test_a_batch_becomes_identifiers_and_reasons():
    """
    Each member is one identifier in the platform's own form, hashed where that is asked; the others have a reason.
    """
    board = made(["email", "phone", "customer", "score"])
    members = [
        Member('["1","email"]', {"email": "ada@example.com", "phone": None, "customer": None, "score": 3}),
        Member('["1","phone"]', {"email": None, "phone": "+49301234567", "customer": None, "score": 3}),
        Member('["1","id"]', {"customer": 17}),
        Member('["2","email"]', {"email": "nobody", "phone": None}),
        Member('["3","email"]', {"email": None, "score": 1}),
    ]

    receipt = board.upsert("list", members)

    assert board.sent == [("email", sha("ada@example.com")), ("phone", sha("49301234567")), ("id", "17")]
    assert receipt.rejected == {'["2","email"]': "email is no e-mail address", '["3","email"]': "has no identifier"}
    assert len(receipt.accepted) == 3


def test_a_kind_of_several_fields_needs_all_that_are_not_optional():
    """
    A name alone matches nobody, and is not sent; what may be missing is.
    """
    board = made(["first_name", "country", "gender"])

    found = board.upsert("list", [Member("1", {"first_name": "Zoë", "country": "de", "gender": None})])
    assert (found.rejected, board.sent) == ({}, [("name", sha("zoë"), sha("de"), "")])
    assert board.upsert("list", [Member("1", {"first_name": "Zoë", "country": None})]).rejected


def test_a_hashed_column_is_said_to_be_one():
    """
    It travels as it is, and what is no hash is refused: nothing is hashed twice, and no plain value goes out.
    """
    board = made(["email"], hashed=["email"])
    form = board.sent_kinds(board.options, ["email"])["email"].rules[0].form
    members = [Member(n, {"email": form.of(value)}) for n, value in (("1", f" {sha('a@x').upper()}"), ("2", "a@x"))]
    receipt = board.upsert("list", members)

    assert board.sent == [("email", sha("a@x"))]
    assert receipt.rejected["2"].startswith("email is no SHA-256")


def test_what_was_sent_before_leaves_as_it_came():
    """
    A sync that has changed what it says of a column, or sends it no more, removes what it sent by what that was.
    """
    now_hashed, now_plain, gone = made(["email"], hashed=["email"]), made(["email"]), made(["customer"])
    plain, marked = Member("1", {"email": "a@example.com"}), Member("1", {"email": f"sha256:{sha('a@example.com')}"})

    for board in (now_hashed, now_plain, gone):
        for member in (plain, marked):
            assert not board.remove("list", [member]).rejected
            assert board.sent == [("email", sha("a@example.com"))]


def test_letters_that_the_warehouse_left_large_are_refused():
    """
    The warehouse compared what it gave: where Python would lower it further, two of its identifiers could be one hash.
    """
    board = made(["email"])

    assert board.upsert("list", [Member("1", {"email": "É@example.com"})]).rejected
    assert not board.upsert("list", [Member("1", {"email": "é@example.com"})]).rejected


@pytest.mark.parametrize(("send", "options", "what", "do"), [
    (["score"], {}, "nothing that is sent", "add to send: email; or phone; or customer; or first_name, country"),
    (["email", "nps"], {}, "knows nothing called 'nps'", "phone, customer, first_name, country, gender, score"),
    (["email", "country"], {}, "country alone identifies nobody", "first_name, country"),
    (["email"], {"hashed": ["phone"]}, "hashed names 'phone'", "name some of: email"),
    (["email", "customer"], {"hashed": ["customer"]}, "hashed names 'customer'", "name some of: email"),
    (["phone"], {"region": "Germany"}, "region: there is no country 'Germany'", 'region = "DE"'),
])  # fmt: skip
def test_a_mistake_of_the_syncs_is_named(send, options, what, do):
    """
    A sync that can match nobody, or speaks of columns that it does not send, is no definition.
    """
    with pytest.raises(DefinitionError) as refused:
        made(send, **options)

    assert what in refused.value.what
    assert do in refused.value.do


class Asking(Billboard):
    """A platform that asks for a consent."""

    consents = frozenset({"ads"})

    class Options(Billboard.Options):
        ads: Literal["granted"] | None = None


@pytest.mark.parametrize(
    ("send", "options", "what"),
    [
        (["email"], {}, "nothing says who has given the consent ads"),
        (["email", "ads"], {"ads": "granted"}, "said twice"),
    ],
)
def test_a_consent_is_said_once(send, options, what):
    """
    A platform's consent is said by a column, or by the section for everyone: not by both, and never taken for granted.
    """
    with pytest.raises(DefinitionError, match=what) as refused:
        Asking(None, Asking.Options(**options), None, send)

    assert 'write ads = "granted" in the section' in refused.value.do
    assert Asking.consented(Asking.Options(ads="granted"), ["email"]) == ()
    assert Asking.consented(Asking.Options(), ["email", "ads"]) == ("ads",)


def test_one_kind_never_changes_the_identifiers_of_another():
    """
    An address has one identifier, whatever else the sync sends, and a telephone number never the same.
    """
    alone, beside = made(["email"]), made(["email", "phone"])
    address, number = Member("1", {"email": "7"}), Member("1", {"phone": "7"})

    assert alone.ident(address) == beside.ident(address) != beside.ident(number)


HASHED = [
    each
    for each in cases()
    for path, *_ in each.values
    if issubclass(connectors.find(path.stem, [path.parent]), Hashed)
]


@pytest.mark.parametrize("case", HASHED)
def test_what_cannot_be_told_any_more_is_not_taken_for_removed(case, tmp_path):
    """
    A removal speaks of somebody who was sent. Where a rule has changed since, so that it knows no such value, the
    platform still has them: the removal is refused with its reason, and so is told and tried again.
    """
    path, module, options = case
    far, clock = story.sandbox_with(module, options), Clock()
    line = {"transport": httpx.MockTransport(far), "sleep": clock.sleep, "clock": clock}
    remote = story.remote(path, options, far, story.account(far, tmp_path), **line)

    receipt = remote.remove(remote.prepare(far.list), [Member("a", {next(iter(remote.identity)): "\x00"})])

    assert not receipt.accepted
    assert receipt.rejected["a"]
