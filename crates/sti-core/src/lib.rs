#[cfg(feature = "test-support")]
pub mod test_support;
