//! The superuser's URL of a server, taken apart only as far as another database or role needs it.

/// `postgres://USER@HOST/DATABASE?PARAMETERS`, or `postgres:///DATABASE?user=USER&host=SOCKETFOLDER`: libpq takes
/// `USER@` before an empty host, other URL parsers refuse it, so the user of a socket is written as a parameter.
#[derive(Clone, Debug)]
pub(in crate::test_support) struct AdminUrl {
    host: String,
    user: String,
    parameters: Vec<String>,
}

impl AdminUrl {
    /// The server on the socket in `folder`, with initdb's superuser `postgres`.
    pub(in crate::test_support) fn of_socket(folder: &str) -> Self {
        Self { host: String::new(), user: "postgres".to_owned(), parameters: vec![format!("host={folder}")] }
    }

    /// Takes a URL apart; `None` if it has neither form.
    pub(in crate::test_support) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (users, parameters): (Vec<&str>, Vec<&str>) = query
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .partition(|parameter| parameter.starts_with("user="));
        let user = users.last().and_then(|parameter| parameter.strip_prefix("user=")).unwrap_or(user);
        (!user.is_empty()).then(|| Self {
            host: host.to_owned(),
            user: user.to_owned(),
            parameters: parameters.into_iter().map(str::to_owned).collect(),
        })
    }

    /// The URL of `database` for the superuser.
    pub(in crate::test_support) fn database(&self, database: &str) -> String {
        self.login(&self.user, database)
    }

    /// The URL of `database` for `user`; before a host, it may be `name:password`.
    pub(in crate::test_support) fn login(&self, user: &str, database: &str) -> String {
        let mut parameters = self.parameters.clone();
        let authority = if self.host.is_empty() {
            parameters.insert(0, format!("user={user}"));
            String::new()
        } else {
            format!("{user}@{}", self.host)
        };
        let mark = if parameters.is_empty() { "" } else { "?" };
        format!("postgres://{authority}/{database}{mark}{}", parameters.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_another_database_and_another_role() {
        let as_app = |url: &str| AdminUrl::parse(url).map(|url| url.login("app", "d"));
        let socket = Some("postgres:///d?user=app&host=/run/pg&port=5433".to_owned());
        assert_eq!(as_app("postgres://postgres@/postgres?host=/run/pg&port=5433"), socket);
        assert_eq!(as_app("postgresql:///postgres?host=/run/pg&user=postgres&port=5433"), socket);
        assert_eq!(as_app("postgres://a:b@h:5433/x").as_deref(), Some("postgres://app@h:5433/d"));
        assert_eq!(as_app("postgres://h/x"), None);
        assert_eq!(as_app("sqlite:x"), None);
        assert_eq!(AdminUrl::of_socket("/run/pg").database("x"), "postgres:///x?user=postgres&host=/run/pg");
    }
}
