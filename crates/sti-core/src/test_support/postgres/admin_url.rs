//! The superuser's URL of a server, taken apart only as far as another database or role needs it.

/// `postgres://USER@HOST/DATABASE?PARAMETERS`; the host may be empty (`?host=SOCKETFOLDER`), which URL parsers
/// refuse and libpq takes, hence no parser here.
#[derive(Clone, Debug)]
pub(in crate::test_support) struct AdminUrl {
    host: String,
    user: String,
    parameters: String,
}

impl AdminUrl {
    /// The server on the socket in `folder`, with initdb's superuser `postgres`.
    pub(in crate::test_support) fn of_socket(folder: &str) -> Self {
        Self { host: String::new(), user: "postgres".to_owned(), parameters: format!("?host={folder}") }
    }

    /// Takes a URL apart; `None` if it has not the form.
    pub(in crate::test_support) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
        let (rest, parameters) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
        let (user, host) = authority.rsplit_once('@')?;
        Some(Self { host: host.to_owned(), user: user.to_owned(), parameters: parameters.to_owned() })
    }

    /// The URL of `database` for the superuser.
    pub(in crate::test_support) fn database(&self, database: &str) -> String {
        self.login(&self.user, database)
    }

    /// The URL of `database` for `user`, which may be `name:password`.
    pub(in crate::test_support) fn login(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@{}/{database}{}", self.host, self.parameters)
    }
}
