//! The whole database at one moment: every row of every table, and every object of the schema. Two of them differ
//! exactly if something was changed.

use std::collections::BTreeMap;

use sti_core::test_support::RowSetDigest;

use super::database::Database;
use crate::failure::Failure;

/// Rows by table, objects by name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Everything {
    tables: BTreeMap<String, RowSetDigest>,
    objects: BTreeMap<String, String>,
}

const POSTGRES_OBJECTS: &str = "\
    FROM (SELECT 'column ' || c.relname || '.' || a.attname AS name, \
                 format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END \
                 || COALESCE(' default ' || pg_get_expr(d.adbin, d.adrelid), '') || ' ' || a.attidentity::text \
                 || ' ' || a.attcollation::text AS definition \
          FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
          LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
          WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p') \
            AND a.attnum > 0 AND NOT a.attisdropped \
          UNION ALL SELECT 'index ' || indexname, indexdef FROM pg_catalog.pg_indexes \
          WHERE schemaname = current_schema() \
          UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid) \
          FROM pg_catalog.pg_constraint WHERE connamespace = current_schema()::regnamespace \
          UNION ALL SELECT 'trigger ' || tgrelid::regclass || ' ' || tgname, pg_get_triggerdef(oid) || ' ' || tgenabled::text \
          FROM pg_catalog.pg_trigger WHERE NOT tgisinternal \
          UNION ALL SELECT 'function ' || oid::regprocedure, prosrc FROM pg_catalog.pg_proc \
          WHERE pronamespace = current_schema()::regnamespace \
          UNION ALL SELECT 'view ' || viewname, definition FROM pg_catalog.pg_views \
          WHERE schemaname = current_schema()) AS objects";

const SQLITE_OBJECTS: &str = "\
    FROM (SELECT type || ' ' || name AS name, sql AS definition FROM sqlite_schema WHERE sql IS NOT NULL)";

impl Everything {
    /// Looks at all of it: reads every row.
    pub(super) fn look(database: &Database) -> Result<Self, Failure> {
        let names = database.column(
            "name",
            database.either(
                "FROM (SELECT relname AS name FROM pg_catalog.pg_class WHERE relkind = 'r' \
                 AND relnamespace = current_schema()::regnamespace) AS tables",
                "FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
            ),
        )?;
        let mut tables = BTreeMap::new();
        for name in names {
            // The key of a digest's rows is a constant here: every column counts, and their order too.
            let mut columns = vec!["''".to_owned()];
            columns.extend(database.columns(&name)?.into_iter().map(|(column, _)| format!("\"{column}\"")));
            let digest = database.digest(&columns, &format!("FROM \"{name}\""))?;
            tables.insert(name, digest);
        }
        let objects =
            database.rows(&["name", "definition"], database.either(POSTGRES_OBJECTS, SQLITE_OBJECTS))?;
        let objects = objects.into_iter().filter_map(|row| {
            let [name, definition] = <[Option<String>; 2]>::try_from(row).ok()?;
            Some((name?, definition.unwrap_or_default()))
        });
        Ok(Self { tables, objects: objects.collect() })
    }

    /// What differs here from what was before, in words; empty if nothing does.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, digest) in &before.tables {
            match self.tables.get(name) {
                None => changes.push(format!("table {name} is gone")),
                Some(now) if now.rows != digest.rows => {
                    changes.push(format!("{name}: {} rows, were {}", now.rows, digest.rows));
                }
                Some(now) if now != digest => changes.push(format!("{name}: rows differ")),
                Some(_) => {}
            }
        }
        changes.extend(
            self.tables
                .keys()
                .filter(|name| !before.tables.contains_key(*name))
                .map(|name| format!("table {name} is new")),
        );
        for (name, definition) in &before.objects {
            match self.objects.get(name) {
                None => changes.push(format!("{name} is gone")),
                Some(now) if now != definition => changes.push(format!("{name} is another")),
                Some(_) => {}
            }
        }
        changes.extend(
            self.objects
                .keys()
                .filter(|name| !before.objects.contains_key(*name))
                .map(|name| format!("{name} is new")),
        );
        changes
    }
}
