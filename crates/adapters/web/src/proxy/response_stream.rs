//! The answer on its way out.

use std::time::Duration;

use actix_web::body::{BodyStream, BoxBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::headers::to_client;
use crate::request_scope::Verbatim;

/// Why an answer ended before its end. The client's connection is closed then: it sees that something is missing.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenAnswer {
    #[error("the upstream broke off")]
    Upstream(#[source] reqwest::Error),
    #[error("the upstream sent nothing for {} s", .0.as_secs_f32())]
    Silent(Duration),
}

/// Passes an upstream's answer on, chunk by chunk. It may be as long as it likes, but never silent longer than `silence`.
pub(super) fn passed_on(answer: reqwest::Response, is_head: bool, silence: Duration) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponseBuilder::new(status);
    for header in to_client(answer.headers()) {
        response.append_header(header);
    }
    // Not `content_length()`: to a HEAD request that is the length of nothing.
    let length = answer.headers().get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = match length {
        Some(length) if is_head => {
            BoxBody::new(SizedStream::new(length, stream::empty::<Result<Bytes, BrokenAnswer>>()))
        }
        Some(length) => BoxBody::new(SizedStream::new(length, Box::pin(chunks(answer, silence)))),
        None if is_head => BoxBody::new(()),
        None => BoxBody::new(BodyStream::new(Box::pin(chunks(answer, silence)))),
    };
    let mut response = response.body(body);
    response.extensions_mut().insert(Verbatim);
    response
}

fn chunks(answer: reqwest::Response, silence: Duration) -> impl Stream<Item = Result<Bytes, BrokenAnswer>> {
    stream::unfold(Some(Box::pin(answer.bytes_stream())), move |chunks| async move {
        let mut chunks = chunks?;
        match tokio::time::timeout(silence, chunks.next()).await {
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some(chunks))),
            Ok(Some(Err(error))) => Some((Err(BrokenAnswer::Upstream(error.without_url())), None)),
            Ok(None) => None,
            Err(_) => Some((Err(BrokenAnswer::Silent(silence)), None)),
        }
    })
}
