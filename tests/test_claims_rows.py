"""The rows that a sync to an ads platform reads, against the same rules in plain Python, on random members."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from audiences import Kind
from audiences.claims import Asked, claims
from audiences.normal import EMAIL, PHONE_PLUS
from audiences.warehouse import Warehouse, literal
from engines import ENGINES
from scale import times

KINDS = {"email": Kind(("email",), (EMAIL,)), "phone": Kind(("phone",), (PHONE_PLUS,))}
SEND = {"email": "mails", "phone": "number", "may": "may"}
MAILS = ["a@x", "A@X ", "b@x", "c@x", " ", "", None]
NUMBERS = ["+491", "+49 1", "+492", "", None]


@pytest.fixture(scope="module", params=list(ENGINES))
def warehouse(request, postgres_server):
    with Warehouse(ENGINES[request.param](postgres_server.database).alone(), "audience_sync") as warehouse:
        warehouse.run("create table people (id bigint, mails varchar[], number varchar, may varchar)")
        yield warehouse


def member(chance):
    mails = None if chance.random() < 0.2 else [chance.choice(MAILS) for _ in range(chance.randint(0, 3))]
    key = None if chance.random() < 0.1 else chance.randint(1, 9)
    return key, mails, chance.choice(NUMBERS), chance.choice(["granted", "true", "TRUE", "granted", "denied", None])


def expected(people):
    """(key, kind, email, phone) of each row; of who comes twice, all that is sure: at least two rows of every kind."""
    keys = Counter(key for key, *_ in people)
    for key, mails, number, may in people:
        willing = (may or "").lower() in ("granted", "true")
        emails = sorted({EMAIL.form.of(each) for each in mails or () if willing} - {""})
        phone = PHONE_PLUS.form.of(number) if willing else ""
        if key is not None and keys[key] > 1:
            continue
        for place, email in enumerate(emails, 1):
            yield key, "email" if place == 1 else f"email {place}", email, None
        if phone:
            yield key, "phone", None, phone
        if not emails and not phone:
            yield key, "email", None, None


def test_a_row_is_an_identifier(warehouse):
    """
    Whatever the audience holds: a row for each identifier that is there and may be sent, one for who has none; a key
    that comes twice comes twice in every kind, so that it is seen.
    """
    types = warehouse.described("select * from people")
    wanted = Asked("select * from people", types, ("id",), SEND, ("may",), {"mails"})
    asked = claims(warehouse.words, wanted, KINDS)
    key = ", ".join(f'"{part}"' for part in asked.key)
    for seed in range(times(15, 2_000)):
        chance = random.Random(seed)
        people = [member(chance) for _ in range(chance.randint(0, 9))]
        filled = ", ".join(f"({', '.join(map(said, each))})" for each in people)
        warehouse.run("delete from people")
        if people:
            warehouse.run(f"insert into people values {filled}")
        rows = warehouse.run(f"select {key}, email, phone from ({asked.source}) as s")
        twice = {each for each, times_ in Counter(key for key, *_ in people).items() if each is not None and times_ > 1}

        assert Counter(row for row in rows if row[0] not in twice) == Counter(expected(people)), people
        kinds = Counter((row[0], row[1]) for row in rows if row[0] in twice)
        assert kinds.keys() == {(each, kind) for each in twice for kind in KINDS}
        assert all(count >= 2 for count in kinds.values())


def said(value):
    if isinstance(value, list):
        return f"cast(array[{', '.join(map(said, value))}] as varchar[])"
    return "null" if value is None else literal(value) if isinstance(value, str) else str(value)
