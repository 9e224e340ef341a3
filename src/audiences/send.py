"""One batch to one connector, until every row has its verdict or the sync must stop.

A batch that is refused as a whole is halved, widest parts first, until the culprits stand alone. A batch that finds
nobody accepted on the way down is a fault of set-up: then nobody is marked refused. Whatever stops a batch after one of
its calls was applied leaves it in doubt.
"""

from __future__ import annotations

import math
import traceback
from collections import deque
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from audiences import mask, portable, ranges
from audiences.batch import Batch, Sent, Verdict
from audiences.connector import Connector
from audiences.errors import AudienceError, BatchRefused, DeliveryError, TooLarge, Unanswered
from audiences.http import Trace, watching
from audiences.member import Member, Receipt, Written, keys, seqs
from audiences.ranges import Range

Parts = Iterable[Sequence[Member]]
FEWEST = 10  # members; a smaller batch may well be refused to the last one


def send(connector: Connector, batch: Batch) -> Sent:
    """Send a batch. Never raises: what must stop the sync is in the answer."""
    with watching() as trace:
        attempt = Attempt(connector, batch, trace)
        attempt.run()
    return attempt.sent()


@dataclass
class Attempt:
    """One batch on its way: what is settled of it so far. Places are those of the outbox."""

    connector: Connector
    batch: Batch
    trace: Trace
    calls: int = 0
    accepted: list[Range] = field(default_factory=list)
    taken: dict[str, list[Range]] = field(default_factory=dict)  # ticket -> seqs that its job will judge
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)  # seq -> key, reason
    silent: list[Range] = field(default_factory=list)  # sent, and nothing certain came back
    error: AudienceError | None = None
    said: str = ""  # the last words for a whole batch, people masked
    touched: bool = False  # a part that was refused as a whole had calls that were applied
    unnamed: int = 0  # accepted, and counted among the refused without a name

    def run(self) -> None:
        waiting = deque([self._ready()])
        while waiting and self.error is None:
            part = waiting.popleft()
            if not part:
                continue
            with watching() as call:
                try:
                    self._settle(part, self._call(part))
                except BatchRefused as refusal:
                    waiting.extend(self._halved(part, refusal))
                    self.touched |= call.applied
                except AudienceError as error:
                    self._broken_off(part, error, call.applied, waiting)
            if not self.error and self._hopeless(bool(waiting)):
                self.error = self._fault()

    def _broken_off(self, part: Sequence[Member], error: AudienceError, applied: bool, waiting: Parts) -> None:
        """Stop. Whom an earlier call for this part, or for one that it is a half of, may have changed is in doubt."""
        self.error = error
        if applied or self.touched or isinstance(error, Unanswered):
            self.silent += ranges.of(seqs(part))
        if self.touched:
            self.silent += [span for left in waiting for span in ranges.of(seqs(left))]

    def sent(self) -> Sent:
        """Verdicts for the rows. After an attempt without an answer, a refusal is a doubt, and the rest is unknown:
        also who has a ticket, for the lost attempt may have begun a job of its own, which nobody could ask for.
        """
        tickets = {} if self.trace.unanswered else self.taken
        taken = [span for spans in tickets.values() for span in spans]
        refused = ranges.of(self.refused)
        found = {
            Verdict.OK: ranges.joined(self.accepted),
            Verdict.TICKET: ranges.joined(taken),
            Verdict.DOUBT if self.trace.unanswered else Verdict.REFUSED: refused,
        }
        if not self.trace.unanswered:
            known = [*self.accepted, *taken, *refused, *self.silent]
            found[Verdict.NO] = ranges.without(ranges.of(seqs(self.batch.members)), known)
        return Sent(
            {verdict: spans for verdict, spans in found.items() if spans},
            len(self.batch.members),
            self.calls,
            dict(self.refused.values()),
            {ticket: ranges.joined(spans) for ticket, spans in tickets.items()},
            self.error,
            self.unnamed,
        )

    def _ready(self) -> Sequence[Member]:
        """The members that can travel; one whose values cannot is refused here."""
        members = self.batch.members
        if isinstance(members, Written) or portable.plain(member.fields for member in members):
            return members
        return [each for member in members if (each := self._fitted(member))]

    def _fitted(self, member: Member) -> Member | None:
        try:
            return Member(member.key, portable.fields(member.fields), member.seq)
        except ValueError as error:
            self.refused[member.seq] = (member.key, str(error))
            return None

    def _call(self, part: Sequence[Member]) -> Receipt:
        """One call of a verb, and a receipt that speaks of every member. Silence is not success."""
        verb = self.connector.upsert if self.batch.verb == "upsert" else self.connector.remove
        self.calls += 1
        try:
            receipt = verb(self.batch.list_id, part)
        except (AudienceError, BatchRefused):
            raise
        except Exception as error:
            raise broken(type(self.connector), error) from None
        return covering(receipt, part, tickets=type(self.connector).judges_later())

    def _settle(self, part: Sequence[Member], receipt: Receipt) -> None:
        self.unnamed += receipt.unnamed
        accepted = self.accepted if receipt.ticket is None else self.taken.setdefault(receipt.ticket, [])
        if not receipt.rejected:
            accepted += ranges.of(seqs(part))
            return
        for member in part:
            if member.key in receipt.rejected:
                self._refuse(member, receipt.rejected[member.key])
            else:
                accepted.append((member.seq, member.seq))

    def _halved(self, part: Sequence[Member], refusal: BatchRefused) -> Parts:
        if len(part) == 1:
            self._refuse(part[0], refusal.reason)
            return ()
        if isinstance(refusal, TooLarge):
            self.calls -= 1  # none was made, and it speaks of the batch's size, not of its set-up
        else:
            values = [value for member in part for value in member.fields.values()]
            self.said = self.said or mask.text(str(refusal.reason), values)
        middle = len(part) // 2
        return part[:middle], part[middle:]

    def _refuse(self, member: Member, reason: str) -> None:
        self.refused[member.seq] = (member.key, mask.text(str(reason), (member.key, *member.fields.values())))

    def _hopeless(self, more: bool) -> bool:
        """Whether a batch of some size, none of it refused before, is refused as a whole and has found nobody accepted.

        A receipt that rejects each member by name judges members, not the set-up.
        """
        size = len(self.batch.members)
        if self.accepted or self.taken or self.batch.again or size < FEWEST or not self.said:
            return False
        return not more or self.calls >= 2 * math.ceil(math.log2(size))

    def _fault(self) -> AudienceError:
        self.refused.clear()
        return DeliveryError(
            f"{type(self.connector).__name__} accepts nobody of a batch of {len(self.batch.members):,}: {self.said}",
            do="look at what is sent (audiences plan --sample 3) and at the sync's options; nobody was marked refused",
        )


