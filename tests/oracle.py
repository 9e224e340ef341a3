"""What one comparison must say, in plain Python: the rules of the plan, one after the other, without SQL."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class Person(NamedTuple):
    """One row of an audience."""

    key: int | None
    email: str | None
    nps: int | None


class Claim(NamedTuple):
    """One row of a ledger. old: whether it is older than half of a lifetime."""

    key: int
    ident: str
    list: str
    email: str | None
    nps: int | None
    sure: bool
    old: bool = False


class Refusal(NamedTuple):
    """One row of the refused. due: whether it may be tried again."""

    key: int
    ident: str
    list: str
    email: str | None
    nps: int | None
    due: bool


class Change(NamedTuple):
    """One row of an outbox, without its place."""

    phase: int
    verb: str
    key: int
    ident: str
    list: str
    email: str | None
    nps: int | None


@dataclass(frozen=True)
class Case:
    people: list[Person]
    claims: list[Claim] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    list: str = "L"
    mode: str = "mirror"
    repeatable: bool = True
    mortal: bool = False  # whether the provider forgets who is not sent again


def ident(email: str | None) -> str | None:
    return (email or "").strip(" ").lower() or None


def plan(case: Case) -> tuple[set[Change], dict[str, int]]:
    """The changes, and how many members each count must name."""
    rows = Counter(person.key for person in case.people if person.key is not None)
    repeated = {key for key, count in rows.items() if count > 1}
    members = [person for person in case.people if person.key is not None and person.key not in repeated]
    wanted = {person.key: person for person in members if ident(person.email)}
    claims = {(claim.key, claim.ident, claim.list): claim for claim in case.claims}
    listed = {claim.key for claim in case.claims}

    def frozen(key: int, name: str) -> bool:
        doubts = [claim for claim in case.claims if not claim.sure]
        return not case.repeatable and any(claim.key == key or claim.ident == name for claim in doubts)

    def needed(person: Person) -> bool:
        claim = claims.get((person.key, ident(person.email), case.list))
        if case.mode == "add" and any(each.sure and each.key == person.key for each in case.claims):
            return False
        return claim is None or not claim.sure or (claim.email, claim.nps) != (person.email, person.nps)

    def aged(person: Person) -> bool:
        claim = claims.get((person.key, ident(person.email), case.list))
        same = claim is not None and claim.sure and (claim.email, claim.nps) == (person.email, person.nps)
        return case.mortal and claim is not None and same and claim.old

    def waits(person: Person) -> bool:
        here = (person.key, ident(person.email), case.list, person.email, person.nps, False)
        return here in case.refusals

    stays = [
        claim
        for claim in case.claims
        if claim.key in repeated
        or (claim.key in wanted and claim.ident == ident(wanted[claim.key].email) and claim.list == case.list)
    ]
    carried = {ident(person.email) for person in case.people if person.key in wanted or person.key in repeated}
    carried |= {claim.ident for claim in stays if claim.list == case.list}
    vouched = {claim.ident for claim in stays if claim.list == case.list and claim.sure}

    out = set()
    for key, person in wanted.items():
        if waits(person) or frozen(key, ident(person.email)):
            continue
        again = any(refusal.key == key for refusal in case.refusals)
        for phase, verb, sent in ((3, "upsert", needed(person)), (6, "refresh", aged(person))):
            if sent:
                out.add(Change(phase + again, verb, key, ident(person.email), case.list, person.email, person.nps))

    off: dict[tuple[str, str], list[Claim]] = {}
    gone = [claim for claim in case.claims if claim not in stays]
    for claim in gone:
        if frozen(claim.key, claim.ident) or case.mode != "mirror":
            continue
        if claim.list != case.list or claim.ident not in carried:
            off.setdefault((claim.ident, claim.list), []).append(claim)
        elif claim.ident in vouched:
            out.add(Change(1, "release", *claim[:5]))
    for leaving in off.values():
        moving = [claim for claim in leaving if claim.key in wanted and claim.list == case.list]
        phase, verb = (2, "move") if moving else (5, "remove")
        out.add(Change(phase, verb, *min(moving or leaving)[:5]))

    there = {person.key for person in case.people} | listed
    for refusal in case.refusals:
        if refusal.key not in there:
            out.add(Change(1, "release", refusal.key, refusal.ident, refusal.list, None, None))

    left = {claim.key for claims in off.values() for claim in claims if claim.key not in wanted}
    sent = {change.key for change in out if change.verb == "upsert"}
    return out, {
        "rows": len(case.people),
        "keyless": sum(person.key is None for person in case.people),
        "repeated": len(repeated),
        "nameless": len(members) - len(wanted),
        "listed": len(listed),
        "second": len(case.claims) - len(listed),
        "added": len(sent - listed),
        "updated": len((sent & listed) | {change.key for change in out if change.verb == "move"}),
        "removed": len(left),
        "refreshed": sum(change.verb == "refresh" for change in out),
        "waiting": sum((needed(person) or aged(person)) and waits(person) for person in wanted.values()),
        "unknown": 0 if case.repeatable else sum(not claim.sure for claim in case.claims),
    }
