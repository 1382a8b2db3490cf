//! A gateway with its stores, keys to call it with, and answers that are easy to look at.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use onering_clock::Clock;
use onering_ids::KeyId;
use onering_keys::{ApiToken, ScopeSet, Tier};
use onering_queue::{Announcement, Queue};
use onering_rate_limit::Limit;
use onering_store::api_keys::{self, NewKey, NewSecret};
use onering_store::pool::PoolConfig;
use onering_testkit::{
    ScratchDir, ServiceOptions, ServiceProcess, Template, TestDatabase, TestRedis, eventually, http_client,
    postgres_from, redis, scratch_dir,
};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// Long enough for anything here, short enough to notice what hangs.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A gateway of one test.
pub(crate) struct Stack {
    pub(crate) gateway: ServiceProcess,
    pub(crate) redis: TestRedis,
    pub(crate) database: TestDatabase,
    pub(crate) queue: Queue,
    pub(crate) clock: Clock,
    pub(crate) client: reqwest::Client,
    files: ScratchDir,
}

/// A key to make.
pub(crate) struct KeySpec {
    pub(crate) owner: &'static str,
    pub(crate) tier: Tier,
    pub(crate) scopes: ScopeSet,
    pub(crate) canary: bool,
    pub(crate) limit: Option<u64>,
    pub(crate) burst: Option<u64>,
    pub(crate) allowlist: &'static str,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Default for KeySpec {
    fn default() -> Self {
        Self {
            owner: "acme",
            tier: Tier::Enterprise,
            scopes: ScopeSet::all_partner(),
            canary: false,
            limit: None,
            burst: None,
            allowlist: "",
            expires_at: None,
        }
    }
}

/// A key that was made.
pub(crate) struct TestKey {
    pub(crate) id: KeyId,
    pub(crate) token: ApiToken,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Stack {
    /// A gateway without routes to a product.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_, _| Vec::new(), "").await
    }

    /// A gateway with this route table.
    pub(crate) async fn with_routes(routes: &str) -> Self {
        Self::start_with(|_, _| Vec::new(), routes).await
    }

