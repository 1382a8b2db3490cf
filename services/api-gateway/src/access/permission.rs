//! What a handler asks of its caller's key, as types: a handler cannot forget to ask.

use onering_keys::Scope;

static WRITE_EVENTS: Scope = Scope::WRITE_EVENTS;
static READ_WEBHOOKS: Scope = Scope::READ_WEBHOOKS;
static WRITE_WEBHOOKS: Scope = Scope::WRITE_WEBHOOKS;

/// What a call needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs<'a> {
    /// The scope; `None` where any key will do.
    pub(crate) scope: Option<&'a Scope>,
    /// Whether the call is part of webhooks, which a switch can close.
    pub(crate) webhooks: bool,
}

/// A permission of the gateway's own calls.
pub(crate) trait Permission: 'static {
    /// What a call that asks for it needs.
    fn needs() -> Needs<'static>;
}

/// Any key that is let in.
pub(crate) enum AnyKey {}

/// May publish events.
pub(crate) enum PublishEvents {}

/// May see subscriptions and deliveries.
pub(crate) enum SeeWebhooks {}

/// May change subscriptions and send deliveries again.
pub(crate) enum ChangeWebhooks {}

impl Permission for AnyKey {
    fn needs() -> Needs<'static> {
        Needs { scope: None, webhooks: false }
    }
}

impl Permission for PublishEvents {
    fn needs() -> Needs<'static> {
        Needs { scope: Some(&WRITE_EVENTS), webhooks: true }
    }
}

impl Permission for SeeWebhooks {
    fn needs() -> Needs<'static> {
        Needs { scope: Some(&READ_WEBHOOKS), webhooks: true }
    }
}

impl Permission for ChangeWebhooks {
    fn needs() -> Needs<'static> {
        Needs { scope: Some(&WRITE_WEBHOOKS), webhooks: true }
    }
}
