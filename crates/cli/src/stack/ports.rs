//! Which port each process of a stack listens on. A taken port is an error that names the variable to change.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::bail;
use onering_settings::StackPorts;
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

/// A port of the stack: its variable and its place in [`Ports`].
struct Choice {
    variable: &'static str,
    of: fn(&Ports) -> u16,
}

const CHOICES: [Choice; 8] = [
    Choice { variable: "ONERING_FRONT_DOOR_PORT", of: |ports| ports.front_door },
    Choice { variable: "ONERING_GATEWAY_PORT", of: |ports| ports.gateway },
    Choice { variable: "ONERING_ADMIN_PORT", of: |ports| ports.admin },
    Choice { variable: "ONERING_MONITORING_PORT", of: |ports| ports.monitoring },
    Choice { variable: "ONERING_WORKER_PORT", of: |ports| ports.worker },
    Choice { variable: "ONERING_PRODUCT_PORT", of: |ports| ports.product },
    Choice { variable: "ONERING_POSTGRES_PORT", of: |ports| ports.postgres },
    Choice { variable: "ONERING_REDIS_PORT", of: |ports| ports.redis },
];

/// Every variable that chooses a port, for the services' environment to leave out.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    CHOICES.iter().map(|choice| choice.variable)
}

impl Ports {
    /// The ports that were chosen.
    pub(crate) const fn chosen(ports: StackPorts) -> Self {
        let StackPorts { front_door, gateway, admin, monitoring, worker, product, postgres, redis } = ports;
        Self { front_door, gateway, admin, monitoring, worker, product, postgres, redis }
    }

    /// The ports when nothing is chosen.
    #[cfg(test)]
    pub(crate) fn standard() -> Self {
        let nothing = onering_settings::Values::from_map::<String, String>([]);
        Self::chosen(onering_settings::CliSettings::from_values(&nothing).unwrap().stack_ports)
    }

    /// Ports that are free now, for a stack beside others. They are taken from below those that systems give to outgoing
    /// connections, so that none of these takes one before its process starts.
    pub(crate) fn free() -> anyhow::Result<Self> {
        const FIRST: u16 = 10_000;
        const LAST: u16 = 17_999;
        // Where to begin differs between processes, so that two that look at the same time find different ones.
        let first = FIRST + u16::try_from(std::process::id() * 16 % u32::from(LAST - FIRST))?;
        let free: Vec<u16> =
            (first..=LAST).chain(FIRST..first).filter(|port| is_free(*port)).take(CHOICES.len()).collect();
        let Ok(free) = free.try_into() else { bail!("there are not {} free ports on 127.0.0.1", CHOICES.len()) };
        Ok(Self::of(free))
    }

    /// In the order of [`CHOICES`].
    const fn of(
        [front_door, gateway, admin, monitoring, worker, product, postgres, redis]: [u16; CHOICES.len()],
    ) -> Self {
        Self { front_door, gateway, admin, monitoring, worker, product, postgres, redis }
    }

    /// Fails when a port is taken, or wanted twice, and says by which variable another can be chosen. The ports of stores
    /// that others run do not matter.
    pub(crate) fn require_free(&self, own_postgres: bool, own_redis: bool) -> anyhow::Result<()> {
        let mut wanted: Vec<(u16, &str)> = Vec::new();
        for choice in &CHOICES {
            let unused = choice.variable == "ONERING_POSTGRES_PORT" && !own_postgres
                || choice.variable == "ONERING_REDIS_PORT" && !own_redis;
            if unused {
                continue;
            }
            let (port, variable) = ((choice.of)(self), choice.variable);
            if let Some((_, other)) = wanted.iter().find(|(other, _)| *other == port) {
                bail!("port {port} is wanted twice; choose another with {variable}=<port> or {other}=<port>");
            }
            if !is_free(port) {
                bail!("port {port} on 127.0.0.1 is taken; free it, or choose another with {variable}=<port>");
            }
            wanted.push((port, variable));
        }
        Ok(())
    }

    fn uses(&self, port: u16) -> bool {
        CHOICES.iter().any(|choice| (choice.of)(self) == port)
    }

    /// The next free ports for further replicas, above the worker's.
    pub(crate) fn extra(&self, count: usize) -> anyhow::Result<Vec<u16>> {
        let above = self.worker.saturating_add(1)..u16::MAX;
        let ports: Vec<u16> = above.filter(|port| !self.uses(*port) && is_free(*port)).take(count).collect();
        if ports.len() < count {
            bail!("there are not {count} free ports above {}; choose a lower ONERING_WORKER_PORT=<port>", self.worker);
        }
        Ok(ports)
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_variable() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut ports = Ports::free().unwrap();
        ports.redis = taken.local_addr().unwrap().port();
        let error = ports.require_free(true, true).unwrap_err().to_string();
        assert!(error.contains("ONERING_REDIS_PORT") && error.contains(&ports.redis.to_string()), "{error}");
        ports.require_free(true, false).unwrap();
    }

    #[test]
    fn a_port_wanted_twice_is_named_with_both_variables() {
        let mut ports = Ports::free().unwrap();
        ports.admin = ports.gateway;
        let error = ports.require_free(true, true).unwrap_err().to_string();
        assert!(error.contains("ONERING_GATEWAY_PORT") && error.contains("ONERING_ADMIN_PORT"), "{error}");
    }

    #[test]
    fn each_port_is_that_of_its_variable() {
        for (number, choice) in CHOICES.iter().enumerate() {
            let text = (20_000 + number).to_string();
            let values = onering_settings::Values::from_map([(choice.variable, text.as_str())]);
            let ports = Ports::chosen(onering_settings::CliSettings::from_values(&values).unwrap().stack_ports);
            assert_eq!((choice.of)(&ports).to_string(), text, "{}", choice.variable);
        }
    }

    #[test]
    fn extra_ports_avoid_those_of_the_stack() {
        let mut ports = Ports::standard();
        ports.product = ports.worker + 1;
        let extra = ports.extra(3).unwrap();
        assert_eq!(extra.len(), 3);
        assert!(extra.iter().all(|port| !ports.uses(*port)));
        ports.worker = u16::MAX - 1;
        assert!(ports.extra(1).is_err());
    }
}
