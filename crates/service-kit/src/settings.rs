//! What the kit asks of a service's settings.

use std::time::Duration;

use onering_settings::{AdminSettings, Common, GatewaySettings, MonitoringSettings, WorkerSettings};

/// Settings of a service.
pub trait ServiceSettings {
    /// What every service has.
    fn common(&self) -> &Common;

    /// Whether the service goes on without Redis by itself: then `/readyz` shows a Redis that is away, but stays 200, so
    /// that the loss of Redis does not take every replica out of the balancer.
    fn tolerates_redis_loss(&self) -> bool {
        false
    }

    /// How often the overrides of the switches are read where nobody announces a change. With the time to read, the default
    /// alone holds the promise of a second.
    fn overrides_poll(&self) -> Duration {
        Duration::from_millis(750)
    }

    /// How long a statement on the service's pool may take; `None` for the pool's default.
    fn statement_timeout(&self) -> Option<Duration> {
        None
    }
}

impl ServiceSettings for GatewaySettings {
    fn common(&self) -> &Common {
        &self.common
    }

    /// Limits have their loss policy, and events are swept from Postgres.
    fn tolerates_redis_loss(&self) -> bool {
        true
    }
}

impl ServiceSettings for AdminSettings {
    fn common(&self) -> &Common {
        &self.common
    }

    /// What operators change is in Postgres; without the announcement it takes effect seconds later. Switching things off
    /// must not need Redis.
    fn tolerates_redis_loss(&self) -> bool {
        true
    }
}

impl ServiceSettings for MonitoringSettings {
    fn common(&self) -> &Common {
        &self.common
    }

    /// Its figures come from Postgres alone.
    fn tolerates_redis_loss(&self) -> bool {
        true
    }

    /// Below the deadline of its reads: what nobody waits for any more must not keep a connection busy.
    fn statement_timeout(&self) -> Option<Duration> {
        Some(Duration::from_secs(9))
    }
}

impl ServiceSettings for WorkerSettings {
    fn common(&self) -> &Common {
        &self.common
    }
}
