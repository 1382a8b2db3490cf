//! What services make of the values they are given.

use std::time::Duration;

use onering_delivery::FailurePolicy;
use onering_rate_limit::LossPolicy;
use onering_rollout::Switch;
use onering_settings::{
    AdminSettings, CliSettings, Concern, DefaultValue, GatewaySettings, Kind, LogFormat, MonitoringSettings, Profile,
    Service, SettingsError, SslMode, VARIABLES, Values, Variable, WorkerSettings,
};
use proptest::prelude::*;

/// The least a development process needs.
fn dev() -> Values {
    Values::from_map([
        ("ONERING_PROFILE", "dev"),
        ("DATABASE_URL", "postgres://app:hunter2@127.0.0.1/onering"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1/0"),
        ("ONERING_SECRETS_KEYS", "k1:aHVudGVyMg=="),
    ])
}

/// The least a production process needs.
fn production() -> Values {
    dev().with("ONERING_PROFILE", "").with("DATABASE_URL", "postgres://app:hunter2@db/onering?sslmode=verify-full")
}

fn variables(error: &SettingsError) -> Vec<&str> {
    error.problems().iter().map(|problem| problem.variable.as_str()).collect()
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let gateway = GatewaySettings::from_values(&dev()).unwrap();
    assert_eq!(gateway.common.http.bind, "127.0.0.1:8001".parse().unwrap());
    assert_eq!(gateway.common.http.body_cap, 262_144);
    assert_eq!(gateway.common.process.instance, "api-gateway");
    assert_eq!(gateway.common.process.shutdown, Duration::from_secs(25));
    assert_eq!(gateway.common.telemetry.format, LogFormat::Json);
    assert_eq!(gateway.common.telemetry.otlp, None);
    assert_eq!(gateway.common.database.tls.mode, SslMode::Prefer);
    assert_eq!(gateway.common.warnings, []);
    assert_eq!(gateway.limits.on_redis_loss, LossPolicy::Local);
    assert_eq!(gateway.routes.file, None);
    assert_eq!(gateway.webhooks.schedule.max_attempts(), 3);
    assert_eq!(gateway.webhooks.schedule.backoff(), [60, 300, 900].map(Duration::from_secs));
    assert_eq!(gateway.webhooks.lease, Duration::from_secs(30));
    assert_eq!(gateway.webhooks.replay_window, Duration::from_secs(300));
    assert_eq!(gateway.webhooks.max_in_flight_per_worker, 1024);
    assert!(!gateway.webhooks.allow_http && gateway.webhooks.allow_cidrs.is_empty());

    let worker = WorkerSettings::from_values(&dev()).unwrap();
    assert_eq!((worker.common.http.bind.port(), worker.common.http.workers), (8004, 1));
    assert_eq!(worker.retention_days, 30);
    assert_eq!(worker.failure_policy, FailurePolicy::new(vec![1, 3], 5).unwrap());
    assert_eq!(AdminSettings::from_values(&dev()).unwrap().common.http.bind.port(), 8002);
    let monitoring = MonitoringSettings::from_values(&dev()).unwrap();
    assert_eq!(monitoring.common.http.bind.port(), 8003);
    assert!(!monitoring.open);
}

#[test]
fn what_is_set_is_taken() {
    let values = dev()
        .with("ONERING_INSTANCE", "gateway-7")
        .with("ONERING_HTTP_WORKERS", "3")
        .with("ONERING_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,2001:db8::/32")
        .with("ONERING_WEBHOOKS_BACKOFF_SECONDS", "1,0.5")
        .with("ONERING_WEBHOOKS_ALLOW_HTTP", "on")
        .with("ONERING_WEBHOOKS_ALLOW_CIDRS", "127.0.0.0/8")
        .with("ONERING_WEBHOOKS_DELIVERY_ENABLED", "true")
        .with("ONERING_RATELIMIT_ON_REDIS_LOSS", "closed")
        .with("ONERING_CLOCK_SKEW_SECONDS", "-600")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let gateway = GatewaySettings::from_values(&values).unwrap();
    assert_eq!(gateway.common.process.instance, "gateway-7");
    assert_eq!(gateway.common.process.clock_skew.num_seconds(), -600);
    assert_eq!(gateway.common.http.workers, 3);
    let proxies: Vec<String> = gateway.common.http.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
    assert_eq!(gateway.webhooks.schedule.backoff(), [Duration::from_secs(1), Duration::from_millis(500)]);
    assert!(gateway.webhooks.allow_http);
    assert_eq!(gateway.webhooks.allow_cidrs, ["127.0.0.0/8".parse().unwrap()]);
    assert_eq!(gateway.common.flags.environment.delivery, Some(true));
    assert_eq!(gateway.common.flags.environment.webhooks, None);
    assert_eq!(gateway.limits.on_redis_loss, LossPolicy::Closed);
    assert_eq!(gateway.common.telemetry.otlp.unwrap().as_str(), "http://collector:4318/");
}

#[test]
fn every_problem_is_reported_at_once_with_its_variable_and_a_remedy() {
    let values = Values::from_map([
        ("ONERING_PROFILE", "dev"),
        ("DATABASE_URL", "mysql://app:hunter2@db/onering"),
        ("ONERING_SECRETS_KEYS", "hunter2"),
        ("ONERING_BIND", "here"),
        ("ONERING_BODY_CAP_BYTES", "-1"),
        ("ONERING_TRUSTED_PROXIES", "10.0.0.0/8,nonsense"),
        ("ONERING_WEBHOOKS_MAX_ATTEMPTS", "0"),
        ("ONERING_WEBHOOKS_BACKOFF_SECONDS", "1,NaN"),
        ("ONERING_EXTERNAL_API_COHORT_PERCENT", "101"),
        ("ONERING_WEBHOOKS_ENABLED", "perhaps"),
        ("ONERING_INSTANCE", "two words"),
    ]);
    let error = GatewaySettings::from_values(&values).unwrap_err();
    let mut found = variables(&error);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "DATABASE_URL",
            "ONERING_BIND",
            "ONERING_BODY_CAP_BYTES",
            "ONERING_EXTERNAL_API_COHORT_PERCENT",
            "ONERING_INSTANCE",
            "ONERING_SECRETS_KEYS",
            "ONERING_TRUSTED_PROXIES",
            "ONERING_WEBHOOKS_BACKOFF_SECONDS",
            "ONERING_WEBHOOKS_ENABLED",
            "ONERING_WEBHOOKS_MAX_ATTEMPTS",
            "REDIS_URL",
        ]
    );
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1 + found.len(), "{text}");
    assert!(text.contains("\n  ONERING_BIND: `here` cannot be used; set it to `address:port`\n"), "{text}");
    assert!(text.contains("REDIS_URL: is not set; set it to"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn production_is_the_default_and_refuses_what_only_development_may_do() {
    assert_eq!(GatewaySettings::from_values(&production()).unwrap().common.process.profile, Profile::Production);
    let values = production()
        .with("ONERING_WEBHOOKS_ALLOW_HTTP", "1")
        .with("ONERING_WEBHOOKS_ALLOW_CIDRS", "127.0.0.0/8")
        .with("ONERING_CLOCK_SKEW_SECONDS", "1")
        .with("DATABASE_URL", "postgres://db/onering");
    let error = WorkerSettings::from_values(&values).unwrap_err();
    assert_eq!(
        variables(&error),
        ["ONERING_CLOCK_SKEW_SECONDS", "DATABASE_URL", "ONERING_WEBHOOKS_ALLOW_HTTP", "ONERING_WEBHOOKS_ALLOW_CIDRS"]
    );
    assert!(WorkerSettings::from_values(&values.with("ONERING_PROFILE", "dev")).is_ok());

    let error = MonitoringSettings::from_values(&production().with("ONERING_MONITORING_OPEN", "1")).unwrap_err();
    assert_eq!(variables(&error), ["ONERING_MONITORING_OPEN"]);
}

#[test]
fn what_is_spelled_out_as_off_is_no_offence_in_production() {
    let values = production()
        .with("ONERING_WEBHOOKS_ALLOW_HTTP", "0")
        .with("ONERING_CLOCK_SKEW_SECONDS", "0")
        .with("ONERING_MONITORING_OPEN", "off");
    assert!(WorkerSettings::from_values(&values).is_ok());
    assert!(MonitoringSettings::from_values(&values).is_ok());
}

#[test]
fn production_takes_a_database_whose_traffic_cannot_be_read() {
    for (query, good) in [
        ("?sslmode=disable", false),
        ("?sslmode=allow", false),
        ("?sslmode=prefer", false),
        ("?sslmode=require", true),
        ("?sslmode=verify-ca", true),
        ("?sslmode=verify-full", true),
        ("?host=/run/postgresql", true),
    ] {
        let values = production().with("DATABASE_URL", &format!("postgres://app@db/onering{query}"));
        assert_eq!(GatewaySettings::from_values(&values).is_ok(), good, "{query}");
    }
}

#[test]
fn a_short_jwt_secret_is_refused() {
    let secret = "x".repeat(31);
    let error = AdminSettings::from_values(&dev().with("ONERING_ADMIN_JWT_SECRET", &secret)).unwrap_err();
    assert_eq!(variables(&error), ["ONERING_ADMIN_JWT_SECRET"]);
    let values = dev().with("ONERING_ADMIN_JWT_SECRET", &(secret + "x"));
    assert!(AdminSettings::from_values(&values).unwrap().operators.jwt_secret.is_some());
}

#[test]
fn debug_shows_no_secret() {
    let values = dev().with("ONERING_ADMIN_JWT_SECRET", &"hunter2".repeat(5)).with("ONERING_ADMIN_KEY", "hunter2");
    let shown = format!(
        "{:?}{:?}{:?}{:?}{:?}{values:?}",
        GatewaySettings::from_values(&values).unwrap(),
        AdminSettings::from_values(&values).unwrap(),
        MonitoringSettings::from_values(&values).unwrap(),
        WorkerSettings::from_values(&values).unwrap(),
        CliSettings::from_values(&values).unwrap(),
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!shown.contains("aHVudGVyMg"), "{shown}");
}

#[test]
fn the_command_line_requires_nothing_and_takes_a_plain_database() {
    let bare = CliSettings::from_values(&Values::from_map::<String, String>([])).unwrap();
    assert_eq!((bare.base_url, bare.database, bare.redis, bare.admin_key), (None, None, None, None));
    assert_eq!((bare.stack_ports.front_door, bare.stack_ports.redis), (8000, 8379));
    let values = Values::from_map([("DATABASE_URL", "postgres://127.0.0.1/onering"), ("ONERING_ADMIN_KEY", "oak_x")]);
    let cli = CliSettings::from_values(&values).unwrap();
    assert_eq!(cli.database.unwrap().pool_size, 4);
    assert_eq!(cli.admin_key.unwrap().expose(), "oak_x");
    assert!(CliSettings::from_values(&values.with("ONERING_PROFILE", "production")).is_err());
    assert!(CliSettings::from_values(&Values::from_map([("REDIS_URL", "http://cache")])).is_err());
}

#[test]
fn unknown_names_are_warned_about() {
    let gateway = GatewaySettings::from_values(&dev().with("ONERING_WEBHOOKS_MAX_ATEMPTS", "5")).unwrap();
    let [warning] = gateway.common.warnings.as_slice() else { panic!("{:?}", gateway.common.warnings) };
    assert!(warning.to_string().ends_with("did you mean ONERING_WEBHOOKS_MAX_ATTEMPTS?"));
}

#[test]
fn the_table_is_well_formed() {
    for (index, variable) in VARIABLES.iter().enumerate() {
        let name = variable.name;
        assert!(!VARIABLES[..index].iter().any(|other| other.name == name), "{name} stands twice");
        assert!(!variable.doc.trim().is_empty() && !variable.used_by.is_empty(), "{name}");
        assert_eq!(variable.kind == Kind::Switch, variable.name_suggests_switch(), "{name}");
        let is_switch = Switch::ALL.iter().any(|switch| switch.name() == name);
        assert_eq!(variable.concern == Concern::Switches && name != "ONERING_FLAGS_DIR", is_switch, "{name}");
        if let DefaultValue::PerService(rows) = variable.default {
            for service in variable.used_by {
                assert!(rows.iter().any(|(owner, _)| owner == service), "{name} has no default for {service}");
            }
        }
    }
}

/// A test's view of a row.
trait Named {
    fn name_suggests_switch(&self) -> bool;
}

impl Named for Variable {
    fn name_suggests_switch(&self) -> bool {
        ["_ENABLED", "_ONLY", "_ALLOW_HTTP", "_OPEN"].iter().any(|ending| self.name.ends_with(ending))
    }
}

/// A default that its own reader refuses, a name no reader looks up, or a row no service reads would show here.
#[test]
fn every_row_is_read_by_the_services_it_names_and_by_no_other() {
    for variable in VARIABLES.iter().filter(|variable| refusable(variable)) {
        for (service, refused) in refusals(variable.name, "\u{1}") {
            assert_eq!(refused, variable.used_by.contains(&service), "{} in {service}", variable.name);
        }
    }
}

/// Is some text wrong for it?
fn refusable(variable: &Variable) -> bool {
    !matches!(variable.kind, Kind::Text | Kind::Path)
        && !["ONERING_ADMIN_KEY", "ONERING_WEBHOOK_SECRET"].contains(&variable.name)
}

/// Which services refuse this value, for this variable.
fn refusals(name: &str, value: &str) -> Vec<(Service, bool)> {
    let values = dev().with("ONERING_ADMIN_KEY", "").with(name, value);
    let about = |error: Option<SettingsError>| error.is_some_and(|error| variables(&error).contains(&name));
    vec![
        (Service::ApiGateway, about(GatewaySettings::from_values(&values).err())),
        (Service::Admin, about(AdminSettings::from_values(&values).err())),
        (Service::Monitoring, about(MonitoringSettings::from_values(&values).err())),
        (Service::DeliveryWorker, about(WorkerSettings::from_values(&values).err())),
        (Service::Cli, about(CliSettings::from_values(&values).err())),
    ]
}

proptest! {
    /// Whatever is given: settings or a list of problems, never a panic, and numbers within their bounds.
    #[test]
    fn any_text_is_either_taken_within_bounds_or_refused(
        name in prop::sample::select(VARIABLES),
        text in "\\PC{0,20}|-?[0-9]{1,22}(\\.[0-9]{1,3})?",
    ) {
        let values = dev().with(name.name, &text);
        if let Ok(worker) = WorkerSettings::from_values(&values) {
            prop_assert!((1..=3_650).contains(&worker.retention_days));
            prop_assert!((2..=512).contains(&worker.common.database.pool_size));
            prop_assert!((1..=65_536).contains(&worker.webhooks.max_in_flight_per_worker));
            prop_assert!(worker.webhooks.lease >= Duration::from_secs(2));
        }
        if let Ok(monitoring) = MonitoringSettings::from_values(&values) {
            prop_assert!((0.0..=86_400.0).contains(&monitoring.thresholds.latency_p90_seconds));
        }
        let _ = GatewaySettings::from_values(&values);
        let _ = AdminSettings::from_values(&values);
        let _ = CliSettings::from_values(&values);
    }
}

#[test]
fn the_days_of_failing_subscriptions_make_a_policy_or_are_refused() {
    let worker = |warn: &str, disable: &str| {
        let values = dev().with("ONERING_WEBHOOKS_FAILING_WARN_DAYS", warn);
        WorkerSettings::from_values(&values.with("ONERING_WEBHOOKS_FAILING_DISABLE_DAYS", disable))
    };
    let policy = |warn: Vec<u16>, disable| FailurePolicy::new(warn, disable).unwrap();
    assert_eq!(worker("2, 4,6", "10").unwrap().failure_policy, policy(vec![2, 4, 6], 10));
    assert_eq!(worker("none", "1").unwrap().failure_policy, policy(Vec::new(), 1));
    for (warn, disable) in [("3,1", "5"), ("1,5", "5"), ("0", "5"), ("1,x", "5"), ("1,365", "5")] {
        assert_eq!(variables(&worker(warn, disable).unwrap_err()), ["ONERING_WEBHOOKS_FAILING_WARN_DAYS"], "{warn}");
    }
    assert_eq!(variables(&worker("1", "366").unwrap_err()), ["ONERING_WEBHOOKS_FAILING_DISABLE_DAYS"]);
}
