//! W3C trace context on the wire: joining a caller's trace, and handing ours on.
//!
//! Both do nothing when no traces are exported, so a proxy then hands on what it was given.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The HTTP header.
pub const HEADER: &str = "traceparent";

/// Makes `span` a child of the caller's span. Call it before the span is entered for the first time. Answers whether
/// the header was understood and traces are exported.
pub fn adopt(span: &Span, traceparent: &str) -> bool {
    let carrier = HashMap::from([(HEADER.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    context.span().span_context().is_valid() && span.set_parent(context).is_ok()
}

/// The header that makes another process' span a child of `span`.
#[must_use]
pub fn of(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn with_traces(work: impl FnOnce()) {
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        tracing::subscriber::with_default(subscriber, work);
    }

    #[test]
    fn the_callers_trace_goes_on_with_a_span_of_our_own() {
        with_traces(|| {
            let span = tracing::info_span!("request");
            assert!(adopt(&span, CALLER));
            let ours = of(&span).unwrap();
            assert_eq!(ours[..36], CALLER[..36]);
            assert_eq!(ours.len(), CALLER.len());
            assert_ne!(ours, CALLER);
        });
    }

    #[test]
    fn a_garbled_header_starts_a_new_trace() {
        with_traces(|| {
            for garbled in ["", "nonsense", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
                let span = tracing::info_span!("request");
                assert!(!adopt(&span, garbled), "{garbled}");
                assert!(of(&span).is_some());
            }
        });
    }

    #[test]
    fn without_traces_there_is_nothing_to_hand_on() {
        let span = tracing::info_span!("request");
        assert!(!adopt(&span, CALLER));
        assert_eq!(of(&span), None);
    }
}
