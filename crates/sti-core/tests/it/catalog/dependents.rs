//! What depends on the legacy columns, and what does not although it looks like it.

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use sti_core::both_backends;
use sti_core::db::catalog::{Effect, dependents};
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::mapping::{LEGACY_COLUMNS, PARENT};
use sti_core::test_support::TestDatabase;

both_backends! { django: nothing_of_django_depends_on_them, everything_that_depends_is_named }

#[track_caller]
fn found(database: &TestDatabase) -> Vec<(String, String, Effect)> {
    let mut connection = connect(&DatabaseUrl::parse(database.url()).unwrap(), Access::Read, "test").unwrap();
    let found = dependents(&mut connection, PARENT, &LEGACY_COLUMNS).unwrap();
    for dependent in &found {
        assert!(!dependent.definition.is_empty(), "{dependent:?}");
    }
    found.into_iter().map(|dependent| (dependent.kind, dependent.name, dependent.effect)).collect()
}

/// Whether the database itself refuses to drop the five columns; nothing is changed.
fn drop_is_refused(database: &TestDatabase) -> bool {
    let drops = LEGACY_COLUMNS.map(|column| format!("ALTER TABLE {PARENT} DROP COLUMN {column}")).join("; ");
    if database.backend_name() == "sqlite" {
        let path = database.url().strip_prefix("sqlite:").unwrap();
        let mut connection = diesel::SqliteConnection::establish(path).unwrap();
        return connection.batch_execute(&format!("BEGIN; {drops}; ROLLBACK")).is_err();
    }
    let mut connection = diesel::PgConnection::establish(database.url()).unwrap();
    connection.batch_execute(&format!("BEGIN; {drops}; ROLLBACK")).is_err()
}

fn nothing_of_django_depends_on_them(database: &TestDatabase) {
    assert_eq!(
        database.count(database.either(
            "pg_indexes WHERE indexname = 'projects_draft_age' AND indexdef LIKE '%(is_draft, updated_at) WHERE%'",
            "sqlite_schema WHERE name = 'projects_draft_age' AND sql LIKE '%(is_draft, updated_at) WHERE%'",
        )),
        1
    );
    // Things that name other columns, the words in a text, or the columns of the same name elsewhere.
    database.execute(database.either(
        "CREATE VIEW innocent AS SELECT id, 'course_name' AS t FROM projects_project; \
         CREATE VIEW of_school AS SELECT s.course_name FROM projects_schoolproject s \
             JOIN projects_project p ON p.id = s.project_id; \
         CREATE INDEX innocent_school ON projects_schoolproject (course_name); \
         CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$; \
         CREATE TRIGGER innocent BEFORE UPDATE ON projects_project FOR EACH ROW \
             WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touched()",
        "CREATE VIEW innocent AS SELECT id, 'course_name' AS t FROM projects_project; \
         CREATE VIEW of_school AS SELECT s.course_name FROM projects_schoolproject s \
             JOIN projects_project p ON p.id = s.project_id; \
         CREATE INDEX innocent_school ON projects_schoolproject (course_name); \
         CREATE TABLE log (id, course_name); \
         CREATE TRIGGER innocent AFTER UPDATE ON projects_project WHEN NEW.name <> OLD.name BEGIN \
             INSERT INTO log (id, course_name) VALUES (NEW.id, 'goal_description'); END; \
         CREATE TRIGGER innocent_of AFTER UPDATE OF name ON projects_project BEGIN \
             DELETE FROM log WHERE course_name = NEW.name; END; \
         PRAGMA writable_schema = ON; \
         INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) \
         VALUES ('table', 'far', 'far', 0, 'CREATE VIRTUAL TABLE far USING no_such_module (course_name)'); \
         CREATE VIEW of_far AS SELECT max(id) AS id FROM projects_project",
    ));
    assert_eq!(found(database), []);
    assert!(!drop_is_refused(database));
}

/// Each statement alone makes these dependents, and is undone after.
fn everything_that_depends_is_named(database: &TestDatabase) {
    let cases = if database.backend_name() == "sqlite" {
        sqlite_cases()
    } else {
        let version = database.value("SELECT current_setting('server_version_num')");
        postgres_cases(version.parse().unwrap())
    };
    for (make, undo, expected) in cases {
        database.execute(make);
        let names = found(database);
        let named: Vec<(&str, &str, Effect)> =
            names.iter().map(|(kind, name, effect)| (kind.as_str(), name.as_str(), *effect)).collect();
        assert_eq!(named, expected, "{make}");
        if drop_is_refused(database) {
            assert!(
                named.iter().any(|(_, _, effect)| *effect <= Effect::Breaks && *effect != Effect::Goes),
                "{make}"
            );
        } else {
            assert!(named.iter().all(|(_, _, effect)| *effect != Effect::Blocks), "{make}");
        }
        database.execute(undo);
        assert_eq!(found(database), [], "after {undo}");
    }
}

