use onering_ids::{OwnerId, SubscriptionId};
use onering_problem::{Code, Problem};
use onering_store::subscriptions;
use onering_store::{AsyncPgConnection, transaction};
use onering_webhook_client::GuardError;
use onering_webhooks::{NewSubscription, Subscription, SubscriptionInput, TargetUrl};

use crate::audit_stamp::AuditedChange;
use crate::error::OperationError;
use crate::masking::refuse_masks;
use crate::new_keys::need_key_pair;
use crate::operations::WebhookOperations;
use crate::scope::Scope;
use crate::subscription_view::{NewSecretText, SubscriptionView, SubscriptionWithSecret, audited};

impl WebhookOperations {
    /// Makes a subscription of `owner`, and shows its secret this once.
    ///
    /// # Errors
    /// A problem naming the field; `URL_NOT_ALLOWED` when the guard refuses the target; `NOT_FOUND` when the scope is
    /// another partner's; [`OperationError::Store`].
    pub async fn create_subscription(
        &self,
        scope: Scope<'_>,
        owner: &OwnerId,
        input: SubscriptionInput,
    ) -> Result<SubscriptionWithSecret, OperationError> {
        if !scope.covers(owner) {
            return Err(OperationError::not_found("partner"));
        }
        refuse_masks(input.headers.as_ref())?;
        let new = NewSubscription::parse(input)?;
        self.check_target(&new.settings.url).await?;
        let (secret, keys) = self.new_keys(need_key_pair(new.settings.signature_schemes))?;
        let public_key = keys.key_pair.as_ref().map(|pair| pair.public_key.to_string());
        let webhook_id: SubscriptionId = self.clock().fresh_id();
        let mut connection = self.connection().await?;
        let made = transaction(&mut connection, async |connection| {
            let made = subscriptions::create(connection, owner, webhook_id, &new, keys).await?;
            self.write_down(connection, scope, "subscription.create", None, Some(&made)).await?;
            Ok::<_, OperationError>(made)
        })
        .await?;
        self.announce(webhook_id).await;
        Ok(SubscriptionWithSecret {
            subscription: SubscriptionView::from(&made),
            secret: NewSecretText::new(secret.expose()),
            public_key,
            previous_secret_expires_at: None,
        })
    }

    /// Asks the guard. Never within a transaction: names are resolved.
    pub(crate) async fn check_target(&self, url: &TargetUrl) -> Result<(), Problem> {
        self.parts().guard.check_resolves(url.url()).await.map_err(|refused| not_allowed(&refused))
    }

    /// The row of the audit log, when an operator acts.
    pub(crate) async fn write_down(
        &self,
        connection: &mut AsyncPgConnection,
        scope: Scope<'_>,
        action: &'static str,
        before: Option<&Subscription>,
        after: Option<&Subscription>,
    ) -> Result<(), OperationError> {
        let Some(stamp) = scope.stamp() else { return Ok(()) };
        let target_id = before.or(after).map(|one| one.webhook_id.to_string()).unwrap_or_default();
        let (before, after) = (before.map(audited).transpose()?, after.map(audited).transpose()?);
        let change = AuditedChange { action, target_type: "subscription", target_id, before, after };
        Ok(stamp.append(connection, self.clock(), change).await?)
    }
}

fn not_allowed(refused: &GuardError) -> Problem {
    let clause = refused.to_string();
    let mut letters = clause.chars();
    let sentence: String = letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect();
    Problem::new(Code::UrlNotAllowed).field("url").detail(format!("{sentence}."))
}
