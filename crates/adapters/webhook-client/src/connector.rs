//! New connections: to addresses that the guard has checked, and no others.

use onering_http_exchange::{Connector, Origin, Stream};

use crate::failure::Broken;
use crate::guard::AddressGuard;

/// Makes connections.
pub(crate) struct GuardedConnector {
    pub(crate) guard: AddressGuard,
    pub(crate) connector: Connector,
}

impl GuardedConnector {
    /// Connects, within the connector's patience.
    pub(crate) async fn connect(&self, origin: &Origin) -> Result<Stream, Broken> {
        let connecting = async {
            let addresses = self.guard.addresses_of(origin).await?;
            Ok(self.connector.connect(origin, &addresses).await?)
        };
        tokio::time::timeout(self.connector.patience(), connecting).await.unwrap_or(Err(Broken::NotConnected))
    }
}
