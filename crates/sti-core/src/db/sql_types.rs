//! SQL types with a different shape on each backend.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::deserialize::{self, FromSql};
use diesel::pg::Pg;
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{HasSqlType, SqlType};
use diesel::sqlite::Sqlite;
use diesel::{deserialize::FromSqlRow, expression::AsExpression};

use super::connection::MultiBackend;

/// `uuid` on PostgreSQL; `char(32)`, lower-case hex without hyphens, on SQLite (as Django writes it).
#[derive(SqlType, QueryId, Clone, Copy, Debug)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951))]
#[diesel(sqlite_type(name = "Text"))]
pub struct DbUuid;

/// `timestamptz` on PostgreSQL; UTC text without a zone on SQLite (as Django writes it).
#[derive(SqlType, QueryId, Clone, Copy, Debug)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185))]
#[diesel(sqlite_type(name = "Text"))]
pub struct DbTimestamp;

/// An integer of 4 or 8 bytes: Django made both kinds of foreign key to the user table.
#[derive(SqlType, QueryId, Clone, Copy, Debug)]
#[diesel(postgres_type(oid = 20, array_oid = 1016))]
#[diesel(sqlite_type(name = "Long"))]
pub struct DbInteger;

/// A moment in UTC, precise to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = DbTimestamp)]
pub struct Timestamp(pub DateTime<Utc>);

impl Timestamp {
    /// The clock of this machine, cut to microseconds, as both databases keep it.
    #[must_use]
    pub fn now() -> Self {
        let now = Utc::now();
        Self(DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now))
    }
}

/// An integer read from, or written to, a column of either width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = DbInteger)]
pub struct Integer(pub i64);

/// Lets `MultiConnection` carry a type for which each backend has its own form.
macro_rules! on_both_backends {
    ($sql:ty, $value:ty) => {
        impl HasSqlType<$sql> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                MultiBackend::lookup_sql_type::<$sql>(lookup)
            }
        }
        impl ToSql<$sql, MultiBackend> for $value {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
                out.set_value((<$sql>::default_instance(), self));
                Ok(IsNull::No)
            }
        }
        impl FromSql<$sql, MultiBackend> for $value {
            fn from_sql(
                value: <MultiBackend as diesel::backend::Backend>::RawValue<'_>,
            ) -> deserialize::Result<Self> {
                value.from_sql::<$value, $sql>()
            }
        }
    };
}
pub(crate) use on_both_backends;

impl DbUuid {
    pub(crate) const fn default_instance() -> Self {
        Self
    }
}
impl DbTimestamp {
    const fn default_instance() -> Self {
        Self
    }
}
impl DbInteger {
    const fn default_instance() -> Self {
        Self
    }
}

on_both_backends!(DbTimestamp, Timestamp);
on_both_backends!(DbInteger, Integer);

impl ToSql<DbTimestamp, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <NaiveDateTime as ToSql<diesel::sql_types::Timestamp, Pg>>::to_sql(
            &self.0.naive_utc(),
            &mut out.reborrow(),
        )
    }
}

impl FromSql<DbTimestamp, Pg> for Timestamp {
    fn from_sql(value: diesel::pg::PgValue<'_>) -> deserialize::Result<Self> {
        let naive = <NaiveDateTime as FromSql<diesel::sql_types::Timestamp, Pg>>::from_sql(value)?;
        Ok(Self(naive.and_utc()))
    }
}

impl ToSql<DbTimestamp, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        // As Django writes it: microseconds are left out when they are 0.
        let form =
            if self.0.timestamp_subsec_micros() == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.6f" };
        out.set_value(self.0.format(form).to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<DbTimestamp, Sqlite> for Timestamp {
    fn from_sql(value: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let naive = <NaiveDateTime as FromSql<diesel::sql_types::Timestamp, Sqlite>>::from_sql(value)?;
        Ok(Self(naive.and_utc()))
    }
}

impl ToSql<DbInteger, Pg> for Integer {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <i64 as ToSql<diesel::sql_types::BigInt, Pg>>::to_sql(&self.0, &mut out.reborrow())
    }
}

impl FromSql<DbInteger, Pg> for Integer {
    fn from_sql(value: diesel::pg::PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes().len() {
            4 => Ok(Self(<i32 as FromSql<diesel::sql_types::Integer, Pg>>::from_sql(value)?.into())),
            _ => Ok(Self(<i64 as FromSql<diesel::sql_types::BigInt, Pg>>::from_sql(value)?)),
        }
    }
}

impl ToSql<DbInteger, Sqlite> for Integer {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(IsNull::No)
    }
}

impl FromSql<DbInteger, Sqlite> for Integer {
    fn from_sql(value: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(<i64 as FromSql<diesel::sql_types::BigInt, Sqlite>>::from_sql(value)?))
    }
}
