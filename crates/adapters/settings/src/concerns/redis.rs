//! Redis: its URL, which is a secret.

use std::fmt;

use url::Url;

use crate::reader::Reader;
use crate::secret::Secret;
use crate::table::REDIS_URL;

/// Where Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// The URL.
    pub url: RedisUrl,
}

/// A Redis URL. `Debug` and `Display` show it without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    text: Secret,
    shown: String,
}

impl RedisUrl {
    /// The whole URL for the driver. Never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The error does not quote the URL.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "is not a URL")?;
        let host = match url.scheme() {
            "redis" | "rediss" => url.host_str().filter(|host| !host.is_empty()).ok_or("names no host")?,
            "unix" | "redis+unix" => "",
            _ => return Err("begins with none of redis://, rediss:// and redis+unix://"),
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{}://{host}{port}{}", url.scheme(), url.path());
        Ok(Self { text: Secret::new(text), shown })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Redis {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.parsed_by(&REDIS_URL, RedisUrl::parse);
        Some(Self { url: url? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let url = RedisUrl::parse("rediss://user:hunter2@cache:6380/1").unwrap();
        assert_eq!(format!("{url} {url:?}"), "rediss://cache:6380/1 rediss://cache:6380/1");
        assert!(url.expose().contains("hunter2"));
    }

    #[test]
    fn sockets_are_taken_and_other_schemes_are_not() {
        assert!(RedisUrl::parse("unix:///run/redis.sock").is_ok());
        assert!(RedisUrl::parse("redis+unix:///run/redis.sock").is_ok());
        for text in ["http://cache", "redis://", "cache:6379", "redis:///0"] {
            assert!(RedisUrl::parse(text).is_err(), "{text}");
        }
    }
}
