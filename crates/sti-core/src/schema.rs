//! The tables as diesel sees them; a test holds them against both live databases.
//!
//! Columns of the application that we do not use are not named here.
#![allow(missing_docs, reason = "the columns are described on the models and in docs/architecture.md")]

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::sql_types::{DbInteger, DbTimestamp, DbUuid};

    projects_project (id) {
        id -> DbUuid,
        name -> Text,
        project_type -> Text,
        owner_id -> DbInteger,
        course_name -> Nullable<Text>,
        course_code -> Nullable<Text>,
        teacher_name -> Nullable<Text>,
        goal_description -> Nullable<Text>,
        study_frequency -> Nullable<Text>,
        start_date -> Nullable<Date>,
        end_date -> Nullable<Date>,
        is_draft -> Bool,
        created_at -> DbTimestamp,
        updated_at -> DbTimestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::sql_types::DbUuid;

    projects_schoolproject (project_id) {
        project_id -> DbUuid,
        course_name -> Text,
        course_code -> Text,
        teacher_name -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::sql_types::DbUuid;

    projects_selfstudyproject (project_id) {
        project_id -> DbUuid,
        goal_description -> Text,
        study_frequency -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    projects_project,
    projects_schoolproject,
    projects_selfstudyproject,
);
