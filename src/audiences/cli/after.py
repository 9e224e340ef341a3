"""What `audiences sync --after-dbt` runs: the audiences that read what dbt has just rebuilt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from audiences import dbt, query
from audiences.cli.session import Chosen, Session
from audiences.errors import AudienceError, Deferred


def concerned(session: Session, found: Chosen, results: Path) -> Chosen:
    """Of these audiences those whose SQL names a model of the run, and why one of them must not run.

    Raises DefinitionError where `results` is no run_results.json of a run that rebuilds.
    """
    rebuilt, spoilt = dbt.read(results), dict[str, AudienceError]()
    reading = []
    for audience, bindings in found.audiences:
        models = rebuilt.named(query.tables(audience.select, session.dialect))
        if models:
            reading.append((audience, bindings))
        if reasons := [why for why in models if why]:
            spoilt[audience.name] = Deferred("; ".join(reasons), do="mend it, run dbt again, and then this command")
    return replace(found, audiences=reading, spoilt=spoilt)
