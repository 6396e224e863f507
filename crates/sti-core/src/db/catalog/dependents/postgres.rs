//! PostgreSQL keeps a record of what depends on a column. It does not look into the text of a function, and it
//! does not count a view that takes the whole row; those are found by their text.

use diesel::sql_types::{Array, Text};
use diesel::{PgConnection, RunQueryDsl as _};

use super::{Dependent, Effect};
use crate::db::error::{DbError, Doing as _};

/// From the columns to what depends on them, to what depends on that. A view is its rewrite rule there, and a
/// generated column may be its default. `effect` is pg_depend's own letter: `n` blocks, `a` goes with
/// the column, also where there is an `n` beside it; `w` takes the whole row.
const RECORDED: &str = "\
    WITH RECURSIVE wanted AS ( \
        SELECT a.attrelid, a.attnum FROM pg_attribute a \
        WHERE a.attrelid = to_regclass($1) AND a.attname::text = ANY($2) AND a.attnum > 0 \
          AND NOT a.attisdropped), \
    found (classid, objid, objsubid, effect) AS ( \
        SELECT d.classid, d.objid, d.objsubid, d.deptype::text FROM wanted w \
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = w.attrelid \
                        AND d.refobjsubid = w.attnum AND d.deptype IN ('n', 'a') \
        UNION \
        SELECT r.classid, r.objid, 0, 'w' FROM ( \
            SELECT 'pg_rewrite'::regclass::oid AS classid, w.oid AS objid, w.ev_action::text AS tree \
            FROM pg_rewrite w WHERE EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_rewrite'::regclass \
                AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass($1))) r \
        JOIN pg_class c ON c.oid = to_regclass($1) \
        WHERE r.tree LIKE '%:varattno 0 :vartype ' || c.reltype || ' %' \
        UNION \
        SELECT d.classid, d.objid, d.objsubid, CASE WHEN f.effect = 'w' THEN 'w' ELSE d.deptype::text END \
        FROM found f \
        LEFT JOIN pg_rewrite r ON f.classid = 'pg_rewrite'::regclass AND r.oid = f.objid \
        LEFT JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm') \
        JOIN pg_depend d ON d.deptype IN ('n', 'a') \
            AND ((d.refclassid = f.classid AND d.refobjid = f.objid \
                  AND (f.objsubid = 0 OR d.refobjsubid = f.objsubid)) \
              OR (d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid) \
              OR (d.refclassid = 'pg_type'::regclass AND d.refobjid = v.reltype)) \
        ), \
    named AS ( \
        SELECT CASE WHEN v.oid IS NOT NULL OR d.oid IS NOT NULL THEN 'pg_class'::regclass::oid \
                    ELSE f.classid END AS classid, \
               COALESCE(v.oid, d.adrelid, f.objid) AS objid, \
               CASE WHEN v.oid IS NOT NULL THEN 0 ELSE COALESCE(d.adnum::integer, f.objsubid) END AS objsubid, \
               f.effect \
        FROM found f \
        LEFT JOIN pg_rewrite r ON f.classid = 'pg_rewrite'::regclass AND r.oid = f.objid \
        LEFT JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm') \
        LEFT JOIN pg_attrdef d ON f.classid = 'pg_attrdef'::regclass AND d.oid = f.objid), \
    merged AS ( \
        SELECT n.classid, n.objid, n.objsubid, \
               CASE WHEN bool_or(n.effect = 'a') THEN 'a' WHEN bool_or(n.effect = 'n') THEN 'n' ELSE 'w' END \
                   AS effect \
        FROM named n \
        WHERE NOT EXISTS (SELECT 1 FROM wanted w WHERE n.classid = 'pg_class'::regclass \
                          AND w.attrelid = n.objid AND w.attnum = n.objsubid) \
        GROUP BY n.classid, n.objid, n.objsubid) \
    SELECT CASE WHEN k.contype IS NOT NULL THEN CASE k.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' \
                     WHEN 'u' THEN 'unique' WHEN 'p' THEN 'primary key' WHEN 'x' THEN 'exclusion' \
                     WHEN 'n' THEN 'not-null' ELSE 'other' END || ' constraint' \
                WHEN a.attgenerated <> '' THEN 'generated column' WHEN a.attnum IS NOT NULL THEN 'column' \
                WHEN c.relkind IN ('i', 'I') THEN 'index' WHEN n.classid = 'pg_publication_rel'::regclass \
                THEN 'publication' WHEN n.classid = 'pg_statistic_ext'::regclass THEN 'statistics' \
                ELSE i.type END AS kind, \
           CASE WHEN k.contype IS NOT NULL THEN quote_ident(k.conname) || ' on ' || k.conrelid::regclass::text \
                ELSE i.identity END AS name, \
           n.effect, \
           COALESCE( \
               CASE WHEN a.attgenerated <> '' THEN concat_ws(' ', quote_ident(a.attname), \
                        format_type(a.atttypid, a.atttypmod), 'GENERATED ALWAYS AS', \
                        '(' || (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d \
                                WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) || ')', \
                        CASE a.attgenerated WHEN 's' THEN 'STORED' END) \
                    WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) \
                    WHEN c.relkind = 'v' THEN 'CREATE VIEW ' || i.identity || ' AS' || pg_get_viewdef(c.oid) \
                    WHEN c.relkind = 'm' THEN \
                        'CREATE MATERIALIZED VIEW ' || i.identity || ' AS' || pg_get_viewdef(c.oid) \
                    WHEN k.oid IS NOT NULL THEN 'ALTER TABLE ' || k.conrelid::regclass || ' ADD CONSTRAINT ' \
                        || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid) \
                    WHEN n.classid = 'pg_rewrite'::regclass THEN pg_get_ruledef(n.objid) \
                    WHEN n.classid = 'pg_trigger'::regclass THEN pg_get_triggerdef(n.objid) \
                    WHEN n.classid = 'pg_statistic_ext'::regclass THEN pg_get_statisticsobjdef(n.objid) \
                    WHEN p.prokind IN ('f', 'p', 'w') THEN pg_get_functiondef(p.oid) \
                    WHEN o.oid IS NOT NULL THEN concat_ws(' ', 'CREATE POLICY', quote_ident(o.polname), 'ON', \
                        o.polrelid::regclass::text, CASE WHEN NOT o.polpermissive THEN 'AS RESTRICTIVE' END, \
                        'FOR', CASE o.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' \
                            WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, \
                        'TO', (SELECT string_agg(CASE WHEN role = 0 THEN 'PUBLIC' \
                            ELSE role::regrole::text END, ', ') FROM unnest(o.polroles) role), \
                        'USING (' || pg_get_expr(o.polqual, o.polrelid) || ')', \
                        'WITH CHECK (' || pg_get_expr(o.polwithcheck, o.polrelid) || ')') \
                    END, \
               pg_describe_object(n.classid, n.objid, n.objsubid)) AS definition \
    FROM merged n CROSS JOIN LATERAL pg_identify_object(n.classid, n.objid, n.objsubid) i \
    LEFT JOIN pg_class c ON n.classid = 'pg_class'::regclass AND c.oid = n.objid AND n.objsubid = 0 \
    LEFT JOIN pg_attribute a ON n.classid = 'pg_class'::regclass AND a.attrelid = n.objid AND a.attnum = n.objsubid \
        AND n.objsubid > 0 \
    LEFT JOIN pg_constraint k ON n.classid = 'pg_constraint'::regclass AND k.oid = n.objid \
    LEFT JOIN pg_proc p ON n.classid = 'pg_proc'::regclass AND p.oid = n.objid \
    LEFT JOIN pg_policy o ON n.classid = 'pg_policy'::regclass AND o.oid = n.objid";

