//! Records on their way out: as they are, or with ts_out, or compressed.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use dbn::UNDEF_TIMESTAMP;
use zstd::bulk::Compressor;

use super::{
    faults::{Fault, Faults},
    layout::for_each_record,
};

/// The fastest of zstd's usual levels: the stream is made while somebody waits for it.
const ZSTD_LEVEL: i32 = 1;
const TS_OUT_WORDS: u8 = 2;

pub(super) struct Outbox {
    bytes: Vec<u8>,
    ts_out: bool,
    zstd: Option<Compressor<'static>>,
    /// The wall clock when the current call began, ns.
    now_ns: u64,
    faults: Faults,
    /// Data records sent.
    pub(super) records_sent: u64,
}

impl Outbox {
    pub(super) fn new(ts_out: bool, is_compressed: bool) -> io::Result<Self> {
        let zstd = is_compressed.then(|| {
            let mut zstd = Compressor::new(ZSTD_LEVEL)?;
            // DBN carries none of its own: without it a flipped bit in a size would be seen by nobody.
            zstd.include_checksum(true)?;
            Ok::<_, io::Error>(zstd)
        });
        let zstd = zstd.transpose()?;
        let faults = Faults::default();
        Ok(Self { bytes: Vec::new(), ts_out, zstd, now_ns: 0, faults, records_sent: 0 })
    }

    /// Notes the time that ts_out will say.
    pub(super) fn look_at_clock(&mut self) {
        if self.ts_out {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.now_ns = u64::try_from(since_epoch.as_nanos()).unwrap_or(UNDEF_TIMESTAMP - 1);
        }
    }

    /// Queues a record of the gateway's own.
    pub(super) fn control(&mut self, record: &[u8]) {
        append(&mut self.bytes, record, self.ts_out.then_some(self.now_ns));
    }

    /// Queues data records, all of one length.
    #[inline]
    pub(super) fn data(&mut self, records: &[u8], record_bytes: usize) {
        if records.is_empty() {
            return;
        }
        if self.faults.is_idle() {
            self.records_sent += (records.len() / record_bytes) as u64;
            if !self.ts_out {
                return self.bytes.extend_from_slice(records);
            }
            self.bytes.reserve(records.len() / record_bytes * (record_bytes + 8));
            for record in records.chunks_exact(record_bytes) {
                append(&mut self.bytes, record, Some(self.now_ns));
            }
        } else {
            self.faulty(records);
        }
    }

    /// Queues so many data records of any lengths.
    pub(super) fn any_data(&mut self, records: &[u8], count: usize) {
        if self.faults.is_idle() && !self.ts_out {
            self.records_sent += count as u64;
            self.bytes.extend_from_slice(records);
        } else {
            self.faulty(records);
        }
    }

    #[cold]
    fn faulty(&mut self, records: &[u8]) {
        let ts_out = self.ts_out.then_some(self.now_ns);
        let (bytes, faults, sent) = (&mut self.bytes, &mut self.faults, &mut self.records_sent);
        for_each_record(records, |record| {
            faults.pass(record, |record| {
                append(bytes, record, ts_out);
                *sent += 1;
            });
        });
    }

    pub(super) fn inject(&mut self, fault: Fault, records: u64) {
        self.faults.inject(fault, records);
    }

    /// Leaves data records out from here on, until `end_skip`.
    pub(super) fn begin_skip(&mut self) {
        self.faults.begin_skip();
    }

    /// Says how many were left out.
    pub(super) fn end_skip(&mut self) -> u64 {
        self.faults.end_skip()
    }

    /// Queues what a fault holds back: nothing will follow it.
    pub(super) fn flush_held(&mut self) {
        let ts_out = self.ts_out.then_some(self.now_ns);
        let (bytes, sent) = (&mut self.bytes, &mut self.records_sent);
        self.faults.flush(&mut |record| {
            append(bytes, record, ts_out);
            *sent += 1;
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.faults.is_holding()
    }

    /// Hands over what is queued, in wire form.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        out.clear();
        std::mem::swap(out, &mut self.bytes);
        if let (Some(zstd), false) = (&mut self.zstd, out.is_empty()) {
            let plain = std::mem::replace(out, zstd.compress(out).expect("room for what zstd bounds itself"));
            self.recycle(plain);
        }
    }

    /// Other bytes in wire form.
    pub(super) fn encode(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        match &mut self.zstd {
            Some(zstd) if !bytes.is_empty() => zstd.compress(&bytes).expect("room for what zstd bounds itself"),
            _ => bytes,
        }
    }

    /// Takes back a buffer, whose pages would cost more to fault in anew than to fill.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.bytes.is_empty() && self.bytes.capacity() < buffer.capacity() {
            buffer.clear();
            self.bytes = buffer;
        }
    }
}

#[inline(always)]
fn append(bytes: &mut Vec<u8>, record: &[u8], ts_out_ns: Option<u64>) {
    let at = bytes.len();
    bytes.extend_from_slice(record);
    if let Some(ts_out_ns) = ts_out_ns {
        bytes[at] += TS_OUT_WORDS;
        bytes.extend_from_slice(&ts_out_ns.to_le_bytes());
    }
}
