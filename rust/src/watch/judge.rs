//! One record that says more than the plain ones, held against its channel and its book.

use super::{
    BAD_TS_RECV, Watch,
    alert::reason,
    channel::{Step, Time, channel_key, find_channel},
};
use crate::record::{Action, MboMsg, flags};

/// A record's doubts: what it says of the past, and what it makes of its own event.
#[derive(Default)]
pub(super) struct Doubts {
    pub(super) gap: bool,
    pub(super) own: Option<&'static str>,
}

impl Watch {
    /// Holds a record against its channel's numbers and times and its book's last records.
    pub(super) fn judge(
        &mut self,
        at: usize,
        action: Action,
        record: &MboMsg,
        hash: u64,
        last_ts_event: u64,
    ) -> Doubts {
        let (bits, is_repeating) = (record.flags.raw(), self.phase.is_overlap());
        let is_snapshot = bits & flags::SNAPSHOT != 0;
        self.channel = find_channel(&mut self.channels, channel_key(record));
        let channel = &mut self.channels[self.channel];
        let book = &mut self.books[at];
        let mut doubts = Doubts::default();
        if is_snapshot {
            if action == Action::Clear {
                channel.take_snapshot(record.sequence);
                let done = book.done().ts_recv;
                let is_old = record.ts_recv < done || (record.ts_recv == done && record.hd.ts_event < last_ts_event);
                doubts.own = is_old.then_some(reason::OUT_OF_ORDER);
                self.stats.out_of_order += u64::from(is_old);
            }
            return doubts;
        }
        // While the stream comes again its numbers and times go back, but not those of a book beyond what it had.
        let (run_ts_recv, is_vouched) = (book.run().ts_recv, bits & BAD_TS_RECV == 0);
        let is_earlier = (record.ts_recv, record.hd.ts_event) < (run_ts_recv, last_ts_event);
        if is_repeating && is_vouched && is_earlier {
            self.stats.out_of_order += 1;
            doubts.own = Some(reason::OUT_OF_ORDER);
        }
        // A snapshot's channel is not that of its book: gateways that make one put 0.
        book.channel = self.channel as u32;
        match channel.take_sequence(record.sequence, is_repeating) {
            Step::Good => {}
            Step::Gap(_) if self.expects_skips => {}
            Step::Gap(missing) => {
                self.stats.gaps += 1;
                self.stats.missing_messages += u64::from(missing);
                doubts.gap = true;
            }
            Step::Back => {
                self.stats.out_of_order += 1;
                doubts.own = Some(reason::OUT_OF_ORDER);
            }
            Step::Restart => self.stats.sequence_restarts += 1,
        }
        if bits & BAD_TS_RECV == 0 {
            let time = channel.take_time(record.ts_recv, is_repeating);
            self.stats.bad_timestamps += u64::from(time != Time::Good);
            match time {
                Time::Good => self.stats.last_ts_recv = record.ts_recv,
                Time::Back => {
                    self.stats.out_of_order += u64::from(doubts.own.is_none());
                    doubts.own = Some(reason::OUT_OF_ORDER);
                    self.stats.last_ts_recv = record.ts_recv;
                }
                Time::Far => doubts.own = doubts.own.or(Some(reason::TIMESTAMP)),
            }
        }
        if book.recent.contains(hash) && action.changes_book() {
            self.stats.duplicates += 1;
            doubts.own = doubts.own.or(Some(reason::DUPLICATE));
        }
        // What cannot change a book casts no doubt, but on what its event still brings.
        if action.changes_book() {
            doubts.own = doubts.own.or(book.event_doubt);
        } else {
            book.event_doubt = book.event_doubt.or(doubts.own.take());
        }
        doubts
    }
}
