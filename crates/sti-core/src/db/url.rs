//! Database URLs: parsed once, shown without their password.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// The kind of database that a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// PostgreSQL 14 to 18.
    Postgres,
    /// SQLite, built in.
    Sqlite,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        })
    }
}

/// Where a database is: `postgres://…`, `postgresql://…` or `sqlite:PATH`.
///
/// Its `Display` and `Debug` name the target (host and database, or file) and never show a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Target);

#[derive(Clone, PartialEq, Eq)]
enum Target {
    Postgres { url: url::Url, host: String, database: String },
    Sqlite(PathBuf),
}

/// Why a text is no database URL that can be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// The scheme is none of ours.
    #[error(
        "unknown database URL scheme {scheme:?}: use postgres://USER@HOST/DATABASE, postgresql://… or sqlite:PATH"
    )]
    UnknownScheme {
        /// What stood before the first colon; empty when there was none.
        scheme: String,
    },
    /// A PostgreSQL URL that does not parse. The URL itself is not repeated: it may hold a password.
    #[error("malformed PostgreSQL URL: {reason}; write postgres://USER@HOST:PORT/DATABASE")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The URL would leave a part to the environment of the process.
    #[error("the PostgreSQL URL names no {what}: write {example}")]
    Incomplete {
        /// The part that is missing.
        what: &'static str,
        /// How a whole URL looks.
        example: &'static str,
    },
    /// `sqlite:` without a file, or with one that no two connections could share.
    #[error("{path:?} is no SQLite file: write sqlite:PATH")]
    NoFile {
        /// What stood after `sqlite:`.
        path: String,
    },
    /// The URL asks for TLS and this build has none.
    #[error(
        "sslmode={mode} asks for TLS, and this build has none: build with --features tls, or tls-vendored"
    )]
    TlsNotBuilt {
        /// The mode that the URL asks for.
        mode: String,
    },
    /// Without TLS, a password and every row would cross the network in the clear.
    #[error(
        "{host} is not this machine and this build has no TLS: build with --features tls, \
         or say sslmode=disable in the URL to go in the clear"
    )]
    PlainText {
        /// The host that the URL names.
        host: String,
    },
}

/// What a connection takes where the URL says nothing of it. A machine that is gone says no word: without these a client
/// waits for its answer for hours. The kernel of a live server answers them, however long its statement runs.
const DEFAULTS: [(&str, &str); 5] = [
    ("connect_timeout", "10"),
    ("keepalives_idle", "30"),
    ("keepalives_interval", "10"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "60000"),
];

