//! Callers as arguments of handlers, with the permission in the type.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use onering_keys::KeyRecord;
use onering_queue::Decision;
use onering_rate_limit::Cost;
use onering_web::ApiError;

use super::permission::{Needs, Permission};
use crate::worker::Worker;

/// A call that was let in and charged, and then what else the handler asks of the request.
///
/// One argument for both, because their order matters: a body is not looked at before its sender is let in, and a request
/// that turns out invalid was let in and counts.
pub(crate) struct Caller<P, Input = ()> {
    /// The key it comes with.
    pub(crate) key: Arc<KeyRecord>,
    /// What the limiter said.
    pub(crate) decision: Decision,
    /// The rest of the request.
    pub(crate) input: Input,
    permission: PhantomData<fn() -> P>,
}

/// A call that was let in and is to be charged by its handler, which alone can tell the cost: see [`Caller`].
pub(crate) struct Recognised<P, Input = ()> {
    /// The key it comes with.
    pub(crate) key: Arc<KeyRecord>,
    /// The rest of the request.
    pub(crate) input: Input,
    worker: Rc<Worker>,
    request: HttpRequest,
    permission: PhantomData<fn() -> P>,
}

impl<P, Input> Recognised<P, Input> {
    /// Takes what the call costs.
    ///
    /// # Errors
    /// 429 when too little is left, 503 when nothing is admitted without Redis.
    pub(crate) async fn charge(&self, cost: Cost) -> Result<Decision, ApiError> {
        self.worker.turnstile.charge(&self.request, &self.key, cost).await
    }
}

impl Recognised<()> {
    /// Recognises the caller of a request whose needs are known only at run time.
    ///
    /// # Errors
    /// The refusal by the first check that refuses.
    pub(crate) async fn needing(request: &HttpRequest, needs: Needs<'_>) -> Result<Self, ApiError> {
        let worker = Worker::of(request)?;
        let key = worker.turnstile.recognise(request, needs).await?;
        Ok(Self { key, input: (), worker, request: request.clone(), permission: PhantomData })
    }
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, actix_web::Error>>>>;

impl<P: Permission, Input: FromRequest + 'static> FromRequest for Caller<P, Input> {
    type Error = actix_web::Error;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let worker = Worker::of(&request).map_err(ApiError::from)?;
            let key = worker.turnstile.recognise(&request, P::needs()).await?;
            let decision = worker.turnstile.charge(&request, &key, Cost::ONE).await?;
            let input = Input::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self { key, decision, input, permission: PhantomData })
        })
    }
}

impl<P: Permission, Input: FromRequest + 'static> FromRequest for Recognised<P, Input> {
    type Error = actix_web::Error;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let worker = Worker::of(&request).map_err(ApiError::from)?;
            let key = worker.turnstile.recognise(&request, P::needs()).await?;
            match Input::from_request(&request, &mut payload).await {
                Ok(input) => Ok(Self { key, input, worker, request, permission: PhantomData }),
                Err(refused) => {
                    // No handler will come to charge it.
                    worker.turnstile.charge(&request, &key, Cost::ONE).await?;
                    Err(refused.into())
                }
            }
        })
    }
}
