-- The three tables under Django's names. Where they exist, `sti-migrate up` has checked that they fit, and
-- nothing is created or changed here.

-- The widths are those of the application, which checks values against them before it writes:
-- squawk-ignore-file prefer-text-field
CREATE TABLE IF NOT EXISTS projects_project (
    id uuid NOT NULL PRIMARY KEY,
    name varchar(255) NOT NULL,
    project_type varchar(20) NOT NULL,
    course_name varchar(255),
    course_code varchar(50),
    teacher_name varchar(255),
    goal_description text,
    study_frequency varchar(50),
    start_date date,
    end_date date,
    is_draft boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    owner_id bigint NOT NULL
);

CREATE TABLE IF NOT EXISTS projects_schoolproject (
    project_id uuid NOT NULL PRIMARY KEY
        REFERENCES projects_project (id) DEFERRABLE INITIALLY DEFERRED,
    course_name varchar(255) NOT NULL,
    course_code varchar(50) NOT NULL,
    teacher_name varchar(255) NOT NULL
);

CREATE TABLE IF NOT EXISTS projects_selfstudyproject (
    project_id uuid NOT NULL PRIMARY KEY
        REFERENCES projects_project (id) DEFERRABLE INITIALLY DEFERRED,
    goal_description text NOT NULL,
    study_frequency varchar(50) NOT NULL
);