impl DatabaseUrl {
    /// Parses and checks a URL; nothing is opened.
    ///
    /// A PostgreSQL URL must name its host (a socket folder as `?host=/var/run/postgresql`) and its database, so
    /// that the target shown is the target reached, whatever `PGHOST` or `PGDATABASE` say.
    ///
    /// # Errors
    /// [`UrlError`] names what is wrong, without the password.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        match scheme {
            "postgres" | "postgresql" => parse_postgres(text),
            "sqlite" => parse_sqlite(rest),
            _ => Err(UrlError::UnknownScheme { scheme: safe_scheme(scheme) }),
        }
    }

    /// The kind of database.
    #[must_use]
    pub fn backend(&self) -> Backend {
        match self.0 {
            Target::Postgres { .. } => Backend::Postgres,
            Target::Sqlite(_) => Backend::Sqlite,
        }
    }

    /// The file, for SQLite.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<&Path> {
        match &self.0 {
            Target::Sqlite(path) => Some(path),
            Target::Postgres { .. } => None,
        }
    }

    /// The URL as libpq takes it, password included, with what we add to every connection.
    pub(crate) fn libpq(&self, application_name: &str) -> Option<String> {
        let Target::Postgres { url, .. } = &self.0 else { return None };
        let mut url = url.clone();
        let given: Vec<String> = url.query_pairs().map(|(key, _)| key.into_owned()).collect();
        let mut extra = vec![("fallback_application_name", application_name)];
        extra.extend(DEFAULTS.into_iter().filter(|(key, _)| !given.iter().any(|given| given == key)));
        if !cfg!(feature = "tls") && !given.iter().any(|key| key == "sslmode") {
            extra.push(("sslmode", "disable"));
        }
        // Not `query_pairs_mut`: it writes blanks as `+`, which libpq does not read as blanks.
        let mut query = url.query().unwrap_or_default().to_owned();
        for (key, value) in extra {
            let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            if !query.is_empty() {
                query.push('&');
            }
            query.extend([key, "="]);
            query.extend(value);
        }
        url.set_query(Some(&query));
        Some(url.into())
    }

    /// Removes this URL's password from a text that somebody else wrote, as libpq's messages may hold it.
    pub(crate) fn redact(&self, text: &str) -> String {
        let Target::Postgres { url, .. } = &self.0 else { return text.to_owned() };
        let mut secrets: Vec<String> = Vec::new();
        if let Some(password) = url.password() {
            secrets.push(password.to_owned());
            secrets.push(percent_decode_str(password).decode_utf8_lossy().into_owned());
        }
        secrets.extend(
            url.query_pairs()
                .filter(|(key, _)| key == "password" || key == "sslpassword")
                .map(|(_, value)| value.into_owned()),
        );
        secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Postgres { host, database, .. } => write!(f, "PostgreSQL database {database} on {host}"),
            Target::Sqlite(path) => write!(f, "SQLite file {}", path.display()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

fn parse_sqlite(path: &str) -> Result<DatabaseUrl, UrlError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    // An in-memory database would be another one for every connection.
    if path.is_empty() || path.contains(":memory:") || path.starts_with("file:") {
        return Err(UrlError::NoFile { path: path.to_owned() });
    }
    Ok(DatabaseUrl(Target::Sqlite(PathBuf::from(path))))
}

fn parse_postgres(text: &str) -> Result<DatabaseUrl, UrlError> {
    let text = user_of_a_socket_as_parameter(text);
    let url = url::Url::parse(&text).map_err(|e| UrlError::Malformed { reason: e.to_string() })?;
    if url.cannot_be_a_base() {
        return Err(UrlError::Malformed { reason: "// is missing after the scheme".to_owned() });
    }
    let parameter = |name: &str| {
        url.query_pairs()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let host = parameter("host")
        .or_else(|| url.host_str().filter(|host| !host.is_empty()).map(decoded))
        .or_else(|| parameter("hostaddr"))
        .ok_or(UrlError::Incomplete {
            what: "host",
            example: "postgres://HOST/DATABASE, or postgres:///DATABASE?host=/var/run/postgresql for a socket",
        })?;
    let database = Some(decoded(url.path().trim_start_matches('/')))
        .filter(|name| !name.is_empty())
        .or_else(|| parameter("dbname"))
        .ok_or(UrlError::Incomplete { what: "database", example: "postgres://HOST/DATABASE" })?;
    check_tls(&host, parameter("sslmode").as_deref())?;
    let port = parameter("port").or_else(|| url.port().map(|port| port.to_string()));
    let host = match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    Ok(DatabaseUrl(Target::Postgres { url, host, database }))
}

/// libpq takes `USER:PASSWORD@` before an empty host, URL parsers refuse it: written as parameters, both take it.
fn user_of_a_socket_as_parameter(text: &str) -> Cow<'_, str> {
    let split = text.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        Some((scheme, authority.strip_suffix('@')?, path))
    });
    let Some((scheme, login, path)) = split else { return Cow::Borrowed(text) };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let mut url = format!("{scheme}://{path}");
    for (key, value) in [("user", user), ("password", password)] {
        if !value.is_empty() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.extend([key, "=", &value.replace('&', "%26")]);
        }
    }
    Cow::Owned(url)
}

