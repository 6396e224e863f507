//! A digest of a set of rows that does not depend on their order.

use std::fmt;

use sha2::{Digest, Sha256};

/// Number of rows and their digest: a row is the netstrings of its id (32 hex digits) and its columns in UTF-8,
/// NULL written `-,`; the first 8 bytes of each row's SHA-256, big-endian, are summed modulo 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowSetDigest {
    /// How many rows were added.
    pub rows: u64,
    sum: u64,
}

impl RowSetDigest {
    /// Adds a row: the id first (its hyphens do not count), then the columns.
    pub fn add(&mut self, id: &str, columns: &[Option<String>]) {
        let mut row = netstring(&id.replace('-', ""));
        for column in columns {
            row.push_str(&column.as_deref().map_or_else(|| "-,".to_owned(), netstring));
        }
        let hash = Sha256::digest(row.as_bytes());
        let first: [u8; 8] = std::array::from_fn(|index| hash[index]);
        self.sum = self.sum.wrapping_add(u64::from_be_bytes(first));
        self.rows += 1;
    }
}

/// 16 lower-case hex digits.
impl fmt::Display for RowSetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.sum)
    }
}

fn netstring(text: &str) -> String {
    format!("{}:{text},", text.len())
}
