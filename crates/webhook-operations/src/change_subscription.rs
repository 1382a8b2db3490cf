use onering_ids::SubscriptionId;
use onering_problem::{Code, Problem};
use onering_store::audit_log::Changed;
use onering_store::subscriptions;
use onering_store::{AsyncPgConnection, transaction};
use onering_webhooks::{
    Disablement, Subscription, SubscriptionChange, SubscriptionPatch, SubscriptionStatus, WantedStatus,
};

use crate::error::OperationError;
use crate::masking::{hides_values, refuse_masks};
use crate::new_keys::need_key_pair;
use crate::operations::WebhookOperations;
use crate::scope::Scope;
use crate::subscription_view::SubscriptionView;

/// The most characters of a reason.
const LONGEST_REASON: usize = 500;

type Change = Result<Option<Changed<Subscription>>, OperationError>;

impl WebhookOperations {
    /// Changes what the patch names and keeps the rest. `status` switches it on (`active`) or pauses it.
    ///
    /// # Errors
    /// A problem naming the field, `headers` where a new URL would be sent the credentials that were given for the old one;
    /// `URL_NOT_ALLOWED` when the guard refuses a new target; `NOT_FOUND`; `CONFLICT` when a partner names the status of a
    /// subscription that an operator disabled; [`OperationError::Store`].
    pub async fn change_subscription(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
        patch: SubscriptionPatch,
    ) -> Result<SubscriptionView, OperationError> {
        refuse_masks(patch.headers.as_ref().and_then(Option::as_ref))?;
        let change = SubscriptionChange::parse(patch)?;
        if let Some(url) = &change.url {
            self.check_target(url).await?;
        }
        let names_headers = change.headers.is_some();
        let needs_pair = change.signature_schemes.is_some_and(need_key_pair);
        let mut key_pair = if needs_pair { Some(self.new_key_pair()?) } else { None };
        let action = "subscription.change";
        let change = async |connection: &mut AsyncPgConnection| {
            let changed = update(connection, scope, webhook_id, change).await?;
            if let Some(changed) = changed.as_ref().filter(|_| !names_headers) {
                refuse_taking_credentials_along(changed)?;
            }
            if let Some(pair) = key_pair.take().filter(|_| changed.is_some()) {
                subscriptions::give_key_pair(connection, webhook_id, pair).await?;
            }
            Ok(changed)
        };
        self.changed(scope, webhook_id, action, change).await
    }

    /// Makes a paused or disabled subscription active again; what was held for it goes out.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` for a partner when an operator disabled it; [`OperationError::Store`].
    pub async fn enable_subscription(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
    ) -> Result<SubscriptionView, OperationError> {
        let change = status(WantedStatus::Active);
        let action = "subscription.enable";
        self.changed(scope, webhook_id, action, async |connection| update(connection, scope, webhook_id, change).await)
            .await
    }

    /// Holds an active subscription's deliveries from now on. One that is disabled stays disabled when an operator asks; a
    /// partner takes over what the platform disabled.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` for a partner when an operator disabled it; [`OperationError::Store`].
    pub async fn pause_subscription(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
    ) -> Result<SubscriptionView, OperationError> {
        let action = "subscription.pause";
        self.changed(scope, webhook_id, action, async |connection| match scope {
            Scope::Owner(_) => update(connection, scope, webhook_id, status(WantedStatus::Paused)).await,
            Scope::AnyOwner(_) => Ok(subscriptions::pause_any_owner(connection, webhook_id).await?),
        })
        .await
    }

    /// Disables a subscription for a reason that its owner will read. For operators; a partner pauses.
    ///
    /// # Errors
    /// `VALIDATION_FAILED` for an unusable reason; `NOT_FOUND`; `CONFLICT` for a partner when an operator disabled it;
    /// [`OperationError::Store`].
    pub async fn disable_subscription(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
        reason: &str,
    ) -> Result<SubscriptionView, OperationError> {
        let reason = usable_reason(reason)?;
        let action = "subscription.disable";
        self.changed(scope, webhook_id, action, async |connection| match scope {
            Scope::Owner(_) => update(connection, scope, webhook_id, status(WantedStatus::Paused)).await,
            Scope::AnyOwner(_) => Ok(subscriptions::disable_any_owner(connection, webhook_id, reason).await?),
        })
        .await
    }

    /// A change and its row of the audit log in one transaction, then the announcement. What an operator disabled no
    /// partner's change switches on or pauses.
    async fn changed(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
        action: &'static str,
        change: impl AsyncFnOnce(&mut AsyncPgConnection) -> Change,
    ) -> Result<SubscriptionView, OperationError> {
        let mut connection = self.connection().await?;
        let after = transaction(&mut connection, async |connection| {
            let changed = change(connection).await?.ok_or_else(|| OperationError::not_found("subscription"))?;
            // Decided on the row as it was under the lock. The refusal takes back what is written already.
            refuse_undoing(scope, &changed)?;
            self.write_down(connection, scope, action, Some(&changed.before), Some(&changed.after)).await?;
            Ok::<_, OperationError>(changed.after)
        })
        .await?;
        self.announce(webhook_id).await;
        Ok(SubscriptionView::from(&after))
    }
}

fn status(wanted: WantedStatus) -> SubscriptionChange {
    SubscriptionChange { status: Some(wanted), ..SubscriptionChange::default() }
}

async fn update(
    connection: &mut AsyncPgConnection,
    scope: Scope<'_>,
    webhook_id: SubscriptionId,
    change: SubscriptionChange,
) -> Change {
    Ok(match scope {
        Scope::Owner(owner) => subscriptions::update(connection, owner, webhook_id, change).await?,
        Scope::AnyOwner(_) => subscriptions::update_any_owner(connection, webhook_id, change).await?,
    })
}

/// Whoever may change a subscription may not therefore read its credentials, and would by naming a receiver of their own:
/// what was given for one URL is sent to another only when it is given again. The refusal takes back what is written already.
fn refuse_taking_credentials_along(changed: &Changed<Subscription>) -> Result<(), Problem> {
    let (before, after) = (&changed.before.settings, &changed.after.settings);
    if before.url == after.url || !hides_values(&after.headers) {
        return Ok(());
    }
    let rule = "These headers hold credentials that were given for the present url. Send headers again with the new url, or \
                null for none.";
    Err(Problem::invalid("headers", rule))
}

fn refuse_undoing(scope: Scope<'_>, changed: &Changed<Subscription>) -> Result<(), OperationError> {
    let stays = changed.after.state.status() == SubscriptionStatus::Disabled;
    match (scope, changed.before.state.disablement()) {
        (Scope::Owner(_), Some(disablement)) if !disablement.by.owner_may_undo() && !stays => {
            Err(only_an_operator(disablement).into())
        }
        _ => Ok(()),
    }
}

fn only_an_operator(disablement: &Disablement) -> Problem {
    let detail = format!(
        "An operator disabled this subscription (reason: {}). Only an operator can enable it again.",
        disablement.reason
    );
    Problem::new(Code::Conflict).field("status").detail(detail).recovery(
        "Ask your contact to enable the subscription. Until then its deliveries are held, and its other settings can be \
         changed: leave status out.",
    )
}

fn usable_reason(reason: &str) -> Result<&str, OperationError> {
    let reason = reason.trim();
    let good = (1..=LONGEST_REASON).contains(&reason.chars().count()) && !reason.contains(char::is_control);
    let rule = format!("reason has 1 to {LONGEST_REASON} characters, none of them a control character.");
    good.then_some(reason).ok_or_else(|| Problem::invalid("reason", rule).into())
}
