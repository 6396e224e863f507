//! What a role may do with the tables. On SQLite there are no roles, and the answers are empty.

use diesel::sql_types::{Bool, Text};
use diesel::{QueryResult, RunQueryDsl as _};
use std::fmt;

use crate::db::connection::AnyConnection;

/// Why this session cannot make tables. Its text names the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The server takes no writes.
    Standby,
    /// No schema of `search_path` exists.
    NoSchema,
    /// The role may not create tables in the schema.
    NoCreate {
        /// The role of this session.
        role: String,
        /// The schema in which tables would be made.
        schema: String,
    },
    /// The role lacks a privilege on a table.
    NoPrivilege {
        /// The role of this session.
        role: String,
        /// `REFERENCES`, `INSERT` …
        privilege: String,
        /// The table.
        table: String,
    },
    /// The role does not own a table that it is to change.
    NotOwner {
        /// The role of this session.
        role: String,
        /// Who owns it.
        owner: String,
        /// The table.
        table: String,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standby => f.write_str("the server is a standby and takes no writes: name the primary in the URL"),
            Self::NoSchema => f.write_str(
                "no schema of search_path exists, so there is no place for a table: create one, or name one in \
                 the URL (?options=-csearch_path%3DSCHEMA)",
            ),
            Self::NoCreate { role, schema } => write!(
                f,
                "role {role} may not create tables in schema {schema}: connect as the owner of the application's \
                 tables, or have it run  GRANT CREATE ON SCHEMA {schema} TO {role}"
            ),
            Self::NoPrivilege { role, privilege, table } => write!(
                f,
                "role {role} has no {privilege} privilege on {table}: connect as its owner, or have it run  \
                 GRANT {privilege} ON {table} TO {role}"
            ),
            Self::NotOwner { role, owner, table } => write!(
                f,
                "role {role} does not own {table}, and only its owner may change its columns: connect as {owner}"
            ),
        }
    }
}

#[derive(diesel::QueryableByName)]
struct Session {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Text)]
    schema: String,
    #[diesel(sql_type = Bool)]
    standby: bool,
    #[diesel(sql_type = Bool)]
    may_create: bool,
}

/// What keeps this session from making tables and from the `needed` privileges, pairs of privilege and table; the
/// tables must exist.
///
/// # Errors
/// Whatever the database says.
pub fn obstacles(connection: &mut AnyConnection, needed: &[(&str, &str)]) -> QueryResult<Vec<Obstacle>> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        granted: bool,
    }
    let AnyConnection::Pg(connection) = connection else { return Ok(Vec::new()) };
    let session: Session = diesel::sql_query(
        "SELECT quote_ident(current_user) AS role, COALESCE(quote_ident(current_schema()), '') AS schema, \
                pg_is_in_recovery() AS standby, \
                COALESCE(has_schema_privilege(current_schema()::text, 'CREATE'), false) AS may_create",
    )
    .get_result(connection)?;
    let Session { role, schema, standby, may_create } = session;
    if standby {
        return Ok(vec![Obstacle::Standby]);
    }
    if schema.is_empty() {
        return Ok(vec![Obstacle::NoSchema]);
    }
    let mut found = Vec::new();
    if !may_create {
        found.push(Obstacle::NoCreate { role: role.clone(), schema });
    }
    for (privilege, table) in needed {
        let sql = "SELECT has_table_privilege(to_regclass($1), $2) AS granted";
        let query = diesel::sql_query(sql).bind::<Text, _>(table).bind::<Text, _>(privilege);
        let Row { granted } = query.get_result(connection)?;
        if !granted {
            let (privilege, table) = ((*privilege).to_owned(), (*table).to_owned());
            found.push(Obstacle::NoPrivilege { role: role.clone(), privilege, table });
        }
    }
    Ok(found)
}

/// Privileges that a role has on one table and lacks on another.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct MissingGrant {
    /// The role, quoted where it must be; `PUBLIC` for everybody.
    #[diesel(sql_type = Text)]
    pub role: String,
    /// `SELECT, INSERT` …
    #[diesel(sql_type = Text)]
    pub privileges: String,
    /// The table on which they are missing.
    #[diesel(sql_type = Text)]
    pub table: String,
}

/// The statement that grants what is missing.
impl fmt::Display for MissingGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GRANT {} ON {} TO {};", self.privileges, self.table, self.role)
    }
}

/// For each role that was granted the reading or writing of `model`'s rows, or owns it: what it lacks on `table`.
/// Superusers lack nothing; privileges on single columns are not looked at. Both tables must exist.
///
/// # Errors
/// Whatever the database says.
pub fn missing_grants(
    connection: &mut AnyConnection,
    model: &str,
    table: &str,
) -> QueryResult<Vec<MissingGrant>> {
    let AnyConnection::Pg(connection) = connection else { return Ok(Vec::new()) };
    // Grantee 0 is PUBLIC, which has no row among the roles. Without any GRANT relacl is NULL, and the owner has all.
    diesel::sql_query(
        "WITH granted AS ( \
             SELECT a.grantee AS role, a.privilege_type AS privilege FROM pg_class c, aclexplode(c.relacl) a \
             WHERE c.oid = to_regclass($1) \
             UNION \
             SELECT c.relowner, p FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p \
             WHERE c.oid = to_regclass($1) AND c.relacl IS NULL) \
         SELECT COALESCE(quote_ident(r.rolname), 'PUBLIC') AS role, \
                string_agg(g.privilege, ', ' ORDER BY array_position( \
                    ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'], g.privilege)) AS privileges, \
                $2 AS \"table\" \
         FROM granted g LEFT JOIN pg_roles r ON r.oid = g.role \
         WHERE g.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND r.rolsuper IS NOT TRUE \
           AND NOT CASE WHEN g.role = 0 THEN has_table_privilege('public', to_regclass($2), g.privilege) \
                        ELSE has_table_privilege(g.role, to_regclass($2), g.privilege) END \
         GROUP BY 1 ORDER BY 1",
    )
    .bind::<Text, _>(model)
    .bind::<Text, _>(table)
    .load(connection)
}
