"""From a sync and the warehouse as it is to the comparison that is its plan: names resolved, types and ledger known."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from audiences import cron, header
from audiences.audience import Audience
from audiences.changes import Changes
from audiences.claims import Asked, claims
from audiences.control import Control
from audiences.digests import digests, kept, named
from audiences.errors import DefinitionError, WarehouseError
from audiences.hashed import Hashed
from audiences.joined import Refresh
from audiences.project import Binding
from audiences.terms import SENT, Known, Terms, sent
from audiences.theirs import theirs
from audiences.warehouse import Warehouse, Words, literal, quoted

KINDS = ("ledger", "refused", "pending")


def asked(warehouse: Warehouse, audience: Audience, binding: Binding, source: str, types: Mapping[str, str]) -> Asked:
    """What a sync reads of `source`, the audience's rows. DefinitionError for a column that it does not return."""
    key = tuple(column(audience, part, types, "key") for part in audience.key)
    at = ("sync", binding.sync.section, "send")
    send = {name: column(audience, wanted, types, *at, name) for name, wanted in binding.sync.send.items()}
    if not issubclass(binding.connector, Hashed):
        return Asked(source, warehouse.stored(types), key, send)
    consents = binding.connector.consented(binding.options, tuple(send))
    kinds = binding.connector.sent_kinds(binding.options, tuple(send))
    if warehouse.source:
        made = {field: named(binding.sync, field) for field in send}
        hashed = digests([binding], types)
        send = {field: made[field] if made[field] in hashed else wanted for field, wanted in send.items()}
        types, kinds = {**types, **{name: each.kind for name, each in hashed.items()}}, kept(binding, kinds)
    several = frozenset(name for name, kind in types.items() if kind.endswith("]"))
    return claims(warehouse.words, Asked(source, warehouse.stored(types), key, send, consents, several), kinds)


def terms(audience: Audience, binding: Binding, asked: Asked, list_id: str) -> Terms:
    """The terms of a sync."""
    sync, connector = binding.sync, binding.connector
    with theirs(connector):
        lifetime = connector.lasts(binding.options)
    named = [asked.send[name] for name in binding.identity] or asked.key
    return Terms(
        sync.table,
        asked.key,
        asked.send,
        binding.identity,
        list_id,
        sync.mode,
        connector.repeatable,
        connector.judged_within,
        lifetime,
        cron.apart(audience.schedule, audience.timezone) if lifetime else timedelta(0),
        asked.consents,
        connector.fewest,
        tuple(asked.types[column] for column in named),
    )


def column(audience: Audience, wanted: str, types: Mapping[str, str], *at: str) -> str:
    """The query's own spelling of a column; engines do not tell case apart. at: the header's keys that name it"""
    found = {name.casefold(): name for name in types}
    if name := found.get(wanted.casefold()):
        return name
    near = difflib.get_close_matches(wanted, types, 1)
    raise DefinitionError(
        f"{header.cut(audience.path).place(*at)} uses the column {wanted!r}, which the query does not return"
        + (f" (it returns {near[0]!r})" if near else ""),
        do=f"select it, or name one of: {', '.join(types)}",
    )


def changes(
    warehouse: Warehouse, terms: Terms, source: str, types: Mapping[str, str], control: Control | None, now: datetime
) -> Changes:
    """The comparison of `source` with what the ledger holds at this moment."""
    words = warehouse.words
    key, key_type = words.key(terms.key, types)
    sent_now = {SENT + name: types[column] for name, column in terms.send.items()}
    own = {"key": key_type, "ident": words.text, "list": words.text, **sent_now}
    found = known(warehouse, terms, control, own)
    ledger = shaped(warehouse, f"ledger_{terms.table}", {**found.columns, "key": key_type})
    refused = shaped(warehouse, f"refused_{terms.table}", {**own, "retry_at": words.moment})
    pending = shaped(warehouse, f"pending_{terms.table}", {"key": key_type, "ident": words.text})
    held = frozen(terms, ledger, pending, now)
    again = refresh(terms, now)
    light = not found.empty and words.light(warehouse.run, source)
    return Changes(
        words, terms, source, types, key, found, ledger, refused, moment(now), again, light=light, frozen=held
    )


def refresh(terms: Terms, now: datetime) -> Refresh | None:
    """Who is sent again though nothing differs: from half of the lifetime on, so many a run that all have come round
    by three quarters of it. Whoever is older than that is sent whatever their number: nobody is forgotten while runs
    are no further apart than the last quarter.
    """
    if not terms.lifetime:
        return None
    share = min(1.0, 4 * (terms.apart / terms.lifetime))
    return Refresh(moment(now - terms.lifetime / 2), moment(now - 3 * terms.lifetime / 4), share)


