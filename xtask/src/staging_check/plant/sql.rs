//! Alterations that can be taken back.

use crate::staging_check::database::Database;

/// A statement, and the one that takes it back.
pub(super) struct Planting {
    pub(super) plant: String,
    pub(super) undo: String,
}

/// What is put behind a text.
const MARK: &str = " [planted]";

/// A text of one row becomes longer; the shortest column takes 50 characters.
pub(super) fn longer(table: &str, key: &str, column: &str, condition: &str) -> Planting {
    let one = format!(
        "(SELECT {key} FROM {table} WHERE length({column}) BETWEEN 1 AND 40 AND {condition} ORDER BY {key} LIMIT 1)"
    );
    Planting {
        plant: format!("UPDATE {table} SET {column} = {column} || '{MARK}' WHERE {key} = {one}"),
        undo: format!(
            "UPDATE {table} SET {column} = substr({column}, 1, length({column}) - {}) WHERE {column} LIKE '%{MARK}'",
            MARK.len()
        ),
    }
}

/// One row goes, and is kept aside.
pub(super) fn removed(database: &Database, table: &str, key: &str, condition: &str) -> Planting {
    // Its key may be one that PostgreSQL gives (GENERATED ALWAYS).
    let again = database.either("OVERRIDING SYSTEM VALUE", "");
    let one = format!("(SELECT {key} FROM {table} WHERE {condition} ORDER BY {key} LIMIT 1)");
    Planting {
        plant: format!(
            "CREATE TABLE staging_check_kept AS SELECT * FROM {table} WHERE {key} = {one}; \
             DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM staging_check_kept)"
        ),
        undo: format!(
            "INSERT INTO {table} {again} SELECT * FROM staging_check_kept; DROP TABLE staging_check_kept"
        ),
    }
}

/// One NULL becomes the empty text.
pub(super) fn emptied(table: &str, key: &str, column: &str, condition: &str) -> Planting {
    let one =
        format!("(SELECT {key} FROM {table} WHERE {column} IS NULL AND {condition} ORDER BY {key} LIMIT 1)");
    Planting {
        plant: format!(
            "CREATE TABLE staging_check_kept AS SELECT {key} FROM {table} WHERE {key} = {one}; \
             UPDATE {table} SET {column} = '' WHERE {key} IN (SELECT {key} FROM staging_check_kept)"
        ),
        undo: format!(
            "UPDATE {table} SET {column} = NULL WHERE {key} IN (SELECT {key} FROM staging_check_kept); \
             DROP TABLE staging_check_kept"
        ),
    }
}

/// Any two statements.
pub(super) fn plain(plant: &str, undo: &str) -> Planting {
    Planting { plant: plant.to_owned(), undo: undo.to_owned() }
}
