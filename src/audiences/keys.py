"""The keys of a header, described once: checked when a file is read, and published as JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from audiences import cron, span
from audiences.audience import Guard, Mode

NAME = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
NAME_RULE = "lower-case letters, digits and single underscores, a letter first: power_users"
# As SQL writes them: a reference may be quoted, and a table's has the parts that its engine wants.
PART = r"""([^\W\d][\w$]*|"[^"]+"|`[^`]+`)"""
FIELD_BYTES = 58  # PostgreSQL cuts names at 63 bytes, and the columns of the ledger have a prefix
_GUARD = Guard()


def amiss(what: str, do: str) -> PydanticCustomError:
    """What a validator raises: the mistake and its remedy in our own words."""
    return PydanticCustomError("amiss", "{what}", {"what": what, "do": do})


def _named(pattern: str, rule: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise amiss(f"{value!r} is no name here", f"write {rule}")
        return value

    return check


def _span(value: object) -> timedelta:
    try:
        return span.read(str(value))
    except ValueError as error:
        raise amiss(str(error), 'write a number and a unit, as in "90 seconds", "2 hours" or "1 day"') from None


def _countable(value: timedelta) -> timedelta:
    """PostgreSQL counts a time-out in milliseconds, in 31 bits."""
    if value > timedelta(days=24):
        raise amiss("is over 24 days", 'write "24 days" at most')
    return value


def _text(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise amiss("must be text, not blank and on one line", "write it in quotes")
    return value


def _columns(value: object) -> object:
    """Both ways of writing a key as one."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not value or not all(isinstance(column, str) for column in value):
        raise amiss("must be a column, or a list of columns", 'write "customer_id", or ["account_id", "user_id"]')
    if twice := _twice(value):
        raise amiss(f"names {twice!r} twice", "name each column once")
    return tuple(value)


def _schedule(value: str) -> str:
    try:
        cron.fields(value)
    except ValueError as error:
        raise amiss(
            f"{json.dumps(value)} is no cron line: {error}",
            "write minute, hour, day, month, weekday, as in 30 6 * * mon-fri, or @daily",
        ) from None
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder of the zone database, as in "Europe"
        raise amiss(f"{value!r} is no timezone", "write an IANA name, as in Europe/Berlin or UTC") from None
    return value


def _pairs(value: object) -> dict[object, object]:
    """Both ways of writing `send` as one: destination field -> column."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not all(isinstance(column, str) for column in value):
        raise amiss("must be a list of columns, or a table", 'write ["email"], or { field = "column" }')
    if twice := _twice(value):
        raise amiss(f"names {twice!r} twice", "name each column once, or write { field = column } to send it twice")
    return {column: column for column in value}


def _fields(send: dict[str, str]) -> dict[str, str]:
    if not send:
        raise amiss("sends nothing", "name at least one column that the query returns")
    for field in send:
        if len(field.encode()) > FIELD_BYTES:
            raise amiss(f"the field {field!r} is over {FIELD_BYTES} bytes", "give it a shorter name")
    if twice := _twice(send):
        raise amiss(
            f"two fields differ only in case: {twice!r}", "give them different names: many engines do not see case"
        )
    return send


def _twice(names: Iterable[str]) -> str | None:
    """The first name that stands there already, upper and lower case being one."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            return name
        seen.add(name.casefold())
    return None


Name = Annotated[
    str, AfterValidator(_named(NAME, NAME_RULE)), WithJsonSchema({"type": "string", "pattern": f"^{NAME}$"})
]
SyncName = Annotated[
    str,
    AfterValidator(_named(rf"{NAME}\.{NAME}", "audience.section, as in power_users.hubspot")),
    WithJsonSchema({"type": "string", "pattern": rf"^{NAME}\.{NAME}$"}),
]
Text = Annotated[str, AfterValidator(_text), Field(min_length=1)]
Key = Annotated[
    tuple[Text, ...],
    BeforeValidator(_columns, json_schema_input_type=Text | Annotated[list[Text], Field(min_length=1)]),
]
Send = Annotated[
    dict[Text, Text],
    BeforeValidator(_pairs, json_schema_input_type=list[Text] | dict[Text, Text]),
    AfterValidator(_fields),
]
Column = Annotated[str, AfterValidator(_named(PART, "a column as SQL names it, as in loaded_at"))]
Table = Annotated[
    str, AfterValidator(_named(rf"{PART}(\.{PART}){{0,3}}", "a table as SQL names it, as in shop.orders"))
]
Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    WithJsonSchema({"type": "string", "pattern": f"^{span.PATTERN}$"}),
]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class GuardKeys(_Keys):
    """The most that one run may change of a list unasked. Shares are of the members listed."""

    added: Share = Field(_GUARD.added, description="share that one run may add", examples=[0.5])
    updated: Share = Field(_GUARD.updated, description="share that one run may update", examples=[0.5])
    removed: Share = Field(_GUARD.removed, description="share that one run may remove", examples=[0.2])
    floor: int = Field(_GUARD.floor, ge=0, description="members below which shares do not count", examples=[10])
    most: int | None = Field(_GUARD.most, ge=1, description="members that one run may change", examples=[5000])
    empty: bool = Field(_GUARD.empty, description="whether an empty result may empty the list", examples=[True])


class FreshKeys(_Keys):
    """How new a table must be for the audience to run: it does not run on a source that was not loaded."""

    table: Table = Field(description="the table, as SQL names it", examples=["shop.orders"])
    column: Column = Field(description="its column that says when a row came", examples=["loaded_at"])
    within: Span = Field(description="the most that its newest row may be old", examples=["2 hours"])


class LimitsKeys(_Keys):
    """What the audience may cost its warehouse."""

    timeout: Annotated[Span, AfterValidator(_countable)] | None = Field(
        None, description="the most that the warehouse may take", examples=["10 minutes"]
    )
    bytes: int | None = Field(None, ge=1, description="the most that a query may read, on BigQuery", examples=[10**10])


class SyncKeys(_Keys):
    """One list of one connector. Further keys are the connector's own options."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"oneOf": [{"required": ["list"]}, {"required": ["list_id"]}]}
    )

    connector: Name | None = Field(
        None, description="the connector, where the section has another name", examples=["hubspot"]
    )
    list: Text | None = Field(None, description="the list's name", examples=["NPS detractors"])
    list_id: Text | None = Field(None, description="the list's id", examples=["1234"])
    send: Send = Field(description="columns, or destination field = column", examples=[["email"]])
    mode: Mode = Field(
        "mirror",
        description="mirror: adds, updates and removes; upsert: never removes; add: only adds",
        examples=["mirror"],
    )
    paused: bool = Field(False, description="whether nothing is sent for now", examples=[True])
    experimental: bool = Field(
        False, description="whether a connector that is still experimental may be used", examples=[True]
    )
    renamed_from: SyncName | None = Field(
        None, description="the sync's name before it was renamed", examples=["detractors.hubspot"]
    )

    @model_validator(mode="after")
    def _one_list(self) -> SyncKeys:
        if (self.list is None) == (self.list_id is None):
            written = "neither list nor list_id" if self.list is None else "both list and list_id"
            raise amiss(f"has {written}", 'write exactly one of them, as in list = "NPS detractors"')
        return self


class Header(_Keys):
    """The header of an audience file: TOML in line comments, between `-- /// audience` and `-- ///`."""

    about: Text = Field(description="who belongs, in one sentence", examples=["Latest NPS answer was 0 to 6"])
    owner: Text = Field(description="who is told when something is wrong", examples=["cx@example.com"])
    key: Key = Field(description="the column that names a member, or several that do", examples=["customer_id"])
    schedule: Annotated[str, AfterValidator(_schedule)] = Field(
        description="five cron fields, or @daily and its like", examples=["*/15 * * * *"]
    )
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        "UTC", description="the IANA timezone of the schedule", examples=["Europe/Berlin"]
    )
    paused: bool = Field(False, description="whether nothing is sent for now", examples=[True])
    sync: dict[Name, SyncKeys] = Field(
        min_length=1,
        description="a section [sync.<connector>] for each list",
        json_schema_extra={"additionalProperties": False},
    )
    guard: GuardKeys = Field(default_factory=lambda: GuardKeys.model_validate({}), description="a section [guard]")
    fresh: FreshKeys | None = Field(None, description="a section [fresh]")
    limits: LimitsKeys = Field(default_factory=LimitsKeys, description="a section [limits]")