fn check_tls(host: &str, sslmode: Option<&str>) -> Result<(), UrlError> {
    if cfg!(feature = "tls") {
        return Ok(());
    }
    match sslmode {
        Some("disable") => Ok(()),
        Some("allow" | "prefer") | None if is_local(host) => Ok(()),
        Some("allow" | "prefer") | None => Err(UrlError::PlainText { host: host.to_owned() }),
        Some(mode) => Err(UrlError::TlsNotBuilt { mode: mode.to_owned() }),
    }
}

fn is_local(host: &str) -> bool {
    host.split(',').all(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.starts_with(['/', '@'])
            || host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// A scheme as it may be shown: `user:password@host` has no scheme, and its first part is nobody's business.
fn safe_scheme(scheme: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if scheme.len() <= 20 && scheme.chars().all(plain) { scheme.to_owned() } else { "…".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_target_and_never_the_password() {
        let url = DatabaseUrl::parse("postgres://app:s%40crt@localhost:5433/ocean?sslmode=disable").unwrap();
        assert_eq!(url.to_string(), "PostgreSQL database ocean on localhost:5433");
        assert!(!format!("{url:?}").contains("s%40crt"));
        assert_eq!(url.redact("bad s@crt and s%40crt"), "bad *** and ***");
    }

    #[test]
    fn a_socket_folder_is_a_host() {
        let url = DatabaseUrl::parse("postgres://postgres@/ocean?host=/run/pg").unwrap();
        assert_eq!(url.to_string(), "PostgreSQL database ocean on /run/pg");
        let libpq = url.libpq("sti backfill").unwrap();
        assert!(libpq.starts_with("postgres:///ocean?host=/run/pg&user=postgres&"), "{libpq}");
        assert!(libpq.contains("fallback_application_name=sti%20backfill"), "{libpq}");
    }

    #[test]
    fn the_password_of_a_socket_is_a_secret_too() {
        let url = DatabaseUrl::parse("postgres://app:s%40crt@/ocean?host=/run/pg").unwrap();
        assert!(url.libpq("x").unwrap().contains("user=app&password=s%40crt&"));
        assert_eq!(url.redact("bad s@crt"), "bad ***");
        assert!(!format!("{url} {url:?}").contains("crt"));
    }

    #[test]
    fn a_machine_that_is_gone_is_noticed_unless_the_url_has_it_otherwise() {
        let libpq = |query| {
            let url = format!("postgres://app@127.0.0.1/ocean?sslmode=disable{query}");
            DatabaseUrl::parse(&url).unwrap().libpq("x").unwrap()
        };
        for (key, value) in DEFAULTS {
            assert!(libpq("").contains(&format!("&{key}={value}")), "{}", libpq(""));
        }
        let given = libpq("&keepalives_idle=600&connect_timeout=3");
        assert_eq!(given.matches("keepalives_idle=").count(), 1, "{given}");
        assert!(given.contains("keepalives_idle=600") && given.contains("connect_timeout=3"), "{given}");
    }

    #[test]
    fn refuses_what_it_cannot_name() {
        let refused = |text: &str| DatabaseUrl::parse(text).unwrap_err().to_string();
        assert!(refused("mysql://host/db").contains("unknown database URL scheme \"mysql\""));
        assert!(refused("app.db").contains("unknown database URL scheme \"\""));
        assert!(refused("postgres://localhost").contains("names no database"));
        assert!(refused("postgres:///db").contains("names no host"));
        assert!(refused("sqlite:").contains("no SQLite file"));
        assert!(refused("sqlite::memory:").contains("no SQLite file"));
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn goes_to_plain_text_only_when_told_to() {
        let refused = |text: &str| DatabaseUrl::parse(text).unwrap_err();
        assert!(matches!(refused("postgres://db.example/x"), UrlError::PlainText { .. }));
        assert!(matches!(refused("postgres://localhost/x?sslmode=require"), UrlError::TlsNotBuilt { .. }));
        assert!(DatabaseUrl::parse("postgres://db.example/x?sslmode=disable").is_ok());
        assert!(DatabaseUrl::parse("postgres://127.0.0.1/x").is_ok());
    }
}
