//! Some projects, looked at by their ids: what the pass over everything asks of each project, asked of a few.

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError, dialect};
use crate::keyset::in_sql;
use crate::models::{Kind, ProjectId};

use super::class::Class;
use super::scan::orphans_sql;
use super::traits::{Scope, Traits, joined_of_sql, traits_sql};
use super::watch::Reading;

#[derive(diesel::QueryableByName)]
struct Named {
    #[diesel(sql_type = DbUuid)]
    id: ProjectId,
    #[diesel(sql_type = BigInt)]
    traits: i64,
}

#[derive(diesel::QueryableByName)]
struct Orphan {
    #[diesel(sql_type = DbUuid)]
    id: ProjectId,
}

/// The classes of the projects with these ids, and of the subtype rows with these ids that have no project; a project
/// in several classes comes several times. Ids of which nothing is there are in none. One statement for the projects
/// and one for the rows of each kind, all through indexes: no more than a few thousand ids at a time.
pub(crate) fn classes_of(
    connection: &mut AnyConnection,
    ids: &[ProjectId],
) -> Result<Vec<(Class, ProjectId)>, DbError> {
    let traits = traits_sql(Scope::Values, dialect::backend(connection));
    let sql = format!("SELECT p.id AS id, {traits} AS traits FROM {} ORDER BY p.id", joined_of_sql(ids));
    let named: Vec<Named> =
        diesel::sql_query(sql).load(connection).doing("comparing both sides of some projects")?;
    let mut classes = Vec::new();
    for Named { id, traits } in named {
        let traits = Traits::from_bits(traits);
        classes.extend(Class::ALL.into_iter().filter(|class| class.holds(traits)).map(|class| (class, id)));
    }
    for kind in Kind::ALL {
        let here = in_sql("r.project_id", ids.iter().copied());
        let sql = format!(
            "SELECT r.project_id AS id FROM {} AND {here} ORDER BY 1",
            orphans_sql(kind, &Reading::unwatched())
        );
        let orphans: Vec<Orphan> = diesel::sql_query(sql)
            .load(connection)
            .doing(format!("looking for orphans in {}", kind.table()))?;
        classes.extend(orphans.into_iter().map(|orphan| (Class::orphan(kind), orphan.id)));
    }
    Ok(classes)
}
