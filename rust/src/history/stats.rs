//! What a recorder counts.

/// See the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Why the last attempt to write failed; nothing while all is well.
    pub error: Option<String>,
    /// Whether nothing more will be written.
    pub is_closed: bool,
    /// MBO records that became durable.
    pub records: u64,
    /// Every record before this ordinal is durable (or in a hole).
    pub durable_ordinal: u64,
    /// Of the next record.
    pub next_ordinal: u64,
    /// Bytes that are not durable yet.
    pub queue_bytes: u64,
    /// From so many on, records are lost.
    pub queue_bytes_max: u64,
    /// Bytes that became durable, decompressed.
    pub bytes_plain: u64,
    /// Bytes written to segments.
    pub bytes_written: u64,
    /// Frames of records.
    pub frames: u64,
    /// Segments begun.
    pub segments: u64,
    /// Waits for the disk.
    pub fsyncs: u64,
    /// Half of them took at most so long, ns.
    pub fsync_p50_ns: u64,
    /// 99 of 100 took at most so long, ns.
    pub fsync_p99_ns: u64,
    /// Holes begun.
    pub holes: u64,
    /// Records in them.
    pub records_lost: u64,
    /// Attempts to write that failed.
    pub write_errors: u64,
}

impl Stats {
    /// The name users see.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.is_closed, &self.error) {
            (true, _) => "closed",
            (false, Some(_)) => "failing",
            (false, None) => "recording",
        }
    }

    /// The numbers, under the names users see.
    #[must_use]
    pub fn counters(&self) -> [(&'static str, u64); 15] {
        [
            ("records", self.records),
            ("durable_ordinal", self.durable_ordinal),
            ("next_ordinal", self.next_ordinal),
            ("queue_bytes", self.queue_bytes),
            ("queue_bytes_max", self.queue_bytes_max),
            ("bytes_plain", self.bytes_plain),
            ("bytes_written", self.bytes_written),
            ("frames", self.frames),
            ("segments", self.segments),
            ("fsyncs", self.fsyncs),
            ("fsync_p50_ns", self.fsync_p50_ns),
            ("fsync_p99_ns", self.fsync_p99_ns),
            ("holes", self.holes),
            ("records_lost", self.records_lost),
            ("write_errors", self.write_errors),
        ]
    }
}
