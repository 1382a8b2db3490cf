//! [`Viewing`]: the permission to look, and only then the question.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest};
use onering_web::{Operator, Viewer};

/// What an operator who may look asks for.
///
/// Arguments of a handler are read at once, so a stranger's bad question would be answered before it is known that a stranger
/// asks. Here the question is read when the operator is known; a handler without this argument has no question to read.
pub(crate) struct Viewing<Input = ()> {
    /// The query, or the path's variable segment.
    pub(crate) input: Input,
}

impl<Input: FromRequest + 'static> FromRequest for Viewing<Input> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let _operator = Operator::<Viewer>::extract(&request).await?;
            let input = Input::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self { input })
        })
    }
}
