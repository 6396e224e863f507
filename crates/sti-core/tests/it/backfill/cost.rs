//! What a chunk reads: its own projects and their rows, however large the table is. PostgreSQL counts the rows that a
//! session reads; a trigger on the ledger writes the count down in each transaction of a chunk. (About once a second the
//! server takes the counts away from the session: what was read around that is not known.)

use sti_core::backfill::{Ending, Scope};
use sti_core::test_support::TestDatabase;

use super::rig::{config, migrate, run};

const PROJECTS: i64 = 20_000;
const CHUNK: i64 = 200;

#[test]
fn no_transaction_of_a_sweep_reads_more_than_its_chunk() {
    let database = TestDatabase::postgres();
    migrate(&database);
    // Every second project has its row already: it is compared.
    database.execute(&format!(
        "INSERT INTO projects_project (id, name, project_type, course_name, is_draft, created_at, updated_at, owner_id) \
         SELECT md5(n::text)::uuid, 'p', 'school', 'course ' || n, false, now(), now(), 1 \
         FROM generate_series(1, {PROJECTS}) n; \
         INSERT INTO projects_schoolproject SELECT id, course_name, '', '' FROM projects_project WHERE random() < 0.5; \
         CREATE TABLE reads (n serial, so_far bigint); \
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            INSERT INTO reads (so_far) SELECT sum(seq_tup_read + idx_tup_fetch) \
            FROM pg_stat_xact_user_tables WHERE relname LIKE 'projects\\_%'; \
            RETURN NULL; END $$; \
         CREATE TRIGGER note AFTER UPDATE ON sti_backfill_chunk FOR EACH ROW WHEN (NEW.state = 'done') \
            EXECUTE FUNCTION note(); \
         ANALYZE"
    ));
    let done = run(&database, &config(CHUNK.try_into().unwrap(), Scope::NonDraft)).unwrap();
    assert_eq!((done.ending, done.totals.locked), (Ending::Complete, PROJECTS));

    // From one chunk's entry in the ledger to the next: the commit of the one, the lease and the work of the other.
    let reads = "(SELECT so_far - lag(so_far) OVER (ORDER BY n) AS rows FROM reads) AS known WHERE rows >= 0";
    let number = |sql: &str| database.value(sql).parse::<i64>().unwrap();
    let known = number(&format!("SELECT count(*) FROM {reads}"));
    assert!(known > PROJECTS / CHUNK / 2, "only {known} are known");
    let most = number(&format!("SELECT max(rows) FROM {reads}"));
    println!("at most {most} rows of projects for a chunk of {CHUNK}");
    assert!((CHUNK..=8 * CHUNK).contains(&most), "{most} rows were read for a chunk of {CHUNK}");
}
