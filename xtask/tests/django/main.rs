//! The whole way on the database that a Django application made, with the three binaries as their user runs them: from
//! adoption to a clean verification, then the drop and the way back, twice. After each step every count and digest is
//! held against what came with the database; between the steps the application works under a role that owns nothing.
//! What is the application's own is untouched at the end.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod adoption;
mod contract;
mod rig;

use sti_core::test_support::TestDatabase;

sti_core::both_backends! { django: from_adoption_to_the_drop_and_back_twice }

fn from_adoption_to_the_drop_and_back_twice(database: &TestDatabase) {
    adoption::from_adoption_to_a_clean_verification(database);
    contract::from_verification_to_the_drop_and_back_twice(database);
}
