//! Which port each process of the stack listens on. A taken port is an error that names the variable to change.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::bail;
use serde::{Deserialize, Serialize};

/// The ports of the first process of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) front_door: u16,
    pub(crate) gateway: u16,
    pub(crate) admin: u16,
    pub(crate) monitoring: u16,
    pub(crate) worker: u16,
    pub(crate) product: u16,
    pub(crate) postgres: u16,
    pub(crate) redis: u16,
}

/// A port of the stack: its variable, its default and its place in [`Ports`].
struct Choice {
    variable: &'static str,
    default: u16,
    field: fn(&mut Ports) -> &mut u16,
}

const CHOICES: [Choice; 8] = [
    Choice { variable: "ONERING_FRONT_DOOR_PORT", default: 8000, field: |ports| &mut ports.front_door },
    Choice { variable: "ONERING_GATEWAY_PORT", default: 8001, field: |ports| &mut ports.gateway },
    Choice { variable: "ONERING_ADMIN_PORT", default: 8002, field: |ports| &mut ports.admin },
    Choice { variable: "ONERING_MONITORING_PORT", default: 8003, field: |ports| &mut ports.monitoring },
    Choice { variable: "ONERING_WORKER_PORT", default: 8004, field: |ports| &mut ports.worker },
    Choice { variable: "ONERING_PRODUCT_PORT", default: 8090, field: |ports| &mut ports.product },
    Choice { variable: "ONERING_POSTGRES_PORT", default: 8432, field: |ports| &mut ports.postgres },
    Choice { variable: "ONERING_REDIS_PORT", default: 8379, field: |ports| &mut ports.redis },
];

/// Every variable that chooses a port, for the services' environment to leave out.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    CHOICES.iter().map(|choice| choice.variable)
}

impl Ports {
    /// Takes the ports from the environment, or their defaults.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        let mut ports = Self { front_door: 0, gateway: 0, admin: 0, monitoring: 0, worker: 0, product: 0, postgres: 0, redis: 0 };
        for choice in &CHOICES {
            *(choice.field)(&mut ports) = match std::env::var(choice.variable) {
                Err(_) => choice.default,
                Ok(text) => match text.parse() {
                    Ok(port) if port > 0 => port,
                    _ => bail!("{}: {text:?} is not a port; give a number from 1 to 65535", choice.variable),
                },
            };
        }
        Ok(ports)
    }

    /// Fails when a port is taken, and says by which variable another can be chosen.
    pub(crate) fn require_free(&mut self, skip: &[u16]) -> anyhow::Result<()> {
        for choice in &CHOICES {
            let port = *(choice.field)(self);
            if !skip.contains(&port) && !is_free(port) {
                bail!("port {port} on 127.0.0.1 is taken; free it, or choose another with {}=<port>", choice.variable);
            }
        }
        Ok(())
    }

    fn uses(&self, port: u16) -> bool {
        [
            self.front_door,
            self.gateway,
            self.admin,
            self.monitoring,
            self.worker,
            self.product,
            self.postgres,
            self.redis,
        ]
        .contains(&port)
    }

    /// The next free ports for further replicas, above the worker's.
    pub(crate) fn extra(&self, count: usize) -> Vec<u16> {
        (self.worker.saturating_add(1)..u16::MAX).filter(|port| !self.uses(*port) && is_free(*port)).take(count).collect()
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distinct() -> Ports {
        let mut ports = Ports { front_door: 0, gateway: 0, admin: 0, monitoring: 0, worker: 0, product: 0, postgres: 0, redis: 0 };
        for choice in &CHOICES {
            *(choice.field)(&mut ports) = choice.default;
        }
        ports
    }

    #[test]
    fn a_taken_port_is_named_with_its_variable() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut ports = distinct();
        ports.admin = taken.local_addr().unwrap().port();
        let others: Vec<u16> = CHOICES.iter().map(|choice| choice.default).collect();
        let error = ports.require_free(&others).unwrap_err().to_string();
        assert!(error.contains("ONERING_ADMIN_PORT") && error.contains(&ports.admin.to_string()), "{error}");
    }

    #[test]
    fn extra_ports_avoid_those_of_the_stack() {
        let mut ports = distinct();
        ports.product = ports.worker + 1;
        let extra = ports.extra(3);
        assert_eq!(extra.len(), 3);
        assert!(extra.iter().all(|port| !ports.uses(*port)));
    }
}
