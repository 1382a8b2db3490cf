//! The directions imports may run, read from `cargo metadata`: services and the command line → service-kit → adapters →
//! domain. A wrong import fails here, not in review.
#![allow(clippy::panic, reason = "a test says what is wrong by failing")]

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// The layers, from the bottom up. A crate may import from its own layer only where [`may_import`] says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Domain,
    Adapter,
    ServiceKit,
    Service,
    CommandLine,
    Testkit,
    Tests,
    Bench,
}

fn layer_of(package: &Package, root: &str) -> Layer {
    let path = package.manifest_path.as_str().trim_start_matches(root).trim_start_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        ["crates", "domain", ..] => Layer::Domain,
        ["crates", "adapters", ..] => Layer::Adapter,
        ["crates", "service-kit" | "webhook-operations", ..] => Layer::ServiceKit,
        ["crates", "testkit", ..] => Layer::Testkit,
        ["crates", "cli", ..] => Layer::CommandLine,
        ["services", ..] => Layer::Service,
        ["tests", ..] => Layer::Tests,
        ["bench", ..] => Layer::Bench,
        _ => panic!("{path} has no layer: put it into one and say so in tests/tests/layers.rs"),
    }
}

/// Whether `from` may import `to` in what it ships (not in its tests).
fn may_import(from: Layer, from_name: &str, to: Layer, to_name: &str) -> bool {
    match (from, to) {
        (Layer::Domain, Layer::Domain) => true,
        (Layer::Adapter, Layer::Domain) => true,
        (Layer::Adapter, Layer::Adapter) => {
            // `web` counts and names what it answers through telemetry; the rest know only settings and the clock.
            matches!(to_name, "onering-settings" | "onering-clock")
                || (from_name == "onering-web" && to_name == "onering-telemetry")
                // What asks over HTTP shares the taking apart of answers.
                || (matches!(from_name, "onering-web" | "onering-webhook-client") && to_name == "onering-http-exchange")
        }
        (Layer::ServiceKit, Layer::Domain | Layer::Adapter) => true,
        (Layer::Service, Layer::Domain | Layer::Adapter | Layer::ServiceKit) => true,
        (Layer::CommandLine, Layer::Domain | Layer::Adapter) => true,
        (Layer::Testkit, Layer::Adapter) => to_name == "onering-dev-servers",
        // What the tests share ships nowhere; they meet the services as their users do.
        (Layer::Tests, Layer::Domain | Layer::Adapter | Layer::Testkit) => true,
        // The fuzz targets feed parsers wherever they stand.
        (Layer::Tests, Layer::ServiceKit | Layer::Service) => from_name == "onering-fuzz",
        // What is measured alone has to be pure.
        (Layer::Bench, Layer::Domain) => true,
        _ => false,
    }
}

#[test]
fn imports_run_one_way() {
    let metadata =
        MetadataCommand::new().manifest_path("../Cargo.toml").no_deps().exec().expect("cargo metadata answers");
    let root = metadata.workspace_root.as_str();
    let members: Vec<(&Package, Layer)> =
        metadata.packages.iter().map(|package| (package, layer_of(package, root))).collect();
    assert!(members.len() > 20, "cargo metadata listed only {} members", members.len());

    let mut wrong = BTreeSet::new();
    for (package, layer) in &members {
        for dependency in
            package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
        {
            let Some((target, target_layer)) = members.iter().find(|(member, _)| *member.name == dependency.name)
            else {
                continue;
            };
            if !may_import(*layer, package.name.as_str(), *target_layer, target.name.as_str()) {
                wrong.insert(format!("{} ({layer:?}) imports {} ({target_layer:?})", package.name, target.name));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the layers:\n{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_domain_is_pure() {
    // What a pure crate could do harm with: runtimes, sockets, clocks and randomness of its own.
    const IMPURE: [&str; 9] =
        ["tokio", "actix-web", "reqwest", "diesel", "diesel-async", "deadpool-redis", "rand", "tracing", "config"];
    let metadata =
        MetadataCommand::new().manifest_path("../Cargo.toml").no_deps().exec().expect("cargo metadata answers");
    let root = metadata.workspace_root.as_str();
    let impure: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| layer_of(package, root) == Layer::Domain)
        .flat_map(|package| {
            package
                .dependencies
                .iter()
                .filter(|dependency| {
                    dependency.kind != DependencyKind::Development && IMPURE.contains(&dependency.name.as_str())
                })
                .map(|dependency| format!("{} imports {}", package.name, dependency.name))
        })
        .collect();
    assert!(impure.is_empty(), "domain crates that touch the world: {impure:?}");
}

/// What SQL can be sent with.
const SQL_DRIVERS: [&str; 6] = ["diesel", "diesel-async", "diesel_migrations", "tokio-postgres", "postgres", "sqlx"];
/// The store, and what looks at the tables from outside in tests.
const MAY_USE_SQL: [&str; 3] = ["onering-store", "onering-testkit", "onering-tests"];

#[test]
fn all_sql_lives_in_the_store() {
    let metadata =
        MetadataCommand::new().manifest_path("../Cargo.toml").no_deps().exec().expect("cargo metadata answers");
    let mut offenders = BTreeSet::new();
    for package in metadata.packages.iter().filter(|package| !MAY_USE_SQL.contains(&package.name.as_str())) {
        let shipped = package.dependencies.iter().filter(|one| one.kind != DependencyKind::Development);
        let drivers = shipped.filter(|dependency| SQL_DRIVERS.contains(&dependency.name.as_str()));
        offenders.extend(drivers.map(|driver| format!("{} imports {}", package.name, driver.name)));
    }
    assert!(offenders.is_empty(), "only onering-store writes SQL: {offenders:?}");
}