type Case = (&'static str, &'static str, Vec<(&'static str, &'static str, Effect)>);

fn postgres_cases(version: u32) -> Vec<Case> {
    use Effect::{Blocks, Breaks, Goes, MayBreak};
    let since_15 = version >= 150_000;
    let mut cases = vec![
        (
            "CREATE VIEW v AS SELECT id, course_name FROM projects_project; CREATE VIEW w AS SELECT id FROM v",
            "DROP VIEW v CASCADE",
            vec![("view", "public.v", Blocks), ("view", "public.w", Blocks)],
        ),
        (
            "CREATE MATERIALIZED VIEW m AS SELECT id, length(goal_description) AS g FROM projects_project; \
             CREATE INDEX m_g ON m (g)",
            "DROP MATERIALIZED VIEW m",
            vec![("index", "public.m_g", Goes), ("materialized view", "public.m", Blocks)],
        ),
        (
            "CREATE VIEW v AS SELECT row_to_json(p) AS j FROM projects_project p; CREATE VIEW w AS SELECT j FROM v",
            "DROP VIEW v CASCADE",
            vec![("view", "public.v", Breaks), ("view", "public.w", Breaks)],
        ),
        (
            "CREATE RULE r AS ON INSERT TO projects_importantdate WHERE NEW.id < 0 \
             DO ALSO UPDATE projects_project SET course_name = ''",
            "DROP RULE r ON projects_importantdate",
            vec![("rule", "r on public.projects_importantdate", Blocks)],
        ),
        (
            "CREATE INDEX a ON projects_project (owner_id, course_code); \
             CREATE INDEX b ON projects_project (lower(teacher_name)); \
             CREATE INDEX c ON projects_project (id) INCLUDE (study_frequency); \
             CREATE INDEX d ON projects_project (id) WHERE course_name <> ''",
            "DROP INDEX a, b, c, d",
            vec![
                ("index", "public.a", Goes),
                ("index", "public.b", Goes),
                ("index", "public.c", Goes),
                ("index", "public.d", Goes),
            ],
        ),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
             CREATE TRIGGER a BEFORE UPDATE OF course_name ON projects_project FOR EACH ROW EXECUTE FUNCTION f(); \
             CREATE TRIGGER b BEFORE UPDATE ON projects_project FOR EACH ROW \
                 WHEN (NEW.goal_description IS NULL) EXECUTE FUNCTION f()",
            "DROP FUNCTION f() CASCADE",
            vec![
                ("trigger", "a on public.projects_project", Blocks),
                ("trigger", "b on public.projects_project", Blocks),
            ],
        ),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \
                 'BEGIN NEW.name := NEW.Course_Name; RETURN NEW; END'; \
             CREATE TRIGGER a BEFORE UPDATE ON projects_project FOR EACH ROW EXECUTE FUNCTION f()",
            "DROP FUNCTION f() CASCADE",
            vec![("trigger function", "public.f()", MayBreak)],
        ),
        (
            "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS \
                 'SELECT count(course_code) FROM public.projects_project'; \
             CREATE FUNCTION g(p projects_project) RETURNS text LANGUAGE sql AS 'SELECT p.teacher_name'; \
             CREATE FUNCTION h() RETURNS bigint LANGUAGE sql AS 'SELECT count(course_code) FROM projects_schoolproject'",
            "DROP FUNCTION f(), g, h",
            vec![
                ("function", "public.f()", MayBreak),
                ("function", "public.g(public.projects_project)", MayBreak),
            ],
        ),
        (
            "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql \
                 BEGIN ATOMIC SELECT count(course_code) FROM projects_project; END; \
             CREATE VIEW v AS SELECT f() AS n",
            "DROP FUNCTION f() CASCADE",
            vec![("function", "public.f()", Blocks), ("view", "public.v", Blocks)],
        ),
        (
            "CREATE POLICY p ON projects_project FOR SELECT USING (teacher_name <> '')",
            "DROP POLICY p ON projects_project",
            vec![("policy", "p on public.projects_project", Blocks)],
        ),
        (
            "ALTER TABLE projects_project ADD COLUMN \"Gen\" text GENERATED ALWAYS AS (upper(course_name)) STORED",
            "ALTER TABLE projects_project DROP COLUMN \"Gen\"",
            // Until version 14 a column computed from a dropped one went with it.
            vec![(
                "generated column",
                "public.projects_project.\"Gen\"",
                if since_15 { Blocks } else { Goes },
            )],
        ),
        (
            "ALTER TABLE projects_project ADD CONSTRAINT c CHECK (course_name <> name) NOT VALID, \
                 ADD CONSTRAINT u UNIQUE (id, course_code), ADD CONSTRAINT x EXCLUDE (id WITH =, course_code WITH =); \
             CREATE TABLE t (a uuid, b varchar(50), CONSTRAINT f FOREIGN KEY (a, b) \
                 REFERENCES projects_project (id, course_code))",
            "DROP TABLE t; ALTER TABLE projects_project DROP CONSTRAINT c, DROP CONSTRAINT u, DROP CONSTRAINT x",
            vec![
                ("check constraint", "c on projects_project", Goes),
                ("exclusion constraint", "x on projects_project", Goes),
                ("foreign key constraint", "f on t", Blocks),
                ("unique constraint", "u on projects_project", Goes),
            ],
        ),
        (
            "CREATE STATISTICS s ON course_name, teacher_name FROM projects_project",
            "DROP STATISTICS s",
            vec![("statistics", "public.s", Goes)],
        ),
        (
            "CREATE SEQUENCE s OWNED BY projects_project.course_code; \
             ALTER TABLE projects_project ALTER course_code SET DEFAULT nextval('s')::text, \
                 ALTER course_name SET DEFAULT 'x'",
            "ALTER TABLE projects_project ALTER course_code DROP DEFAULT, ALTER course_name DROP DEFAULT; \
             DROP SEQUENCE s",
            vec![("sequence", "public.s", Goes)],
        ),
    ];
    if since_15 {
        // Publications of single columns and of some rows.
        cases.push((
            "CREATE PUBLICATION all_rows FOR TABLE projects_project; \
             CREATE PUBLICATION two_columns FOR TABLE projects_project (id, course_name); \
             CREATE PUBLICATION filtered FOR TABLE projects_project WHERE (course_code IS NULL)",
            "DROP PUBLICATION all_rows, two_columns, filtered",
            vec![
                ("publication", "public.projects_project in publication filtered", Blocks),
                ("publication", "public.projects_project in publication two_columns", Blocks),
            ],
        ));
    }
    cases
}

