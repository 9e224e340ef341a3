"""The worker's own settings, AUDIENCES_…; and where all settings come from: environment, .env, mounted secrets."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from audiences.errors import DefinitionError

SECRETS = Path("/run/secrets")  # where Docker and Compose mount a secret, as a file of its name


class Settings(BaseSettings):
    """
    warehouse_url: SQLAlchemy URL of the warehouse, for example duckdb:///warehouse.duckdb
    ledger_url:    of a DuckDB file that holds our tables, where the warehouse is only read; empty: they are in it
    schema_name:   the one schema of the warehouse that the worker writes (AUDIENCES_SCHEMA)
    state_url:     SQLAlchemy URL of the state database; empty: a SQLite file of the project, outside of it
    patience:      seconds; a host that asks for more is left for the next run
    grace:         seconds; a stopped worker is out by then
    port:          where `serve` answers /healthz, /readyz and /metrics; none: nowhere
    jitter:        seconds; `serve` runs each audience so much later at most, always as much
    alert_…:       how alerts are told: a URL each, which may hold a secret; what signs those to the webhook
    alert_refused: share of a sync's members; more of them refused is an alert
    alert_digest:  cron line, in UTC; when Slack is told how many entered and left; empty: never
    alert_late:    seconds; no good run for so long after one was due is an alert
    commit:        the git commit of the definitions, where they lie in no git folder, as in a container
    history_days:  how far the history of what was sent to whom reaches back; 0: none is kept
    """

    model_config = SettingsConfigDict(
        env_prefix="AUDIENCES_", extra="ignore", frozen=True, dotenv_filtering="only_existing"
    )

    warehouse_url: str = ""
    ledger_url: str = ""
    schema_name: str = Field("audience_sync", validation_alias="AUDIENCES_SCHEMA", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    state_url: str = ""
    patience: float = Field(900.0, gt=0)
    grace: float = Field(60.0, gt=0)
    port: int | None = Field(None, ge=0, le=65535)
    jitter: float = Field(0.0, ge=0)
    alert_slack: SecretStr | None = None
    alert_email: SecretStr | None = None
    alert_webhook: SecretStr | None = None
    alert_webhook_secret: SecretStr | None = None
    alert_refused: float = Field(0.05, ge=0, le=1)
    alert_digest: str = ""
    alert_late: float = Field(3600.0, gt=0)
    commit: str | None = Field(None, pattern="^([0-9a-f]{7,64})?$")
    history_days: int = Field(90, ge=0, le=36500)
    log_level: Literal["debug", "info", "warning", "error"] | None = None  # none: as log.default_level says


def sources(project: Path) -> dict[str, Any]:
    """Where settings are read besides the environment, which wins: the project's .env, then a file a variable.

    The files stand in the folder that AUDIENCES_SECRETS names, else in /run/secrets where there is one, each called as
    its variable. Raises DefinitionError where the folder that is named is none.
    """
    named = os.environ.get("AUDIENCES_SECRETS")
    folder = Path(named) if named else SECRETS
    if named and not folder.is_dir():
        raise DefinitionError(f"AUDIENCES_SECRETS: {folder} is no folder", do="mount the secrets there, or unset it")
    return {
        "_env_file": project / ".env",
        "_env_file_encoding": "utf-8",
        "_secrets_dir": folder if folder.is_dir() else None,
    }


def unreadable(project: Path, error: Exception) -> DefinitionError:
    """What to say where one of these cannot be read; never what it holds."""
    error = error.__cause__ if isinstance(error.__cause__, Exception) else error  # a SettingsError has the reason there
    places = [str(place) for place in (project / ".env", sources(project)["_secrets_dir"]) if place]
    where = getattr(error, "filename", None) or " or a file in ".join(places)
    return DefinitionError(
        f"{where} cannot be read ({type(error).__name__})", do="make it a UTF-8 file that you may read"
    )


def read(project: Path) -> Settings:
    """The settings of a project. Raises DefinitionError naming each variable that cannot be read, never its value."""
    try:
        return Settings(**sources(project))
    except (OSError, UnicodeDecodeError, SettingsError) as error:
        raise unreadable(project, error) from None
    except ValidationError as error:
        names = sorted({str(each["loc"][0]).upper().removeprefix("AUDIENCES_") for each in error.errors()})
        wrong = ", ".join(f"AUDIENCES_{name}" for name in names)
        raise DefinitionError(f"{wrong} cannot be read: {error.errors()[0]['msg']}", do=f"mend {wrong}") from None


def warehouse_url(settings: Settings, project: Path) -> URL:
    """The warehouse's URL; a relative DuckDB path is taken from the project's folder."""
    if not settings.warehouse_url:
        raise DefinitionError(
            "no warehouse is set", do="export AUDIENCES_WAREHOUSE_URL, for example duckdb:///warehouse.duckdb"
        )
    return _anchored(_url("AUDIENCES_WAREHOUSE_URL", settings.warehouse_url), project)


def ledger_url(settings: Settings, project: Path) -> URL | None:
    """Where our tables are if the warehouse is only read; None where they are in the warehouse itself."""
    if not settings.ledger_url:
        return None
    url = _anchored(_url("AUDIENCES_LEDGER_URL", settings.ledger_url), project)
    if url.get_backend_name() != "duckdb" or url.database in (None, "", ":memory:"):
        raise DefinitionError(
            "AUDIENCES_LEDGER_URL names no DuckDB file",
            do="write duckdb:////path/to/ledger.duckdb, on a disk that stays; or unset it and write the warehouse",
        )
    if url.database == warehouse_url(settings, project).database:
        raise DefinitionError(
            "AUDIENCES_LEDGER_URL names the warehouse's own file",
            do="name another file; or unset it, and the warehouse is written",
        )
    return url


def state_url(settings: Settings, project: Path) -> URL:
    """The state database's URL: as set, or a SQLite file named after the project under $XDG_STATE_HOME/audiences/.

    A ledger on the worker's own disk is one worker's: DefinitionError for a state that several could share.
    """
    if settings.state_url:
        url = _anchored(_url("AUDIENCES_STATE_URL", settings.state_url), project)
        if settings.ledger_url and url.get_backend_name() != "sqlite":
            raise DefinitionError(
                "AUDIENCES_STATE_URL names a server, which several workers can share;"
                " AUDIENCES_LEDGER_URL keeps the ledger on the disk of one",
                do="unset AUDIENCES_STATE_URL, or name a SQLite file beside the ledger",
            )
        return url
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    where = project.resolve()
    mark = hashlib.sha256(str(where).encode()).hexdigest()[:8]  # two projects of one name keep apart
    return URL.create("sqlite", database=str(home / "audiences" / f"{where.name or 'project'}-{mark}.sqlite"))


def _url(variable: str, text: str) -> URL:
    try:
        return make_url(text)
    except ArgumentError:
        raise DefinitionError(f"{variable} is no database URL", do=f"write {variable} as dialect://…") from None


def _anchored(url: URL, project: Path) -> URL:
    local = url.get_backend_name() in ("duckdb", "sqlite") and url.database not in (None, "", ":memory:")
    return url.set(database=str(project.resolve() / str(url.database))) if local else url
