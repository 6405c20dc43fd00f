//! Shared by the benchmarks: the streams they run on, what ours is compared with, and rounds that take turns.
#![allow(dead_code, reason = "every benchmark is a program of its own and uses a part of this")]
#![allow(missing_docs, reason = "nobody but the benchmarks beside it reads it")]

pub mod engines;
pub mod files;
pub mod generator;
pub mod hostile;
pub mod rounds;
pub mod streams;
