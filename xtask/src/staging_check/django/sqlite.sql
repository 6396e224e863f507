-- What Django 5 makes of the application's models on SQLite, in its own words: foreign keys both ways between parent
-- and subtype tables, checked at COMMIT, and a partial index.
CREATE TABLE "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "username" varchar(150) NOT NULL UNIQUE, "email" varchar(254) NOT NULL, "is_active" bool NOT NULL);
CREATE TABLE "projects_schoolproject" ("project_id" char(32) NOT NULL PRIMARY KEY REFERENCES "projects_project" ("id") DEFERRABLE INITIALLY DEFERRED, "course_name" varchar(255) NOT NULL, "course_code" varchar(50) NOT NULL, "teacher_name" varchar(255) NOT NULL);
CREATE TABLE "projects_selfstudyproject" ("project_id" char(32) NOT NULL PRIMARY KEY REFERENCES "projects_project" ("id") DEFERRABLE INITIALLY DEFERRED, "goal_description" text NOT NULL, "study_frequency" varchar(50) NOT NULL);
CREATE TABLE "projects_project" ("id" char(32) NOT NULL PRIMARY KEY, "name" varchar(255) NOT NULL, "project_type" varchar(20) NOT NULL, "course_name" varchar(255) NULL, "course_code" varchar(50) NULL, "teacher_name" varchar(255) NULL, "goal_description" text NULL, "study_frequency" varchar(50) NULL, "start_date" date NULL, "end_date" date NULL, "is_draft" bool NOT NULL, "created_at" datetime NOT NULL, "updated_at" datetime NOT NULL, "owner_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED, "syllabus" text NULL CHECK ((JSON_VALID("syllabus") OR "syllabus" IS NULL)), "school_project_id" char(32) NULL UNIQUE REFERENCES "projects_schoolproject" ("project_id") DEFERRABLE INITIALLY DEFERRED, "self_study_project_id" char(32) NULL UNIQUE REFERENCES "projects_selfstudyproject" ("project_id") DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX "projects_project_owner_id_b940de39" ON "projects_project" ("owner_id");
CREATE INDEX "projects_draft_age" ON "projects_project" ("is_draft", "updated_at") WHERE "is_draft" = true;
CREATE TABLE "projects_importantdate" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "title" varchar(255) NOT NULL, "date" date NOT NULL, "project_id" char(32) NOT NULL REFERENCES "projects_project" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX "projects_importantdate_project_id_d098d366" ON "projects_importantdate" ("project_id");
INSERT INTO "auth_user" ("username", "email", "is_active")
    WITH RECURSIVE "n" ("i") AS (SELECT 1 UNION ALL SELECT "i" + 1 FROM "n" WHERE "i" < 200)
    SELECT 'user' || "i", 'user' || "i" || '@example.org', 1 FROM "n";
