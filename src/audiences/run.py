"""One audience: its query is evaluated once, and each of its syncs runs on that. One that fails stops no other."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from audiences import fresh, revision, runs
from audiences.audience import Audience
from audiences.errors import AudienceError, DeliveryError, StaleSource, WarehouseError
from audiences.project import Binding
from audiences.stage import staged
from audiences.state import State
from audiences.steps import Steps
from audiences.worker import Result, Worker

log = structlog.get_logger()


def audience(worker: Worker, audience: Audience, bindings: Sequence[Binding]) -> list[Result]:
    """Run the syncs of one audience, which share its evaluation. One that fails does not stop the others.

    None is begun after the worker was told to stop; such a sync has no result.
    """
    run, commit = uuid.uuid4().hex[:12], revision.of(audience.path) or worker.commit
    with (
        structlog.contextvars.bound_contextvars(audience=audience.name),
        worker.warehouse.labelled(_label(audience.name, commit)),
        worker.stage("audience", audience=audience.name) as told,
    ):
        try:
            with ExitStack() as stack:
                with worker.stage("evaluate"), worker.warehouse.bounded(audience.timeout, audience.bytes):
                    stale = _stale(worker, audience)  # before it is read: a load in between makes no old data new
                    types = worker.warehouse.described(audience.select)
                    readers = () if stale else bindings
                    source = stack.enter_context(staged(worker.warehouse, audience, readers, run, types))
                run_one = partial(_sync, worker, audience, source=source, types=types, stale=stale, commit=commit)
                return [run_one(binding) for binding in bindings if not worker.stop()]
        except AudienceError as error:
            told.fails(error)
            return _failed(worker.state, audience, bindings, error, commit)


def failed(
    state: State, audience: Audience, bindings: Sequence[Binding], error: AudienceError, commit: str | None = None
) -> list[Result]:
    """What becomes of syncs that could not begin, noted where the state database is there to note it.

    commit: of the definitions, where git does not tell
    """
    return _failed(state, audience, bindings, error, revision.of(audience.path) or commit)


def _failed(
    state: State, audience: Audience, bindings: Sequence[Binding], error: AudienceError, commit: str | None
) -> list[Result]:
    results = [Result(each, error=error) for each in bindings]
    with suppress(WarehouseError):
        for each in results:
            begun = _begun(state, audience, each.binding, commit)
            runs.end(state, begun, each.outcome, None, error)
    return results


def _begun(state: State, audience: Audience, binding: Binding, commit: str | None) -> str:
    """A run that has begun; its id."""
    return runs.begin(state, binding.sync.name, audience.fingerprint, commit, audience.select)


def _label(name: str, commit: str | None, run: str = "") -> str:
    """What the warehouse is told of whose its statements are. run: as the state database names it"""
    return " ".join([name, *(["run", run] if run else []), *(["commit", commit] if commit else [])])


def _stale(worker: Worker, audience: Audience) -> StaleSource | None:
    """Why an audience's source is too old to be read, if it is."""
    return fresh.look(worker.warehouse, audience.fresh, worker.now()).stale if audience.fresh else None


def _sync(
    worker: Worker,
    audience: Audience,
    binding: Binding,
    source: str,
    types: Mapping[str, str],
    stale: StaleSource | None,
    commit: str | None,
) -> Result:
    name = binding.sync.name
    before = runs.last(worker.state, name)
    begun = _begun(worker.state, audience, binding, commit)
    with (
        structlog.contextvars.bound_contextvars(sync=name, run=begun),
        worker.warehouse.labelled(_label(name, commit, begun)),
        worker.stage("run", audience=audience.name, sync=name, run=begun) as told,
    ):
        result = _stepped(Steps(worker, audience, binding, source, dict(types), begun, stale))
        if result.plan:
            result = replace(result, aside=max(0, result.plan.set_aside - (before.set_aside if before else 0)))
        found = {each: getattr(result, each) for each in ("refused", "unnamed", "delivered", "pending", "unknown")}
        found |= {"newly_refused": result.fresh, "not_removed": result.stayed}
        if result.size is not None:
            found["size"] = result.size
        runs.end(worker.state, begun, result.outcome, result.plan, result.error, **found)
        told.tell(outcome=result.outcome, **found)
        told.fails(result.error)
        log.info(
            "sync.ended",
            outcome=result.outcome,
            delivered=result.delivered,
            refused=result.refused,
            pending=result.pending,
        )
        return result


def _stepped(steps: Steps) -> Result:
    """How the steps went, whatever stopped them."""
    try:
        steps.go()
    except AudienceError as error:
        return replace(steps.result, error=error)
    except Exception as error:
        return replace(steps.result, error=defect(error))
    return steps.result


def defect(error: Exception) -> AudienceError:
    """A fault of ours, by its class and place: its words may hold a person. It stops one sync, not the others."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return DeliveryError(
        f"audiences has a defect: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}",
        do="report it; what was sent is settled by the next run",
    )
