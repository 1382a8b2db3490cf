//! JSON bodies as arguments of handlers.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::api_error::ApiError;
use crate::json_document::parse_json;
use crate::request_body::{has_body, read_body, require_json};

/// A JSON body, refused in words that name what is wrong with it: see [`parse_json`], and 413 over the cap, 415 for
/// another media type, 408 when it does not arrive. `T` should have `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone)]
pub struct StrictJson<T>(pub T);

/// A JSON body that may be left out altogether, or be `null`, which both read as `T::default()`; otherwise as [`StrictJson`].
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub T);

impl<T> StrictJson<T> {
    /// The parsed body.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> OptionalJson<T> {
    /// The parsed body.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for StrictJson<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Deref for OptionalJson<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl<T: DeserializeOwned + 'static> FromRequest for StrictJson<T> {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { Ok(Self(parse_json(&read_json_text(&request, payload).await?)?)) })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalJson<T> {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if !has_body(&request) {
                return Ok(Self(T::default()));
            }
            let body = read_json_text(&request, payload).await?;
            if body.trim_ascii() == b"null" { Ok(Self(T::default())) } else { Ok(Self(parse_json(&body)?)) }
        })
    }
}

async fn read_json_text(request: &HttpRequest, payload: Payload) -> Result<Bytes, ApiError> {
    require_json(request)?;
    Ok(read_body(request, payload).await?)
}
