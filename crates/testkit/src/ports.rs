//! Ports that no other test takes.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use crate::run_directory::{lock_file, run_directory};

/// Below the range the system gives to outgoing connections and to port 0, so that neither takes one.
const FIRST: u16 = 18_000;
const COUNT: u16 = 12_000;

/// A free port on 127.0.0.1, reserved for this test process while it lives.
///
/// # Panics
/// When all are taken.
#[must_use]
pub fn free_port() -> u16 {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let mut held = HELD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::fs::create_dir_all(run_directory().join("ports")).expect("the run directory is writable");
    // Each process begins somewhere else, so that few candidates are tried.
    let start = std::process::id().wrapping_mul(97);
    for step in 0..u32::from(COUNT) {
        let offset = start.wrapping_add(step) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).unwrap_or(0);
        let lock = lock_file(&format!("ports/{port}"));
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            held.push(lock);
            return port;
        }
    }
    panic!("no port is free between {FIRST} and {}", FIRST + COUNT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_the_same_twice() {
        let ports: std::collections::HashSet<u16> = (0..20).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 20);
    }
}
