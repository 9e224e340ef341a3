"""Salesforce's platform, as a connector speaks to it: rows of queries, records 200 a call, and jobs of many more.

It knows no list and no member.
https://developer.salesforce.com/docs/platform/api-rest/guide/ (resources-composite-composite-post.md,
resources-query.md, resources-composite-sobjects-collections-upsert.md), …/docs/platform/api-asynch/guide/
(datafiles-prepare-csv.md, get-job-failed-results.html, datafiles-understanding-bulk2-ingest.html; read 2026-11)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from audiences.connector import Connector
from audiences.errors import DeliveryError

CALL, QUERIES = 200, 5  # records a call, and identifiers a query; queries a call
JOBS, NULL = "/jobs/ingest", "#N/A"  # NULL in the rows of a job, where an empty one is passed over
IDLE = {"reads": True}  # a job that has not begun changes nothing
ESCAPED = str.maketrans({"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
OVER = {
    "JobComplete": "Salesforce names it neither among the done nor among the failed of this job",
    "Failed": "Salesforce's job failed before it came to it",
    "Aborted": "someone has aborted this job in Salesforce",
    "gone": "Salesforce does not know this job any more",
}

Records = Mapping[str, Mapping[str, Any]]  # name -> fields of a record; `id` where it is known by that
Judged = tuple[dict[str, str], dict[str, str]]  # name -> id of what was done; name -> reason for the others


@dataclass(frozen=True, slots=True)
class Ended:
    """What a job has done. Records are told by its external id, or by their own where it has none.

    operation: "upsert", "update", "delete"; "" where Salesforce has forgotten the job
    done:      record -> id; failed: record -> reason
    over:      the reason for any other record
    """

    operation: str
    done: Mapping[str, str]
    failed: Mapping[str, str]
    over: str

    def why(self, record: str) -> str:
        """The reason why a record was not done."""
        return self.failed.get(record, self.over)


class SObjects:
    """The records of one account. http: a client whose base_url ends with the version, …/services/data/v62.0"""

    def __init__(self, http: httpx.Client):
        self.http = http
        self.uploaded: list[str] = []  # jobs that have not begun

    @staticmethod
    def quoted(value: str) -> str:
        """A text as SOQL has it."""
        return f"'{value.translate(ESCAPED)}'"

    def rows(self, *soql: str) -> Iterator[Mapping[str, Any]]:
        """The rows of queries. They travel in a body: an address takes 16,384 bytes, and stands in logs."""
        for part in Connector.parts(soql, QUERIES):
            paths = [f"{self.http.base_url.path}query?q={quote(each, safe='')}" for each in part]
            asked = [{"method": "GET", "url": path, "referenceId": f"rows{n}"} for n, path in enumerate(paths)]
            said = self.http.post("/composite", json={"compositeRequest": asked}, extensions={"reads": True}).json()
            for answer in said["compositeResponse"]:
                yield from self._paged(answer)

    def column(self, table: str, field: str, *where: str) -> Iterator[tuple[object, str]]:
        """(value, id) of the rows for which one of these conditions holds. field: as `Email`, or `Contact.Email`"""
        for row in self.rows(*(f"SELECT Id, {field} FROM {table} WHERE {each}" for each in where)):
            yield _at(row, field), row["Id"]

    def found(self, table: str, field: str, values: Sequence[str], where: str = "") -> Iterator[tuple[object, str]]:
        """(value, id) of the rows that have one of these texts in a field, as Salesforce compares it."""
        lists = (", ".join(map(self.quoted, part)) for part in Connector.parts(values, CALL))
        return self.column(table, field, *(f"{where}{field} IN ({each})" for each in lists))

    def write(self, method: str, table: str, told: Records, by: str = "") -> Judged:
        """Create (POST), update or upsert (PATCH) each of these for itself. by: the external id that an upsert is by"""
        path = f"/composite/sobjects/{table}/{by}" if by else "/composite/sobjects"
        done, failed = dict[str, str](), dict[str, str]()
        for part in Connector.parts([*told], CALL):
            records = [{"attributes": {"type": table}, **told[name]} for name in part]
            said = self.http.request(method, path, json={"allOrNone": False, "records": records}).json()
            _judge(part, said, done, failed)
        return done, failed

    def delete(self, ids: Mapping[str, str]) -> Judged:
        """Delete each of these records for itself. ids: name -> id"""
        done, failed = dict[str, str](), dict[str, str]()
        for part in Connector.parts([*ids], CALL):
            asked = {"ids": ",".join(ids[name] for name in part), "allOrNone": "false"}
            _judge(part, self.http.delete("/composite/sobjects", params=asked).json(), done, failed)
        return done, failed

    def upload(self, records: Iterable[Mapping[str, Any]], operation: str, table: str, by: str = "") -> str:
        """The id of a job for these, which has yet to begin; "" where one of them has a value that no row can hold.

        operation: "update", "delete", or "upsert", and `by` the external id that it is by
        """
        if not (text := _csv(records)):
            return ""
        wanted = {"object": table, "operation": operation, "contentType": "CSV", "lineEnding": "LF"}
        wanted |= {"externalIdFieldName": by} if by else {}
        job = str(self.http.post(JOBS, json=wanted, extensions=IDLE).json()["id"])
        media = {"content-type": "text/csv; charset=UTF-8"}
        self.http.put(f"{JOBS}/{job}/batches", content=text, headers=media, extensions=IDLE)
        self.uploaded.append(job)
        return job

    def begin(self) -> None:
        """Begin every job that is uploaded."""
        while self.uploaded:
            self._begin(self.uploaded.pop())

    def ended(self, job: str) -> Ended | None:
        """What a job has done; None while it is not over. One that has not begun yet begins."""
        answer = self.http.get(f"{JOBS}/{job}", extensions={"expect": {404}})
        said = {"state": "gone", "operation": ""} if answer.status_code == 404 else answer.json()
        if said["state"] == "Open":
            self._begin(job)
        if said["state"] not in OVER:
            return None
        by = said["externalIdFieldName"] if said["operation"] == "upsert" else "Id"
        done = self._results(job, "successfulResults", by, "sf__Id")
        failed = self._results(job, "failedResults", by, "sf__Error")
        return Ended(said["operation"], done, failed, said.get("errorMessage") or OVER[said["state"]])

    def _begin(self, job: str) -> None:
        # 400 where it has begun, by an attempt whose answer was lost. Where not it stays open, and is asked for again.
        self.http.patch(f"{JOBS}/{job}", json={"state": "UploadComplete"}, extensions={"expect": {400}})

    def _results(self, job: str, which: str, by: str, what: str) -> dict[str, str]:
        """One column of a job's results by another; nothing where there are none, as of a job that is gone."""
        answer = self.http.get(f"{JOBS}/{job}/{which}", extensions={"expect": {400, 404}})
        rows = csv.DictReader(io.StringIO(answer.text if answer.is_success else ""))
        if rows.fieldnames and what not in rows.fieldnames:
            do = "run again: the job is asked for anew"
            raise DeliveryError(f"Salesforce's {which} of a job have no column {what}, and so no verdict", do=do)
        return {each[by]: each[what] for each in rows}

    def _paged(self, answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if answer["httpStatusCode"] != httpx.codes.OK:
            # Its words would show the query, and people in it.
            why = ", ".join(str(each["errorCode"]) for each in answer["body"])
            do = "check `object` and `identify` (a text field's API name), and what the app's user may read"
            raise DeliveryError(f"Salesforce refuses to look something up ({why})", do=do)
        page = answer["body"]
        yield from page["records"]
        while not page["done"]:
            page = self.http.get(f"/query/{page['nextRecordsUrl'].rpartition('/')[2]}").json()
            yield from page["records"]


def _judge(names: Sequence[str], said: Any, done: dict[str, str], failed: dict[str, str]) -> None:
    """Sort an answer, which is in the order of its records, into ids and reasons."""
    for name, each in zip(names, said, strict=True):
        if each["success"] is True:
            done[name] = str(each["id"])
        else:
            told = "; ".join(f"{error['statusCode']}: {error['message']}" for error in each["errors"])
            failed[name] = told or "Salesforce gives no reason"


def _csv(records: Iterable[Mapping[str, Any]]) -> str:
    """Records as the rows of a job; "" where a value is no text, number or truth value, or reads like NULL's."""
    rows = [{"Id" if name == "id" else name: value for name, value in each.items()} for each in records]
    values = [value for each in rows for value in each.values()]
    if NULL in values or any(isinstance(value, Mapping | list) for value in values):
        return ""
    names = dict.fromkeys(name for each in rows for name in each)
    writer = csv.DictWriter(text := io.StringIO(), names, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in each.items()} for each in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None or value == "":
        return NULL
    return str(value).lower() if isinstance(value, bool) else str(value)


def _at(row: Mapping[str, Any], path: str) -> object:
    """The value at a path such as `Contact.Email`, its names in any case."""
    found: Any = row
    for name in path.lower().split("."):
        found = {each.lower(): value for each, value in found.items()}[name]
    return found
