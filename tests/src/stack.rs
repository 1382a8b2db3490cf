//! The four real processes, with the stores and switches of one test.

use std::path::PathBuf;
use std::time::Duration;

use onering_clock::Clock;
use onering_ids::AdminKeyId;
use onering_keys::{AdminToken, Role};
use onering_store::{PoolConfig, admin_keys};
use onering_testkit::{
    ScratchDir, ServiceOptions, ServiceProcess, TcpProxy, TestRedis, eventually, redis, scratch_dir,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use url::Url;

use crate::api::Api;
use crate::database::StackDatabase;
use crate::outside::{self, Ran};

/// The switches a stack starts with: everything on.
const SWITCHES: [(&str, &str); 4] = [
    ("ONERING_EXTERNAL_API_ENABLED", "1"),
    ("ONERING_EXTERNAL_API_CANARY_ONLY", "0"),
    ("ONERING_WEBHOOKS_ENABLED", "1"),
    ("ONERING_WEBHOOKS_DELIVERY_ENABLED", "1"),
];

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// Gateways beyond the first.
    pub more_gateways: usize,
    /// Workers beyond the first.
    pub more_workers: usize,
    /// A Postgres server of its own, which the test may crash.
    pub private_postgres: bool,
    /// Lines between the services and the stores that the test may cut, pause and slow.
    pub breakable_lines: bool,
    /// Variables for every process, over the defaults.
    pub environment: Vec<(&'static str, String)>,
}

/// A running platform.
#[derive(Debug)]
pub struct Stack {
    /// Its database.
    pub database: StackDatabase,
    /// Its Redis.
    pub redis: TestRedis,
    /// The gateways.
    pub gateways: Vec<ServiceProcess>,
    /// The workers.
    pub workers: Vec<ServiceProcess>,
    /// The admin service.
    pub admin: ServiceProcess,
    /// The monitoring service.
    pub monitoring: ServiceProcess,
    flags: ScratchDir,
    admin_token: String,
    lines: Option<Lines>,
}

/// The lines between the services and the stores.
#[derive(Debug)]
struct Lines {
    postgres: TcpProxy,
    redis: TcpProxy,
}

impl Stack {
    /// Starts a platform and waits until all of it is ready.
    ///
    /// # Panics
    /// When something does not start; the message says what and shows its log.
    pub async fn start(options: StackOptions) -> Self {
        let database =
            if options.private_postgres { StackDatabase::private().await } else { StackDatabase::shared().await };
        let redis = redis().await;
        let flags = scratch_dir("flags");
        for (name, value) in SWITCHES {
            std::fs::write(flags.path().join(name), value).unwrap();
        }
        let admin_token = make_admin_key(database.url()).await;

        let lines = if options.breakable_lines { Some(Lines::lay(database.url(), &redis).await) } else { None };
        let over = |line: fn(&Lines) -> &TcpProxy, url: &str| {
            lines.as_ref().map_or_else(|| url.to_owned(), |lines| line(lines).url(url))
        };
        let (database_url, redis_url) =
            (over(|lines| &lines.postgres, database.url()), over(|lines| &lines.redis, &redis.url()));
        let service = |binary: &str, instance: String| {
            let mut service = ServiceOptions::of(binary)
                .env("ONERING_PROFILE", "dev")
                .env("ONERING_INSTANCE", instance)
                .env("DATABASE_URL", &database_url)
                .env("REDIS_URL", &redis_url)
                .env("ONERING_FLAGS_DIR", flags.path().display().to_string())
                .env("ONERING_SECRETS_KEYS", "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
                .env("ONERING_TRUSTED_PROXIES", "127.0.0.0/8")
                .env("ONERING_WEBHOOKS_ALLOW_HTTP", "1")
                .env("ONERING_WEBHOOKS_ALLOW_CIDRS", "127.0.0.0/8")
                .env("ONERING_MONITORING_OPEN", "1");
            for (name, value) in &options.environment {
                service = service.env(name, value);
            }
            service
        };
        // Spawned together and awaited afterwards: a test waits for the slowest, not for all in turn.
        let mut gateways: Vec<ServiceProcess> = (0..=options.more_gateways)
            .map(|number| service("api-gateway", format!("gateway-{number}")).spawn())
            .collect();
        let mut workers: Vec<ServiceProcess> = (0..=options.more_workers)
            .map(|number| service("delivery-worker", format!("worker-{number}")).spawn())
            .collect();
        let mut admin = service("admin", "admin-0".to_owned()).spawn();
        let mut monitoring = service("monitoring", "monitoring-0".to_owned()).spawn();
        for process in gateways.iter_mut().chain(&mut workers) {
            process.wait_ready().await;
        }
        admin.wait_ready().await;
        monitoring.wait_ready().await;
        Self { database, redis, gateways, workers, admin, monitoring, flags, admin_token, lines }
    }

    /// The operator, at the admin service.
    #[must_use]
    pub fn operator(&self) -> Api {
        Api::new(self.admin.url(""), Some(&self.admin_token))
    }

    /// The operator's credential.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// A gateway, without a credential.
    #[must_use]
    pub fn gateway(&self, number: usize) -> Api {
        Api::new(self.gateways[number].url(""), None)
    }

    /// The monitoring service.
    #[must_use]
    pub fn monitoring(&self) -> Api {
        Api::new(self.monitoring.url(""), None)
    }

    /// The line between the services and Postgres.
    ///
    /// # Panics
    /// When the stack was started without breakable lines.
    #[must_use]
    pub fn postgres_line(&self) -> &TcpProxy {
        &self.lines().postgres
    }

    /// The line between the services and Redis.
    ///
    /// # Panics
    /// When the stack was started without breakable lines.
    #[must_use]
    pub fn redis_line(&self) -> &TcpProxy {
        &self.lines().redis
    }

    fn lines(&self) -> &Lines {
        self.lines.as_ref().expect("the stack has breakable lines: set StackOptions::breakable_lines")
    }

    /// The directory of switches.
    #[must_use]
    pub fn flags_dir(&self) -> PathBuf {
        self.flags.path().to_owned()
    }

    /// Puts a switch file in place, in one step as an editor or the kubelet would.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn switch(&self, name: &str, value: &str) {
        let fresh = self.flags.path().join(format!(".{name}.new"));
        std::fs::write(&fresh, value).unwrap();
        std::fs::rename(&fresh, self.flags.path().join(name)).unwrap();
    }

    /// One number from the database, by plain SQL.
    ///
    /// # Panics
    /// When the query fails.
    pub async fn number(&self, sql: &str) -> i64 {
        let client = self.database.connect().await;
        client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
    }

    /// How many deliveries wait, and in words the first few of them.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn waiting(&self) -> (i64, String) {
        self.waiting_by(&self.database.connect().await).await
    }

    async fn waiting_by(&self, client: &tokio_postgres::Client) -> (i64, String) {
        const WAITING: &str = "SELECT count(*) OVER () AS number, \
             format('%s of event %s: %s after %s attempts, queued until %s, held by %s, now %s', delivery_id, event_id, \
             status, attempt_count, queued_until, held_reason, clock_timestamp()) \
             FROM webhook_deliveries WHERE settled_at IS NULL ORDER BY queued_until LIMIT 5";
        let rows = client.query(WAITING, &[]).await.unwrap();
        let some: Vec<String> = rows.iter().map(|row| row.get(1)).collect();
        (rows.first().map_or(0, |row| row.get(0)), some.join("\n"))
    }

    /// Waits until nothing is waiting any more.
    ///
    /// # Panics
    /// When something still is after the deadline; the message shows the first that are.
    pub async fn wait_until_settled(&self, deadline: Duration) {
        let client = self.database.connect().await;
        eventually(deadline, "every delivery is settled", async || {
            let (number, some) = self.waiting_by(&client).await;
            if number == 0 { Ok(()) } else { Err(format!("{number} are waiting:\n{some}")) }
        })
        .await;
    }

    /// One command to Redis, as `redis-cli` sends it; answers the first line.
    ///
    /// # Panics
    /// When Redis does not answer.
    pub async fn redis_command(&self, command: &str) -> String {
        let stream = TcpStream::connect(("127.0.0.1", self.redis.port())).await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Runs a subcommand of `onering` that asks the database; answers its exit code and what it printed.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn onering(&self, arguments: &[&str]) -> (i32, String) {
        let mut with_database = vec![arguments[0], "--database-url", self.database.url()];
        with_database.extend(&arguments[1..]);
        let Ran { code, text } =
            outside::run(outside::onering_binary(), with_database, outside::tests_folder(), b"").await;
        (code, text)
    }

    /// The ledger balances, by the command operators use.
    ///
    /// # Panics
    /// When it does not.
    pub async fn assert_ledger_balances(&self) {
        let (code, text) = self.onering(&["audit"]).await;
        assert_eq!(code, 0, "onering audit:\n{text}");
    }
}

impl Lines {
    async fn lay(database_url: &str, redis: &TestRedis) -> Self {
        let port = Url::parse(database_url).ok().and_then(|url| url.port()).expect("the database has a port");
        Self { postgres: TcpProxy::start(port).await, redis: TcpProxy::start(redis.port()).await }
    }
}

async fn make_admin_key(database_url: &str) -> String {
    let clock = Clock::system();
    let token = AdminToken::from_entropy(clock.entropy32());
    let mut connection = onering_store::connect(&PoolConfig::new(database_url).unwrap()).await.unwrap();
    let key = admin_keys::NewAdminKey {
        admin_key_id: clock.fresh_id::<AdminKeyId>(),
        name: "test operator".to_owned(),
        role: Role::Admin,
        digest: token.digest(),
        expires_at: None,
        created_by: "the test".to_owned(),
    };
    admin_keys::create(&mut connection, key).await.unwrap();
    token.expose().to_owned()
}
