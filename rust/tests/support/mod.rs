//! What the tests of the books and the fuzz targets share.
#![allow(dead_code, missing_docs, reason = "each test uses a part of it")]

pub mod agreement;
pub mod content;
pub mod hostile;
pub mod recorded;
pub mod rows_model;
pub mod timeline;
