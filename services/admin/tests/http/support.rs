//! An admin service with one operator of each role.

use std::time::Duration;

use onering_clock::Clock;
use onering_keys::{AdminToken, Role};
use onering_queue::{Announcement, Announcements, Queue};
use onering_store::admin_keys::{self, NewAdminKey};
use onering_store::{AsyncPgConnection, PoolConfig, connect, migrate::migrate};
use onering_testkit::{
    ServiceOptions, ServiceProcess, Template, TestDatabase, TestRedis, eventually, http_client, postgres_from, redis,
};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

pub(crate) const JWT_SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct World {
    pub(crate) service: ServiceProcess,
    pub(crate) database: TestDatabase,
    pub(crate) redis: TestRedis,
    pub(crate) client: reqwest::Client,
    tokens: [AdminToken; 3],
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(ServiceOptions) -> ServiceOptions) -> Self {
        let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
        let prepare = |url: String| async move { migrate(&PoolConfig::new(&url)?).await.map(drop) };
        let (database, redis) = tokio::join!(postgres_from(&template, prepare), redis());
        let tokens = Role::ALL.map(|_| AdminToken::from_entropy(Clock::system().entropy32()));
        let mut connection = connect(&PoolConfig::new(database.url()).unwrap()).await.unwrap();
        for (role, token) in Role::ALL.into_iter().zip(&tokens) {
            let key = NewAdminKey {
                admin_key_id: Clock::system().fresh_id(),
                name: role.to_string(),
                role,
                digest: token.digest(),
                expires_at: None,
                created_by: "test".to_owned(),
            };
            admin_keys::create(&mut connection, key).await.unwrap();
        }
        let options = ServiceOptions::of("admin")
            .env("DATABASE_URL", database.url())
            .env("REDIS_URL", redis.url())
            .env("ONERING_PROFILE", "dev")
            .env("ONERING_INSTANCE", "admin-under-test")
            .env("ONERING_HTTP_WORKERS", "2")
            .env("ONERING_SECRETS_KEYS", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
            .env("ONERING_ADMIN_JWT_SECRET", JWT_SECRET)
            .env("ONERING_WEBHOOKS_ALLOW_HTTP", "1")
            .env("ONERING_WEBHOOKS_ALLOW_CIDRS", "127.0.0.0/8");
        let on = ["EXTERNAL_API_ENABLED", "WEBHOOKS_ENABLED", "WEBHOOKS_DELIVERY_ENABLED"];
        let options = on.iter().fold(options, |options, name| options.env(&format!("ONERING_{name}"), "1"));
        let service = adjust(options).start().await;
        Self { service, database, redis, client: http_client(), tokens }
    }

    pub(crate) fn token(&self, role: Role) -> &str {
        self.tokens[role as usize].expose()
    }

    /// A call of an operator with this role.
    pub(crate) async fn call(&self, role: Role, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.client.request(method, self.service.url(path)).bearer_auth(self.token(role));
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Role::Operator, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Role::Operator, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call(Role::Operator, Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Role::Operator, Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Role::Operator, Method::DELETE, path, None).await
    }

    /// A new key with its token.
    pub(crate) async fn key(&self, body: &Value) -> Value {
        self.post("/v1/admin/external/keys", body).await.expect(201)
    }

    /// A new subscription with its secret.
    pub(crate) async fn subscription(&self, body: &Value) -> Value {
        self.post("/v1/admin/external/webhooks", body).await.expect(201)
    }

    pub(crate) async fn connection(&self) -> AsyncPgConnection {
        connect(&PoolConfig::new(self.database.url()).unwrap()).await.unwrap()
    }

    /// The audit log, oldest first: action, target, and whether there is a before and an after.
    pub(crate) async fn audit(&self) -> Vec<Value> {
        let mut items = self.get("/v1/admin/audit?limit=200").await.expect(200)["items"].as_array().unwrap().clone();
        items.reverse();
        items
    }

    /// Announcements from now on.
    pub(crate) async fn listen(&self) -> Listener {
        let queue = Queue::connect_to(&self.redis.url(), Clock::system()).unwrap();
        let mut announcements = queue.announcements();
        assert_eq!(announcements.next().await, Announcement::Reconnected);
        Listener { announcements, _queue: queue }
    }
}

pub(crate) struct Listener {
    announcements: Announcements,
    _queue: Queue,
}

impl Listener {
    pub(crate) async fn next(&mut self) -> Announcement {
        tokio::time::timeout(Duration::from_secs(10), self.announcements.next()).await.expect("an announcement")
    }
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
        };
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// Status, code and field of a problem, after checking what all of them have in common.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, &str, Option<&str>) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}: {:#}", self.status, self.body);
        let code = self.body["code"].as_str().unwrap();
        assert_eq!(self.header("x-error-code"), Some(code));
        assert_eq!(self.header("x-request-id"), self.body["request_id"].as_str());
        assert_eq!(self.body["status"], self.status);
        (self.status, code, self.body["field"].as_str())
    }
}

/// Waits until what the service answers satisfies `enough`.
pub(crate) async fn until(world: &World, path: &str, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
    let look = async || {
        let body = world.get(path).await.expect(200);
        if enough(&body) { Ok(body) } else { Err(body.to_string()) }
    };
    eventually(Duration::from_secs(10), what, look).await
}

pub(crate) fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field].as_str().unwrap_or_else(|| panic!("no text {field} in {body:#}"))
}
