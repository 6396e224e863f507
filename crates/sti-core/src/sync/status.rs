//! Whether the triggers are there, and as they should be.

use diesel::sql_types::{Array, Bool, Integer, Text};
use diesel::{OptionalExtension as _, RunQueryDsl as _};
use sha2::{Digest as _, Sha256};

use super::error::SyncError;
use super::sql::{FUNCTION, Places, SEARCH_PATH, Trigger};
use crate::db::catalog;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Backend, DbError, dialect, read_snapshot};
use crate::mapping::PARENT;
use crate::models::Kind;

/// How much of it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Installed {
    /// Nothing.
    No,
    /// Something is missing, or is not as [`install`](super::install) makes it: what writers write may not be carried
    /// over.
    InPart,
    /// All of it, and it fires.
    Yes,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncStatus {
    /// All in all.
    pub installed: Installed,
    /// What is wrong, a line each; only if something is there.
    pub problems: Vec<String>,
}

impl SyncStatus {
    /// What a command says of them that is about something else; `None` where there are none.
    #[must_use]
    pub const fn remark(&self) -> Option<&'static str> {
        match self.installed {
            Installed::No => None,
            Installed::Yes => {
                Some("sync triggers carry what is written to the legacy columns over to the subtype rows")
            }
            Installed::InPart => Some(
                "sync triggers are there and not as they should be, so what is written to the legacy columns may not \
                 reach the subtype rows: sti-migrate sync status",
            ),
        }
    }
}

/// Looks at the catalogue, of a standby too; takes no lock on a table.
///
/// # Errors
/// [`SyncError::PostgresOnly`], or whatever the database says.
pub fn status(connection: &mut AnyConnection) -> Result<SyncStatus, SyncError> {
    if dialect::backend(connection) == Backend::Sqlite {
        return Err(SyncError::PostgresOnly);
    }
    Ok(look(connection)?)
}

/// [`status`], with nothing found on SQLite: for commands that are about something else.
///
/// Outside of a transaction in one snapshot: triggers of before beside a function of after would look like a part.
///
/// # Errors
/// Whatever the database says.
pub fn look(connection: &mut AnyConnection) -> Result<SyncStatus, DbError> {
    read_snapshot(connection, look_within)
}

fn look_within(connection: &mut AnyConnection) -> Result<SyncStatus, DbError> {
    let nothing = SyncStatus { installed: Installed::No, problems: Vec::new() };
    if dialect::backend(connection) == Backend::Sqlite || catalog::relation(connection, PARENT)?.is_none() {
        return Ok(nothing);
    }
    let triggers = triggers(connection)?;
    let function = function(connection)?;
    if triggers.is_empty() && function.is_none() {
        return Ok(nothing);
    }
    let problems = problems(connection, &triggers, function.as_ref())?;
    let installed = if problems.is_empty() { Installed::Yes } else { Installed::InPart };
    Ok(SyncStatus { installed, problems })
}

fn problems(
    connection: &mut AnyConnection,
    triggers: &[FoundTrigger],
    function: Option<&FoundFunction>,
) -> Result<Vec<String>, DbError> {
    for table in [Kind::School.table(), Kind::SelfStudy.table(), "sti_repair_log"] {
        if catalog::relation(connection, table)?.is_none() {
            return Ok(vec![format!("{table}, which they write, is missing")]);
        }
    }
    let places = Places::find(connection)?;
    let mut problems = of_function(&places, function);
    for trigger in Trigger::ALL {
        let found = triggers.iter().find(|found| found.name == trigger.name());
        if let Some(problem) = of_trigger(&places, trigger, found) {
            problems.push(format!("trigger {} {problem}", trigger.name()));
        }
    }
    Ok(problems)
}

fn of_function(places: &Places, found: Option<&FoundFunction>) -> Vec<String> {
    let name = places.function();
    let Some(found) = found else { return vec![format!("function {name} is missing")] };
    let checks = [
        (found.body == places.body() && found.plpgsql, "is not as this version of sti-migrate makes it"),
        (found.definer, "does not work with its owner's rights"),
        (found.fixed, "has no fixed search_path"),
        (!found.public, "may be executed by everybody"),
    ];
    let wrong = checks.into_iter().filter(|(right, _)| !right);
    let mut problems: Vec<String> = wrong.map(|(_, problem)| format!("function {name} {problem}")).collect();
    if !found.lacks.is_empty() {
        let lacks = found.lacks.join(", ");
        problems.push(format!("function {name} belongs to {}, who lacks {lacks}", found.owner));
    }
    problems
}

fn of_trigger(places: &Places, trigger: Trigger, found: Option<&FoundTrigger>) -> Option<&'static str> {
    let Some(found) = found else { return Some("is missing") };
    match found.enabled.as_str() {
        "O" => {}
        "D" => return Some("is disabled"),
        "R" => return Some("fires for replication only"),
        _ => return Some("fires for replication too"),
    }
    if !found.calls_ours {
        return Some("calls another function");
    }
    let same = found.catalogue_type == trigger.catalogue_type()
        && found.comment == comment(places, trigger, &found.definition);
    (!same).then_some("is not as this version of sti-migrate makes it")
}

/// What is written on a trigger: a digest of the statement that made it, and of what the server then said that it had
/// made. The server writes a condition in words of its own, which cannot be held against ours.
pub(super) fn comment(places: &Places, trigger: Trigger, definition: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(format!("{}\n{definition}", places.create_trigger(trigger)));
    let digest = digest.iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("sti-migrate sync install made this, sti-migrate sync remove takes it away ({digest})")
}

