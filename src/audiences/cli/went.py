"""How syncs went: in words, as JSON, and as an exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from audiences.cli import output, plan
from audiences.cli.session import Chosen, orphan
from audiences.project import awake
from audiences.worker import Result

# Exit codes: someone newly refused or set aside, or not removed; stopped with work left, or of unknown outcome.
NEW, LATER = 4, 5

FATE = {
    "delivered": "delivered",
    "accepted": "accepted",
    "unchanged": "nothing to deliver",
    "guarded": "is stopped by its guard",
    "deferred": "is deferred",
    "stopped": "stopped by a signal; the next run goes on from here",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Went:
    """How the chosen syncs went. strict: whoever is refused or set aside counts, reported before or not."""

    chosen: Chosen
    results: Sequence[Result]
    orphans: Mapping[str, int]
    strict: bool

    @property
    def paused(self) -> list[str]:
        """The syncs that are paused."""
        every = [(audience, binding) for audience, bindings in self.chosen.audiences for binding in bindings]
        return [binding.sync.name for audience, binding in every if not awake(audience, [binding])]

    @property
    def left(self) -> list[str]:
        """The syncs that did not begin, for a signal came first."""
        done = {result.binding.sync.name for result in self.results}
        wanted = [each.sync.name for audience, bindings in self.chosen.audiences for each in awake(audience, bindings)]
        return [name for name in wanted if name not in done]

    @property
    def code(self) -> int:
        """The exit code."""
        codes = [code(result, self.strict) for result in self.results]
        return self.chosen.worst([*codes, LATER] if self.left else codes)


def code(result: Result, strict: bool) -> int:
    """The exit code that one sync asks for."""
    if result.error:
        return result.error.exit_code
    if result.stopped or result.unknown:
        return LATER
    aside = result.plan.set_aside if result.plan else 0
    new = result.fresh or result.unnamed or result.aside or result.stayed
    return NEW if new or (strict and (result.refused or aside)) else 0


def tell(result: Result) -> None:
    """How a sync went, in words."""
    name, fate = result.binding.sync.name, FATE[result.outcome]
    if result.outcome == "unchanged" and result.plan and result.plan.changed:
        fate = "nothing was delivered"
    if result.plan:
        output.say(str(result.plan))
    if result.error:
        sent = f", with {output.count(result.delivered, 'change')} delivered before" if result.delivered else ""
        output.complain(f"{name} {fate}{sent}: {result.error}")
        if result.unknown:
            output.complain(unknown(name, result.unknown))
    else:
        pending = f"; {result.pending:,} taken in, to be judged by the provider" if result.pending else ""
        refused = f"; {result.refused:,} refused, and why: audiences refused {name}" if result.refused else ""
        why = f" ({result.stays})" if result.stays else ""
        stayed = f"; {result.stayed:,} still on the list, since it refuses to remove them{why}" if result.stayed else ""
        unnamed = f"; {result.unnamed:,} of them refused, and it does not say whom" if result.unnamed else ""
        output.say(f"  {fate}{unnamed}{pending}{refused}{stayed}")


def unknown(sync: str, size: int) -> str:
    """Members of unknown outcome and the way out, in words."""
    return (
        f"{sync}: {output.count(size, 'member')} sent without an answer, and not sent again before someone says what"
        f" became of them\n  do: look at the provider, then: audiences resolve {sync}"
    )


def close(went: Went, as_json: bool) -> int:
    """Print what concerns all of them; the exit code."""
    if as_json:
        output.document(
            {
                "syncs": [data(each) for each in went.results],
                "paused": went.paused,
                "left": went.left,
                "orphans": went.orphans,
                "errors": output.problems(went.chosen.errors),
                "exit": went.code,
            }
        )
    else:
        output.say(*words(went))
    return went.code


def words(went: Went) -> Iterator[str]:
    """What concerns all of them, in words; the sum last."""
    yield from (f"{name} is paused" for name in went.paused)
    yield from (f"{name} was not begun: a signal came first" for name in went.left)
    yield from (orphan(name, size) for name, size in went.orphans.items())
    fates = {word: sum(each.outcome == word for each in went.results) for word in FATE}
    fates |= {"paused": len(went.paused), "not begun": len(went.left)}
    ended = ", ".join(f"{number} {word}" for word, number in fates.items() if number)
    changes = output.count(sum(each.delivered for each in went.results), "change")
    yield f"\n{changes} delivered. Syncs: {ended or 'none'}."


def data(result: Result) -> dict[str, object]:
    """How a sync went, as JSON holds it."""
    found: dict[str, object] = {"sync": result.binding.sync.name, "outcome": result.outcome}
    if result.plan:
        found |= plan.numbers(result.plan)
    found |= {"delivered": result.delivered, "refused": result.refused, "newly_refused": result.fresh}
    found["unnamed"] = result.unnamed
    found |= {"not_removed": result.stayed, "not_removed_because": result.stays or None}
    found |= {"pending": result.pending, "unknown": result.unknown}
    return found | ({"error": output.problem(result.error)} if result.error else {})
