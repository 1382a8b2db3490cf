use crate::reader::Reader;
use crate::table::{
    ADMIN_PORT, FRONT_DOOR_PORT, GATEWAY_PORT, MONITORING_PORT, POSTGRES_PORT, PRODUCT_PORT, REDIS_PORT, WORKER_PORT,
};

/// Which ports on 127.0.0.1 the processes of a development stack listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackPorts {
    /// The front door's.
    pub front_door: u16,
    /// The first api-gateway's.
    pub gateway: u16,
    /// The first admin's.
    pub admin: u16,
    /// The first monitoring's.
    pub monitoring: u16,
    /// The first delivery-worker's.
    pub worker: u16,
    /// The sample product's.
    pub product: u16,
    /// That of a Postgres of the stack's own.
    pub postgres: u16,
    /// That of a Redis of the stack's own.
    pub redis: u16,
}

impl StackPorts {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let variables = [
            &FRONT_DOOR_PORT,
            &GATEWAY_PORT,
            &ADMIN_PORT,
            &MONITORING_PORT,
            &WORKER_PORT,
            &PRODUCT_PORT,
            &POSTGRES_PORT,
            &REDIS_PORT,
        ];
        // All are read before any is missed, so that everything wrong is reported at once.
        let ports = variables.map(|variable| reader.whole(variable));
        let [front_door, gateway, admin, monitoring, worker, product, postgres, redis] = ports;
        Some(Self {
            front_door: front_door?,
            gateway: gateway?,
            admin: admin?,
            monitoring: monitoring?,
            worker: worker?,
            product: product?,
            postgres: postgres?,
            redis: redis?,
        })
    }
}
