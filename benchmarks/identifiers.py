"""How fast a batch of members becomes what an ads platform is sent, beside a bare loop of the same library calls.

Each member has an address and a telephone number, as the warehouse gives them: two identifiers, one a row. The bare
loop parses and writes each number by `phonenumbers` and hashes both by `hashlib`; it checks nothing and keeps nothing.

    .venv/bin/python benchmarks/identifiers.py --members 1000000
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from time import process_time
from typing import Any, ClassVar

import phonenumbers

from audiences import Hashed, Kind, Limits, Member, Receipt
from audiences.normal import EMAIL, PHONE_PLUS

BATCH = 10_000


class Platform(Hashed):
    """It is sent nothing: only what would be sent is made."""

    limits = Limits(batch=BATCH)
    kinds: ClassVar = {"email": Kind(("email",), (EMAIL,)), "phone": Kind(("phone",), (PHONE_PLUS,))}

    @classmethod
    def reach(cls, settings: object) -> dict[str, object]:
        return {}

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        assert len(found) == len(members)
        return Receipt.of(members, rejected)

    remove = upsert


def batches(members: int) -> Iterator[Sequence[tuple[str, str]]]:
    """Addresses and numbers of `members` people, all different, a batch at a time."""
    for first in range(0, members, BATCH):
        some = range(first, min(first + BATCH, members))
        yield [(f"person{n}@example.com", f"+4930{n:08d}") for n in some]


def rows(people: Sequence[tuple[str, str]]) -> list[Member]:
    """As the outbox gives them."""
    found = [
        row for email, phone in people for row in ({"email": email, "phone": None}, {"email": None, "phone": phone})
    ]
    return [Member(str(n), row) for n, row in enumerate(found)]


def ours(members: Sequence[Member]) -> None:
    Platform(None, Platform.Options(), None, ["email", "phone"]).upsert("list", members)


def bare(people: Sequence[tuple[str, str]]) -> None:
    for email, phone in people:
        sha256(email.encode()).hexdigest()
        number = phonenumbers.parse(phone, None)
        sha256(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).encode()).hexdigest()


def rate(way: Callable[[Any], None], members: int, made: Callable[[Any], Any] = list) -> float:
    """Members a second of processor time. What makes them is not counted."""
    spent = 0.0
    for people in map(made, batches(members)):
        began = process_time()
        way(people)
        spent += process_time() - began
    return members / spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1_000_000)
    members = parser.parse_args().members
    rate(bare, BATCH)  # the library reads a country's plan when it first needs it
    loop, own = rate(bare, members), rate(ours, members, rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    print(
        f"{members:,} members: {own:,.0f} a second, the bare loop {loop:,.0f}: ratio {own / loop:.2f}; {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