    /// A gateway with further variables.
    pub(crate) async fn start_with(
        further: impl FnOnce(&TestDatabase, &TestRedis) -> Vec<(&'static str, String)>,
        routes: &str,
    ) -> Self {
        Self::start_on(migrated_database().await, further, routes).await
    }

    /// The same on a database that is there already.
    pub(crate) async fn start_on(
        database: TestDatabase,
        further: impl FnOnce(&TestDatabase, &TestRedis) -> Vec<(&'static str, String)>,
        routes: &str,
    ) -> Self {
        wait_for_room_in_the_hour().await;
        let redis = redis().await;
        let files = scratch_dir("gateway-files");
        std::fs::create_dir(files.path().join("flags")).unwrap();
        std::fs::write(files.path().join("routes.toml"), routes).unwrap();
        for switch in ["EXTERNAL_API", "WEBHOOKS", "WEBHOOKS_DELIVERY"] {
            std::fs::write(files.path().join(format!("flags/ONERING_{switch}_ENABLED")), "1").unwrap();
        }
        let path = |name: &str| files.path().join(name).display().to_string();
        let mut options = ServiceOptions::of("api-gateway")
            .env("ONERING_PROFILE", "dev")
            .env("DATABASE_URL", database.url())
            .env("REDIS_URL", redis.url())
            .env("ONERING_HTTP_WORKERS", "2")
            .env("ONERING_INSTANCE", "gateway-under-test")
            .env("ONERING_SECRETS_KEYS", "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .env("ONERING_WEBHOOKS_ALLOW_HTTP", "1")
            .env("ONERING_WEBHOOKS_ALLOW_CIDRS", "127.0.0.0/8")
            // So that a test may call from any address.
            .env("ONERING_TRUSTED_PROXIES", "127.0.0.0/8")
            .env("ONERING_FLAGS_DIR", path("flags"))
            .env("ONERING_ROUTES_FILE", path("routes.toml"));
        for (name, value) in further(&database, &redis) {
            options = options.env(name, value);
        }
        let gateway = options.start().await;
        let clock = Clock::system();
        let queue = Queue::connect_to(&redis.url(), clock.clone()).unwrap();
        Self { gateway, redis, database, queue, clock, client: http_client(), files }
    }

    /// Makes a key.
    pub(crate) async fn key(&self, spec: KeySpec) -> TestKey {
        let token = ApiToken::from_entropy(self.clock.entropy32());
        let id = self.clock.fresh_id();
        let key = NewKey {
            key_id: id,
            owner_id: spec.owner.parse().unwrap(),
            name: "contract test".to_owned(),
            scopes: spec.scopes,
            tier: spec.tier,
            rate_limit_override: spec.limit.map(|limit| Limit::new(limit).unwrap()),
            burst_per_second: spec.burst,
            canary: spec.canary,
            ip_allowlist: spec.allowlist.split_whitespace().map(|cidr| cidr.parse().unwrap()).collect(),
            expires_at: spec.expires_at,
            metadata: serde_json::json!({}),
            created_by: "test".to_owned(),
        };
        let hint = token.hint().to_owned();
        let secret = NewSecret { secret_id: self.clock.fresh_id(), digest: token.digest(), hint };
        let mut connection = self.connection().await;
        api_keys::create(&mut connection, &key, &secret).await.unwrap();
        TestKey { id, token }
    }

    /// A key with everything a partner has.
    pub(crate) async fn usual_key(&self) -> TestKey {
        self.key(KeySpec::default()).await
    }

    /// A connection for the store's functions.
    pub(crate) async fn connection(&self) -> onering_store::AsyncPgConnection {
        onering_store::connect(&PoolConfig::new(self.database.url()).unwrap()).await.unwrap()
    }

    /// Runs SQL as an operator at a console would.
    pub(crate) async fn sql(&self, text: &str) {
        self.database.connect().await.batch_execute(text).await.unwrap();
    }

    /// One number from SQL.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        self.database.connect().await.query_one(query, &[]).await.unwrap().get(0)
    }

    /// Tells all gateways of a change.
    pub(crate) async fn announce(&self, announcement: Announcement) {
        self.queue.announcer().announce(&announcement).await.unwrap();
    }

    /// Writes a switch's file as `kubectl edit` would have it written.
    pub(crate) fn set_switch(&self, name: &str, value: &str) {
        let target = self.files.path().join("flags").join(name);
        let draft = self.files.path().join("draft");
        std::fs::write(&draft, value).unwrap();
        std::fs::rename(draft, target).unwrap();
    }

    /// Replaces the route table.
    pub(crate) fn set_routes(&self, text: &str) {
        std::fs::write(self.routes_file(), text).unwrap();
    }

    fn routes_file(&self) -> PathBuf {
        self.files.path().join("routes.toml")
    }

    /// A request to a path beneath `/v1/external`, without a key.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.gateway.url(&format!("/v1/external{path}")))
    }

    /// A request with a key.
    pub(crate) fn with_key(&self, method: Method, path: &str, key: &TestKey) -> RequestBuilder {
        self.request(method, path).bearer_auth(key.token.expose())
    }

    /// `GET` with a key.
    pub(crate) async fn get(&self, path: &str, key: &TestKey) -> Answer {
        send(self.with_key(Method::GET, path, key)).await
    }

    /// `POST` of JSON with a key.
    pub(crate) async fn post(&self, path: &str, key: &TestKey, body: &Value) -> Answer {
        send(self.with_key(Method::POST, path, key).json(body)).await
    }
}

/// Limits and usage are counted by the clock hour: what a test counts must not fall into two.
async fn wait_for_room_in_the_hour() {
    const ROOM_SECONDS: i64 = 60;
    let seconds_left = || 3_600 - Utc::now().timestamp().rem_euclid(3_600);
    let patience = Duration::from_secs(2 * ROOM_SECONDS.unsigned_abs());
    eventually(patience, "the next hour", async || seconds_left() > ROOM_SECONDS).await;
}

/// Sends a request and reads its answer.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap().to_vec();
    Answer { status, headers, body }
}

impl Answer {
    /// The body.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A header as a number.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.header(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).parse().unwrap()
    }

    /// The code of a problem, after a look at everything that every problem has.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        let body = self.json();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        for member in ["type", "title", "detail"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {body}");
        }
        let code = body["code"].as_str().unwrap().to_owned();
        assert_eq!(self.header("x-error-code"), Some(code.as_str()));
        code
    }

    /// The field a problem names; empty if none.
    pub(crate) fn field(&self) -> String {
        self.json()["field"].as_str().unwrap_or_default().to_owned()
    }

    /// Looks at all the headers of a recognised caller; answers limit and remaining.
    #[track_caller]
    pub(crate) fn quota(&self) -> (u64, u64) {
        let (limit, remaining) = (self.number("x-ratelimit-limit"), self.number("x-ratelimit-remaining"));
        let reset = self.number("x-ratelimit-reset");
        let now = u64::try_from(Utc::now().timestamp()).unwrap();
        assert!(reset.is_multiple_of(3_600) && reset + 5 > now && reset <= now + 3_605, "{reset} at {now}");
        assert_eq!(self.header("ratelimit-policy"), Some(format!("\"hour\";q={limit};w=3600").as_str()));
        let rate = self.header("ratelimit").unwrap();
        assert!(rate.starts_with(&format!("\"hour\";r={remaining};t=")), "{rate}");
        (limit, remaining)
    }

    /// Whether the answer says anything about limits.
    pub(crate) fn has_quota(&self) -> bool {
        self.headers.keys().any(|name| name.as_str().contains("ratelimit"))
    }
}

/// A private database with everything in it.
pub(crate) async fn migrated_database() -> TestDatabase {
    let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
    postgres_from(&template, |url| async move {
        let config = PoolConfig::new(&url)?;
        onering_store::migrate::migrate(&config).await.map(drop)
    })
    .await
}
