use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use onering_web::{ApiError, ClientIp, Operator, Permission, RequestTag};
use onering_webhook_operations::AuditStamp;

/// An operator who has the permission `P`, with what the audit log is to say of the call, and only then what the call
/// brings.
///
/// There is no other way to a stamp, so a handler that changes something names its permission. `Input` (a path's id, the
/// query, the body) is read when the operator is known and may do this: extractors beside each other run at once, and a
/// stranger would learn from a 404 or a 422 what it has no business with, and have its body read.
pub(crate) struct Acting<P: Permission, Input = ()> {
    stamp: AuditStamp,
    input: Input,
    permission: PhantomData<P>,
}

impl<P: Permission, Input> Acting<P, Input> {
    /// Who acts, and what the call brings.
    pub(crate) fn split(self) -> (AuditStamp, Input) {
        (self.stamp, self.input)
    }
}

impl<P, Input> FromRequest for Acting<P, Input>
where
    P: Permission,
    Input: FromRequest + 'static,
{
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let stamp = stamp::<P>(&request).await?;
            let input = Input::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self { stamp, input, permission: PhantomData })
        })
    }
}

async fn stamp<P: Permission>(request: &HttpRequest) -> Result<AuditStamp, ApiError> {
    let operator = Operator::<P>::extract(request).await?;
    let tag = RequestTag::extract(request).await?;
    let Ok(ClientIp(address)) = ClientIp::extract(request).await;
    Ok(AuditStamp {
        actor: operator.actor.clone(),
        role: operator.role.to_string(),
        ip: address.to_string(),
        request_id: tag.to_string(),
    })
}
