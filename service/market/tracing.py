"""Traces of requests by OpenTelemetry: a span for each request, and one for each call of Redis inside.

It needs the extra `otel`; nothing of it is imported unless the settings name where the traces go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market.origins import Span
from market.settings import Settings, SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

INSTRUMENT: Final = "market"

SEND_TIMEOUT_S: Final = 5
"""How long the sending of some spans may take, at the process's end too."""


class Tracing:
    """Begins the span of each request."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(INSTRUMENT)

    def begin(self, kind: str, connection: str) -> Span:
        """The span of a request of a kind, and what it came by."""
        attributes = {"market.connection": connection}
        return _Span(self._tracer, self._tracer.start_span(kind, attributes=attributes))

    def stop(self) -> None:
        """Send what is not sent yet; takes no more."""
        self._provider.shutdown()


class _Span:
    def __init__(self, tracer: Tracer, span: OtelSpan) -> None:
        self._tracer = tracer
        self._span = span

    def child(self, name: str) -> Span:
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415

        context = set_span_in_context(self._span)
        attributes = {"db.system": "redis"}
        span = self._tracer.start_span(name, context, kind=SpanKind.CLIENT, attributes=attributes)
        return _Span(self._tracer, span)

    def end(self, failure: str | None = None, *, is_fault: bool = False) -> None:
        if failure is not None:
            self._span.set_attribute("error.type", failure)
        if is_fault:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415

            self._span.set_status(StatusCode.ERROR, failure)
        self._span.end()


def tracing_of(settings: Settings) -> Tracing | None:
    """What traces the requests of a process, None when its settings name no endpoint.

    Raises:
        SettingsError: when the extra is not installed.
    """
    if settings.tracing.endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError("tracing needs the extra: install isochrone-market[otel]") from error
    resource = Resource.create(
        {
            "service.name": "market",
            "service.instance.id": settings.node,
            "cloud.region": settings.region,
        }
    )
    exporter = OTLPSpanExporter(settings.tracing.endpoint, timeout=SEND_TIMEOUT_S)
    provider = TracerProvider(ParentBasedTraceIdRatio(settings.tracing.share), resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)