def covering(receipt: object, part: Sequence[Member], tickets: bool = False) -> Receipt:
    """The receipt, if it speaks of every member of its batch and of no other.

    tickets: whether it may leave the verdict to a job whose outcome can be asked for
    """
    if not (isinstance(receipt, Receipt) and _speaks_of(receipt, keys(part))):
        raise Unanswered(
            "the connector's receipt does not speak of every member of its batch, once each",
            do="return Receipt.of(members, rejected={key: reason})",
        )
    if receipt.ticket is None or (tickets and isinstance(receipt.ticket, str) and receipt.ticket.strip()):
        return receipt
    raise Unanswered(
        f"a ticket is text, and not {type(receipt.ticket).__name__} or nothing"
        if tickets
        else "the connector answers with a ticket, and has no outcome that could be asked for it",
        do="return Receipt.of(members, rejected, ticket=…) with the provider's own name for the job, and write outcome",
    )


def _speaks_of(receipt: Receipt, keys: Set[str]) -> bool:
    accepted, rejected = receipt.accepted, receipt.rejected.keys()
    if accepted is keys and not rejected:
        return True
    return (accepted | rejected if rejected else accepted) == keys and rejected.isdisjoint(accepted)


def broken(connector: type[Connector], error: Exception) -> AudienceError:
    """A connector's own fault, named by class and line: its words may hold a person."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return Unanswered(
        f"the connector {connector.__name__} fails with {type(error).__name__}"
        f" ({Path(last.filename).name}:{last.lineno})",
        do="mend the connector; what was in flight is kept as in doubt, and settled by the next run",
    )
