use onering_ids::SubscriptionId;
use onering_store::AsyncPgConnection;
use onering_store::monitoring_reads::waiting_of;
use onering_store::subscriptions::{self, SubscriptionFilter};
use onering_web::{Cursor, Limit, Page};
use onering_webhooks::Subscription;

use crate::error::OperationError;
use crate::operations::WebhookOperations;
use crate::rotation_view::RotationView;
use crate::scope::Scope;
use crate::subscription_query::SubscriptionQuery;
use crate::subscription_view::SubscriptionView;

impl WebhookOperations {
    /// Subscriptions, newest first.
    ///
    /// # Errors
    /// [`OperationError::Store`].
    pub async fn list_subscriptions(
        &self,
        scope: Scope<'_>,
        query: SubscriptionQuery,
    ) -> Result<Page<SubscriptionView>, OperationError> {
        let filter = SubscriptionFilter { owner_id: scope.owner().cloned(), status: query.status };
        let before = query.cursor.map(Cursor::into_key);
        let mut connection = self.connection().await?;
        let rows = subscriptions::list_any_owner(&mut connection, &filter, before, one_more(query.limit)).await?;
        let page = Page::from_rows(rows, query.limit, |subscription| subscription.webhook_id);
        Ok(page.map(|subscription| SubscriptionView::from(&subscription)))
    }

    /// One subscription, with what waits for it and its rotation if one is on.
    ///
    /// # Errors
    /// `NOT_FOUND`, or [`OperationError::Store`].
    pub async fn get_subscription(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
    ) -> Result<SubscriptionView, OperationError> {
        let mut connection = self.connection().await?;
        let subscription = find(&mut connection, scope, webhook_id).await?;
        let waiting = Some(waiting_of(&mut connection, webhook_id).await?.into());
        let rotation = Some(subscriptions::rotation(&mut connection, webhook_id).await?.map(RotationView::from));
        Ok(SubscriptionView { waiting, rotation, ..SubscriptionView::from(&subscription) })
    }
}

/// Rows to read for a page: one more than fit tells that there is another.
fn one_more(limit: Limit) -> u32 {
    u32::try_from(limit.plus_one()).unwrap_or(u32::from(Limit::MAX))
}

pub(crate) async fn find(
    connection: &mut AsyncPgConnection,
    scope: Scope<'_>,
    webhook_id: SubscriptionId,
) -> Result<Subscription, OperationError> {
    let found = match scope {
        Scope::Owner(owner) => subscriptions::get(connection, owner, webhook_id).await?,
        Scope::AnyOwner(_) => subscriptions::get_any_owner(connection, webhook_id).await?,
    };
    found.ok_or_else(|| OperationError::not_found("subscription"))
}
