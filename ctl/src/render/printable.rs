//! Text that comes from the container.

pub(crate) use capprof_profile::printable::printable;