def frozen(terms: Terms, ledger: str, pending: str, now: datetime) -> str:
    """Who is neither sent nor lost, as a SELECT of key and ident; empty where there can be nobody.

    A claim in doubt of a connector whose verbs are not safe to repeat waits for read-back or a person. Whoever has an
    open ticket waits for the provider's verdict; so does a young doubt, for its ticket may have been lost.
    """
    doubts = f'select l."key", l.ident from {ledger} l where not l.sure'
    parts = []
    if terms.judged_within:
        parts.append(f'select p."key", p.ident from {pending} p')
    if terms.judged_within and terms.repeatable:
        parts.append(f'{doubts} and l."at" > {moment(now - terms.judged_within)}')
    if not terms.repeatable:
        parts.append(doubts)
    return " union all ".join(parts)


def shaped(warehouse: Warehouse, table: str, wanted: Mapping[str, str]) -> str:
    """One of our tables with at least these columns: in a dry run it may be of an older definition, or missing."""
    held = warehouse.columns(table)
    if wanted.items() <= held.items():
        return warehouse.table(table)
    columns = ", ".join(
        f"{_cast(warehouse.words, name, kind, held)} as {quoted(name)}" for name, kind in wanted.items()
    )
    return f"(select {columns} from {warehouse.table(table)})" if held else f"(select {columns} where false)"


def _cast(words: Words, name: str, kind: str, held: Mapping[str, str]) -> str:
    if name not in held:
        return f"cast(null as {kind})"
    if held[name] == kind:
        return quoted(name)
    return f"cast({quoted(name)} as {kind})" if name == "key" else words.fitted(quoted(name), kind)


def known(warehouse: Warehouse, terms: Terms, control: Control | None, types: Mapping[str, str]) -> Known:
    """What there is to compare with. A missing ledger is an empty one.

    types: column of a claim -> its type now
    """
    columns = warehouse.columns(f"ledger_{terms.table}")
    if not columns or control is None:
        return Known()
    tables = [name for kind in KINDS if warehouse.columns(name := f"{kind}_{terms.table}")]
    [(empty,)] = warehouse.run(
        "select " + " and ".join(f"not exists (select 1 from {warehouse.table(name)})" for name in tables)
    )
    claims = [name for name in tables if not name.startswith("refused_")]
    return Known(
        columns, empty, control.rule != terms.rule and any(mixed(warehouse, terms, name, types) for name in claims)
    )


def mixed(warehouse: Warehouse, terms: Terms, table: str, types: Mapping[str, str]) -> bool:
    """Whether a table holds a claim of another rule than today's, so that idents must be compared, too.

    What waits for a verdict counts: it becomes a claim as it was sent, whenever that comes.
    """
    if any(SENT + name not in warehouse.columns(table) for name in terms.identity):
        return True
    ident = terms.ident('"key"', {name: sent(name) for name in terms.identity})
    [(found,)] = warehouse.run(
        f"select exists (select 1 from {shaped(warehouse, table, types)}"
        f" where list <> {literal(terms.list_id)} or ident is distinct from {ident})"
    )
    return bool(found)


def moment(now: datetime) -> str:
    """A moment (UTC) as an SQL literal."""
    return f"timestamp '{now:%Y-%m-%d %H:%M:%S.%f}'"


def explained(warehouse: Warehouse, changes: Changes, audience: Audience) -> str:
    """Why a plan may be so large, where the columns tell: a field is new in `send`, or has lost all its values.

    It evaluates the audience once more: to count values in every run would cost all those that nobody stops. Where that
    fails it says nothing, for the plan is stopped all the same.
    """
    with suppress(WarehouseError), warehouse.bounded(audience.timeout, audience.bytes):
        return "; ".join(_reasons(warehouse, changes))
    return ""


def _reasons(warehouse: Warehouse, changes: Changes) -> list[str]:
    names = list(changes.terms.send)
    held = [f"count({sent(name)})" if SENT + name in changes.known.columns else "0" for name in names]
    [before] = warehouse.run(f"select {', '.join(held)} from {changes.ledger}")
    [(rows, *now)] = warehouse.run(changes.filled())
    found = list(zip(names, before, now, strict=True))
    new = [name for name, before, now in found if now and not before]
    lost = [name for name, before, now in found if rows and before and not now]
    words = [f"{name} was added to send, or had no value before" for name in new]
    return words + [f"every value of {name} became NULL" for name in lost]


def same_key(audience: Audience, known: Control | None) -> None:
    """Raise DefinitionError where a ledger was kept by another key."""
    if known and known.key_columns not in (None, audience.key_columns):
        raise DefinitionError(
            f"{audience.path.name} now has the key {audience.key_columns}; its ledger is kept by {known.key_columns}",
            do="write the old key again; or forget who is listed, which removes nobody:"
            f" audiences forget {audience.name}.…",
        )