fn sqlite_cases() -> Vec<Case> {
    use Effect::{Blocks, Breaks, Unreadable};
    vec![
        (
            "CREATE VIEW v AS SELECT * FROM nothing_there; CREATE VIEW w AS SELECT id FROM v; \
             CREATE VIEW x AS SELECT of_the_application(zzz) FROM projects_project; \
             CREATE VIEW y AS SELECT course_name FROM nothing_there; CREATE VIEW z AS SELECT name FROM sqlite_schema",
            "DROP VIEW v; DROP VIEW w; DROP VIEW x; DROP VIEW y; DROP VIEW z",
            vec![
                ("view", "v", Unreadable),
                ("view", "w", Unreadable),
                ("view", "x", Unreadable),
                ("view", "y", Unreadable),
            ],
        ),
        (
            "CREATE TABLE log (id); \
             CREATE TRIGGER a AFTER INSERT ON projects_project BEGIN INSERT INTO nothing_there VALUES (1); END; \
             CREATE TRIGGER b AFTER UPDATE ON log WHEN NEW.zzz BEGIN SELECT 1; END; \
             CREATE TRIGGER c AFTER DELETE ON log BEGIN SELECT of_the_application(OLD.id); END",
            "DROP TRIGGER a; DROP TABLE log",
            vec![("trigger", "a", Unreadable), ("trigger", "b", Unreadable)],
        ),
        (
            // The copy in which it is tried has neither virtual tables nor those of SQLite itself.
            "CREATE VIRTUAL TABLE t USING fts5 (name); CREATE VIEW v AS SELECT name FROM t; \
             CREATE TABLE s (id integer PRIMARY KEY AUTOINCREMENT); CREATE VIEW w AS SELECT * FROM sqlite_sequence; \
             CREATE TRIGGER a AFTER INSERT ON s BEGIN INSERT INTO t VALUES (NEW.id); END",
            "DROP VIEW v; DROP VIEW w; DROP TABLE s; DROP TABLE t",
            vec![],
        ),
        (
            "CREATE VIEW v AS SELECT id, Course_Name FROM projects_project; \
             CREATE VIEW w AS SELECT \"course_name\" AS c FROM v; CREATE VIEW x AS SELECT id FROM v",
            "DROP VIEW v; DROP VIEW w; DROP VIEW x",
            vec![("view", "v", Breaks), ("view", "w", Breaks), ("view", "x", Breaks)],
        ),
        (
            "CREATE VIEW v AS SELECT id, \"course_name\" FROM projects_project WHERE name = \"draft\"",
            "DROP VIEW v",
            vec![("view", "v", Breaks)],
        ),
        ("CREATE VIEW v AS SELECT * FROM projects_project", "DROP VIEW v", vec![("view", "v", Breaks)]),
        (
            "CREATE VIEW v AS SELECT of_the_application(teacher_name) AS t FROM projects_project; \
             CREATE VIEW w AS SELECT of_the_application(name) AS t FROM projects_project",
            "DROP VIEW v; DROP VIEW w",
            vec![("view", "v", Breaks)],
        ),
        (
            "CREATE INDEX a ON projects_project (owner_id, \"course_code\"); \
             CREATE INDEX b ON projects_project (lower(teacher_name)); \
             CREATE INDEX course_name ON projects_project (id); \
             CREATE INDEX d ON projects_project (id) WHERE [course_name] <> ''",
            "DROP INDEX a; DROP INDEX b; DROP INDEX course_name; DROP INDEX d",
            vec![("index", "a", Blocks), ("index", "b", Blocks), ("index", "d", Blocks)],
        ),
        (
            "CREATE TABLE log (id, value); \
             CREATE TRIGGER a AFTER UPDATE OF name, course_name ON projects_project BEGIN DELETE FROM log; END; \
             CREATE TRIGGER b AFTER UPDATE ON projects_project WHEN NEW.goal_description IS NULL \
                 BEGIN DELETE FROM log; END; \
             CREATE TRIGGER c BEFORE DELETE ON projects_project BEGIN \
                 INSERT INTO log VALUES (OLD.id, OLD.teacher_name); END; \
             CREATE TRIGGER d AFTER INSERT ON log BEGIN \
                 UPDATE projects_project SET course_code = NEW.value WHERE id = NEW.id; END; \
             CREATE TRIGGER e AFTER INSERT ON log BEGIN \
                 UPDATE projects_schoolproject SET course_code = NEW.value WHERE project_id = NEW.id; END",
            "DROP TRIGGER a; DROP TRIGGER b; DROP TRIGGER c; DROP TABLE log",
            vec![
                ("trigger", "a", Breaks),
                ("trigger", "b", Breaks),
                ("trigger", "c", Breaks),
                ("trigger", "d", Breaks),
            ],
        ),
        (
            "CREATE TABLE log AS SELECT * FROM projects_project WHERE 0; \
             CREATE TRIGGER a BEFORE DELETE ON projects_project BEGIN \
                 INSERT INTO log SELECT * FROM projects_project WHERE id = OLD.id; END",
            "DROP TRIGGER a; DROP TABLE log",
            vec![("trigger", "a", Breaks)],
        ),
        (
            "CREATE VIEW v AS SELECT id, course_name FROM projects_project; \
             CREATE TRIGGER i INSTEAD OF UPDATE ON v BEGIN \
                 UPDATE projects_project SET name = NEW.course_name WHERE id = NEW.id; END",
            "DROP VIEW v",
            vec![("trigger", "i", Breaks), ("view", "v", Breaks)],
        ),
        (
            "ALTER TABLE projects_project ADD COLUMN gen text GENERATED ALWAYS AS (upper(course_name)) VIRTUAL",
            "ALTER TABLE projects_project DROP COLUMN gen",
            vec![("generated column", "projects_project.gen", Blocks)],
        ),
        (
            "ALTER TABLE projects_project ADD COLUMN checked text CHECK (checked <> course_name)",
            "ALTER TABLE projects_project DROP COLUMN checked",
            vec![("check constraint", "projects_project.checked", Blocks)],
        ),
        (
            "CREATE TABLE t (a text REFERENCES projects_project (course_code), b text REFERENCES projects_project)",
            "DROP TABLE t",
            vec![("foreign key constraint", "t.a", Breaks)],
        ),
    ]
}
