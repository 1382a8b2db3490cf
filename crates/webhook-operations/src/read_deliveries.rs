use onering_ids::DeliveryId;
use onering_store::deliveries;
use onering_web::{Cursor, Page};

use crate::delivery_query::DeliveryQuery;
use crate::delivery_view::DeliveryView;
use crate::error::OperationError;
use crate::operations::WebhookOperations;
use crate::scope::Scope;

impl WebhookOperations {
    /// Deliveries, newest first, without their attempts.
    ///
    /// # Errors
    /// [`OperationError::Store`].
    pub async fn list_deliveries(
        &self,
        scope: Scope<'_>,
        query: DeliveryQuery,
    ) -> Result<Page<DeliveryView>, OperationError> {
        let (filter, page) = query.into_parts();
        let mut connection = self.connection().await?;
        let found = match scope {
            Scope::Owner(owner) => deliveries::list(&mut connection, owner, &filter, page).await?,
            Scope::AnyOwner(_) => deliveries::list_any_owner(&mut connection, &filter, page).await?,
        };
        let next_cursor = found.next.map(|last| Cursor::new(last).to_string());
        Ok(Page { items: found.items.into_iter().map(DeliveryView::from).collect(), next_cursor })
    }

    /// One delivery with every attempt.
    ///
    /// # Errors
    /// `NOT_FOUND`, or [`OperationError::Store`].
    pub async fn get_delivery(
        &self,
        scope: Scope<'_>,
        delivery_id: DeliveryId,
    ) -> Result<DeliveryView, OperationError> {
        let mut connection = self.connection().await?;
        let found = match scope {
            Scope::Owner(owner) => deliveries::get(&mut connection, owner, delivery_id).await?,
            Scope::AnyOwner(_) => deliveries::get_any_owner(&mut connection, delivery_id).await?,
        };
        let found = found.ok_or_else(|| OperationError::not_found("delivery"))?;
        Ok(DeliveryView::with_attempts(scope, found))
    }
}
