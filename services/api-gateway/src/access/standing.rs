//! [`Standing`]: what has become known of a request's caller, for the headers of the answer and for the counts.

use std::cell::{Ref, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest};
use onering_keys::KeyRecord;
use onering_queue::Decision;
use onering_rate_limit::Cost;

/// A request's caller, filled in step by step while the request is admitted. It lies in the request's extensions, so that
/// every answer can be given its headers, whoever makes the answer.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    known: RefCell<Known>,
}

/// What is known so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    /// The key, once it is recognised: also when the call was refused afterwards.
    pub(crate) key: Option<Arc<KeyRecord>>,
    /// The limiter's word.
    pub(crate) decision: Option<Decision>,
    /// What the call took, or tried to; `None` where it only looked.
    pub(crate) cost: Option<Cost>,
    /// Where the call comes from.
    pub(crate) address: Option<IpAddr>,
}

impl Standing {
    /// The standing of this request; a fresh one if it has none yet.
    pub(crate) fn of(request: &HttpRequest) -> Rc<Self> {
        if let Some(standing) = request.extensions().get::<Rc<Self>>() {
            return Rc::clone(standing);
        }
        let standing = Rc::new(Self::default());
        request.extensions_mut().insert(Rc::clone(&standing));
        standing
    }

    /// What is known. Not to be held across an await.
    pub(crate) fn known(&self) -> Ref<'_, Known> {
        self.known.borrow()
    }

    pub(super) fn came_from(&self, address: IpAddr) {
        self.known.borrow_mut().address = Some(address);
    }

    pub(super) fn recognised(&self, key: &Arc<KeyRecord>) {
        self.known.borrow_mut().key = Some(Arc::clone(key));
    }

    /// `cost` is `None` for a look that takes nothing.
    pub(super) fn decided(&self, decision: Decision, cost: Option<Cost>) {
        let mut known = self.known.borrow_mut();
        known.decision = Some(decision);
        known.cost = cost;
    }
}
