"""Traces, where somebody asks for them: a span a run and one a stage, to OpenTelemetry. Without, nothing is imported.

An attribute is a name of ours, a word or a number, never a person. Exceptions are told by their class: the words of a
library may quote anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

log = structlog.get_logger()
ASKED = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SWITCHED_OFF = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}


class Stage:
    """One stage under way, and the span that tells of it, where there is one."""

    def __init__(self, span: Span | None = None):
        self.span = span

    def tell(self, **what: str | int) -> None:
        """Numbers and words of ours, as attributes `audiences.…`."""
        if self.span:
            self.span.set_attributes({f"audiences.{name}": value for name, value in what.items()})

    def fails(self, error: BaseException | None) -> None:
        """Mark it as failed, where there is an error."""
        if self.span and error:
            from opentelemetry.trace import StatusCode

            self.span.set_status(StatusCode.ERROR, type(error).__name__)


Stages = Callable[..., AbstractContextManager[Stage]]  # a stage's name, and what is told of it from its beginning


def untold(name: str, **what: str | int) -> AbstractContextManager[Stage]:
    """A stage that nobody hears of."""
    return nullcontext(Stage())


def told(provider: TracerProvider) -> Stages:
    """Stages as spans of this provider, each inside of the one that is under way in its thread."""
    tracer = provider.get_tracer("audiences")

    @contextmanager
    def stage(name: str, **what: str | int) -> Iterator[Stage]:
        with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            found = Stage(span)
            found.tell(**what)
            try:
                yield found
            except BaseException as error:
                found.fails(error)
                raise

    return stage


@contextmanager
def exported(environment: Mapping[str, str]) -> Iterator[Stages]:
    """Stages that OTEL_EXPORTER_OTLP_… has sent somewhere, over HTTP, and untold ones where it names no place.

    What is left is sent when the block ends; a collector that is gone costs OTEL_EXPORTER_OTLP_TIMEOUT there (10 s).
    https://opentelemetry.io/docs/specs/otel/protocol/exporter (read 2026-11)
    """
    provider = _provider(environment) if _asked(environment) else None
    try:
        yield told(provider) if provider else untold
    finally:
        if provider:
            provider.shutdown()


def _asked(environment: Mapping[str, str]) -> bool:
    off = any(environment.get(name, "").strip().lower() == word for name, word in SWITCHED_OFF.items())
    return not off and any(environment.get(name) for name in ASKED)


def _provider(environment: Mapping[str, str]) -> TracerProvider | None:
    if (spoken := environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")) != "http/protobuf":
        log.warning("traces.off", why=f"{spoken} is not spoken", do="set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf")
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("traces.off", why="the extra is not installed", do="pip install 'audiences[otel]', or unset OTEL_…")
        return None
    found = Resource.create()
    if str(found.attributes["service.name"]).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": "audiences"}))
    provider = TracerProvider(resource=found, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
