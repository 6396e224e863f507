-- For tools that know nothing else: the columns come back empty, with their usual types. Use
-- `sti-migrate restore-legacy` instead, or after it: that brings back definitions and values.
ALTER TABLE projects_project
    ADD COLUMN course_name varchar(255),
    ADD COLUMN course_code varchar(50),
    ADD COLUMN teacher_name varchar(255),
    ADD COLUMN goal_description text,
    ADD COLUMN study_frequency varchar(50);
