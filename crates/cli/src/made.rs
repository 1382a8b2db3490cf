//! What a test of this command makes on a platform: a key and a subscription, to be removed however the test ends.

use anyhow::{Context as _, anyhow};

use crate::api::Api;

/// What was made so far.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) key_id: Option<String>,
    pub(crate) webhook_id: Option<String>,
}

impl Made {
    /// Removes it; one that cannot be removed does not keep the other.
    pub(crate) async fn remove(&self, operator: &Api) -> anyhow::Result<()> {
        let subscription = remove(operator, "webhooks", self.webhook_id.as_deref()).await;
        let key = remove(operator, "keys", self.key_id.as_deref()).await;
        match (subscription, key) {
            (Err(one), Err(other)) => Err(anyhow!("{one:#}; {other:#}")),
            (subscription, key) => subscription.and(key),
        }
    }
}

async fn remove(operator: &Api, collection: &str, id: Option<&str>) -> anyhow::Result<()> {
    let Some(id) = id else { return Ok(()) };
    let removed = operator.delete(&format!("/v1/admin/external/{collection}/{id}")).await;
    removed.map(drop).with_context(|| format!("{id} is still there"))
}
