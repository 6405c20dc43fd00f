//! The recorded past.

pub mod checkpoint_file;
