//! The chapters, in the order in which they are told.

pub(super) mod accidents;
pub(super) mod every_day;
pub(super) mod first_load;
pub(super) mod install;
