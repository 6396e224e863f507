//! `up` and `status`: what is adopted, made, refused and left alone.

mod adopt;
mod endings;
mod host;
mod locks;
mod misfits;
mod places;
pub(crate) mod rig;
mod status;
mod versions;
