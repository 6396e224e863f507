-- What a drop that was killed has left on the three tables would make every write to them fail without its log.
DROP FUNCTION IF EXISTS sti_change_log_project() CASCADE;
DROP FUNCTION IF EXISTS sti_change_log_subtype() CASCADE;
-- Archived rows of runs that were never drops are worth nothing.
DELETE FROM sti_legacy_archive WHERE event_id NOT IN (SELECT id FROM sti_drop_event);
ALTER TABLE sti_legacy_archive
    DROP CONSTRAINT sti_legacy_archive_run_fkey,
    ADD CONSTRAINT sti_legacy_archive_event_id_fkey FOREIGN KEY (event_id) REFERENCES sti_drop_event (id);
DROP TABLE sti_change_log;
DROP TABLE sti_drop_run;