/// Functions kept as text that name one of the columns and belong to the table: a trigger of it runs them, or their
/// text names the table, or they take or give its rows.
const FUNCTIONS: &str = "\
    SELECT CASE WHEN t.used THEN 'trigger function' ELSE 'function' END AS kind, \
           (pg_identify_object('pg_proc'::regclass, p.oid, 0)).identity AS name, 't' AS effect, \
           pg_get_functiondef(p.oid) AS definition \
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang \
    JOIN pg_class c ON c.oid = to_regclass($1) \
    CROSS JOIN LATERAL (SELECT EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgfoid = p.oid \
                        AND NOT g.tgisinternal) AS used) t \
    CROSS JOIN LATERAL (SELECT regexp_split_to_array(lower(p.prosrc), '[^[:alnum:]_$]+') AS words) w \
    WHERE l.lanname NOT IN ('c', 'internal') AND p.prokind IN ('f', 'p', 'w') \
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid \
                      AND d.deptype = 'e') \
      AND w.words && $2 \
      AND (t.used OR lower(c.relname::text) = ANY(w.words) OR p.prorettype = c.reltype \
           OR c.reltype = ANY(p.proargtypes::oid[]))";

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    effect: String,
    #[diesel(sql_type = Text)]
    definition: String,
}

impl From<Row> for Dependent {
    fn from(row: Row) -> Self {
        let effect = match row.effect.as_str() {
            "a" => Effect::Goes,
            "w" => Effect::Breaks,
            "t" => Effect::MayBreak,
            _ => Effect::Blocks,
        };
        Self { kind: row.kind, name: row.name, effect, definition: row.definition }
    }
}

pub(super) fn dependents(
    connection: &mut PgConnection,
    table: &str,
    columns: &[&str],
) -> Result<Vec<Dependent>, DbError> {
    let mut found = Vec::new();
    for sql in [RECORDED, FUNCTIONS] {
        let rows: Vec<Row> = diesel::sql_query(sql)
            .bind::<Text, _>(table)
            .bind::<Array<Text>, _>(columns)
            .load(connection)
            .doing(format!("asking the catalogue what depends on the columns of {table}"))?;
        found.extend(rows.into_iter().map(Dependent::from));
    }
    Ok(found)
}
