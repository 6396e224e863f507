//! HTTP as this shell speaks it: to a Pushgateway and to a Prometheus server.

use std::time::Duration;

use url::Url;

/// Reads the URL of a server. The message never holds the URL, which may hold a password.
///
/// # Errors
/// What is wrong, and what is expected.
pub fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("{e}; expected http://HOST:PORT"))?;
    match url.scheme() {
        "http" => {}
        "https" if cfg!(feature = "tls") => {}
        "https" => return Err("this build has no TLS: build it with --features tls".to_owned()),
        _ => return Err("expected http://HOST:PORT".to_owned()),
    }
    if url.host_str().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err("expected http://HOST:PORT, perhaps with a path".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a name or password in the URL is not supported".to_owned());
    }
    Ok(url)
}

/// `base` with further parts of the path, each escaped.
#[must_use]
pub fn below(base: &Url, parts: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}

/// A client that gives up after `limit`, whatever it waits for.
#[must_use]
pub fn agent(limit: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(limit));
    #[cfg(feature = "tls")]
    let config = config.tls_config(
        ureq::tls::TlsConfig::builder()
            .provider(ureq::tls::TlsProvider::NativeTls)
            .root_certs(ureq::tls::RootCerts::PlatformVerifier)
            .build(),
    );
    config.build().new_agent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_have_a_path() {
        let url = base_url("http://gate:9091/push/").unwrap();
        let below = below(&url, &["metrics", "job", "a/b"]);
        assert_eq!(below.as_str(), "http://gate:9091/push/metrics/job/a%2Fb");
        assert_eq!(super::below(&base_url("http://gate").unwrap(), &["x"]).as_str(), "http://gate/x");
    }

    #[test]
    fn what_is_no_base_url_is_refused_and_not_repeated() {
        for text in ["gate:9091", "ftp://gate", "http://", "http://a:secret@gate", "http://gate?x=1"] {
            let error = base_url(text).unwrap_err();
            assert!(!error.contains("secret") && !error.contains("gate"), "{error}");
        }
    }
}