#[derive(diesel::QueryableByName)]
pub(super) struct FoundTrigger {
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    /// `O`: for writes of this server; `D`: never; `R`: for those that replication brings; `A`: for both.
    #[diesel(sql_type = Text)]
    enabled: String,
    #[diesel(sql_type = Integer)]
    catalogue_type: i32,
    #[diesel(sql_type = Bool)]
    calls_ours: bool,
    #[diesel(sql_type = Text)]
    comment: String,
    /// As the server tells it, up to the function, whose name it writes as `search_path` has it.
    #[diesel(sql_type = Text)]
    pub(super) definition: String,
}

pub(super) fn triggers(connection: &mut AnyConnection) -> Result<Vec<FoundTrigger>, DbError> {
    let AnyConnection::Pg(connection) = connection else { return Ok(Vec::new()) };
    // pg_get_triggerdef knows no snapshot: it is NULL for a trigger that has gone since.
    let names = Trigger::ALL.map(Trigger::name).to_vec();
    diesel::sql_query(
        "SELECT t.tgname::text AS name, t.tgenabled::text AS enabled, t.tgtype::integer AS catalogue_type, \
                f.proname = $1 AND f.pronamespace = c.relnamespace AND f.pronargs = 0 AS calls_ours, \
                COALESCE(obj_description(t.oid, 'pg_trigger'), '') AS comment, \
                split_part(pg_get_triggerdef(t.oid), ' EXECUTE FUNCTION ', 1) AS definition \
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc f ON f.oid = t.tgfoid \
         WHERE t.tgrelid = to_regclass($2) AND NOT t.tgisinternal AND t.tgname::text = ANY($3) \
            AND pg_get_triggerdef(t.oid) IS NOT NULL",
    )
    .bind::<Text, _>(FUNCTION)
    .bind::<Text, _>(PARENT)
    .bind::<Array<Text>, _>(names)
    .load(connection)
    .doing("looking for the sync triggers")
}

#[derive(diesel::QueryableByName)]
struct FoundFunction {
    #[diesel(sql_type = Text)]
    body: String,
    #[diesel(sql_type = Bool)]
    plpgsql: bool,
    #[diesel(sql_type = Bool)]
    definer: bool,
    #[diesel(sql_type = Bool)]
    fixed: bool,
    #[diesel(sql_type = Bool)]
    public: bool,
    #[diesel(sql_type = Text)]
    owner: String,
    /// `INSERT on projects_schoolproject` …
    #[diesel(sql_type = Array<Text>)]
    lacks: Vec<String>,
}

fn function(connection: &mut AnyConnection) -> Result<Option<FoundFunction>, DbError> {
    let AnyConnection::Pg(connection) = connection else { return Ok(None) };
    diesel::sql_query(format!(
        "SELECT f.prosrc AS body, l.lanname = 'plpgsql' AS plpgsql, f.prosecdef AS definer, \
                f.proconfig IS NOT DISTINCT FROM ARRAY['search_path={SEARCH_PATH}'] AS fixed, \
                EXISTS (SELECT 1 FROM aclexplode(COALESCE(f.proacl, acldefault('f', f.proowner))) a \
                        WHERE a.grantee = 0) AS public, \
                quote_ident(pg_get_userbyid(f.proowner)) AS owner, \
                ARRAY({}) AS lacks \
         FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang JOIN pg_class c ON c.oid = to_regclass($1) \
         WHERE f.proname = $2 AND f.pronamespace = c.relnamespace AND f.pronargs = 0",
        lacks_sql("f.proowner")
    ))
    .bind::<Text, _>(PARENT)
    .bind::<Text, _>(FUNCTION)
    .get_result(connection)
    .optional()
    .doing("looking for the function of the sync triggers")
}

/// SQL: what the role with this oid lacks to own the function, a row each.
fn lacks_sql(role: &str) -> String {
    let of_rows = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let [school, self_study] = Kind::ALL.map(|kind| (kind.table(), &of_rows[..]));
    let needed = [(PARENT, &["SELECT", "UPDATE"][..]), school, self_study, ("sti_repair_log", &["INSERT"])];
    let pairs = needed.iter().flat_map(|(table, privileges)| {
        privileges.iter().map(move |privilege| format!("('{privilege}', '{table}')"))
    });
    format!(
        "SELECT n.privilege || ' on ' || n.name FROM (VALUES {}) n (privilege, name) \
         WHERE NOT COALESCE(has_table_privilege({role}, to_regclass(n.name), n.privilege), true) \
         ORDER BY n.name, n.privilege",
        pairs.collect::<Vec<_>>().join(", ")
    )
}

/// Who should own the function instead of the superuser that makes it: the owner of `projects_project`, if that role can
/// do what the function does. A function that a superuser owns would run whatever trigger somebody hangs on a subtype
/// table with a superuser's rights.
pub(super) fn better_owner(connection: &mut AnyConnection) -> Result<Option<String>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        owner: String,
    }
    let AnyConnection::Pg(connection) = connection else { return Ok(None) };
    let row: Option<Row> = diesel::sql_query(format!(
        "SELECT quote_ident(r.rolname) AS owner FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner \
         WHERE c.oid = to_regclass($1) AND r.rolname <> current_user \
           AND EXISTS (SELECT 1 FROM pg_roles s WHERE s.rolname = current_user AND s.rolsuper) \
           AND NOT EXISTS ({})",
        lacks_sql("r.oid")
    ))
    .bind::<Text, _>(PARENT)
    .get_result(connection)
    .optional()
    .doing("asking who owns projects_project")?;
    Ok(row.map(|row| row.owner))
}
