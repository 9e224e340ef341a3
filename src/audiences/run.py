"""One audience: its query is evaluated once, and each of its syncs runs on that. One that fails stops no other."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from audiences import runs
from audiences.audience import Audience
from audiences.errors import AudienceError, DeliveryError
from audiences.project import Binding
from audiences.stage import staged
from audiences.steps import Steps
from audiences.worker import Result, Worker

log = structlog.get_logger()


def audience(worker: Worker, audience: Audience, bindings: Sequence[Binding]) -> list[Result]:
    """Run the syncs of one audience, which share its evaluation. One that fails does not stop the others.

    None is begun after the worker was told to stop; such a sync has no result.
    """
    run = uuid.uuid4().hex[:12]
    with structlog.contextvars.bound_contextvars(run=run, audience=audience.name):
        try:
            types = worker.warehouse.described(audience.select)
            with staged(worker.warehouse, audience, len(bindings), run) as source:
                return [
                    _sync(worker, audience, binding, source, types, run) for binding in bindings if not worker.stop()
                ]
        except AudienceError as error:
            return [Result(binding, error=error) for binding in bindings]


def _sync(
    worker: Worker, audience: Audience, binding: Binding, source: str, types: Mapping[str, str], run: str
) -> Result:
    name = binding.sync.name
    with structlog.contextvars.bound_contextvars(sync=name):
        before = runs.last(worker.state, name)
        begun = runs.begin(worker.state, name, audience.fingerprint)
        steps = Steps(worker, audience, binding, source, dict(types), begun)
        try:
            steps.go()
        except AudienceError as error:
            steps.result = replace(steps.result, error=error)
        except Exception as error:
            steps.result = replace(steps.result, error=defect(error))
        result = steps.result
        if result.plan:
            result = replace(result, aside=max(0, result.plan.set_aside - (before.set_aside if before else 0)))
        runs.end(worker.state, begun, result.outcome, result.plan, result.refused)
        log.info(
            "sync.ended",
            outcome=result.outcome,
            delivered=result.delivered,
            refused=result.refused,
            pending=result.pending,
        )
        return result


def defect(error: Exception) -> AudienceError:
    """A fault of ours, by its class and place: its words may hold a person. It stops one sync, not the others."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return DeliveryError(
        f"audiences has a defect: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}",
        do="report it; what was sent is settled by the next run",
    )
