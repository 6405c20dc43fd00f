//! What a live gateway says between the data: SystemMsg and ErrorMsg of DBN 1 to 3.

use std::mem::offset_of;

use dbn::{ErrorMsg, RType, SystemMsg, v1};

/// A record of the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Code (0 heartbeat, 1 acknowledgement, 2 slow reader, 3 replay completed, 4 end of interval) and text.
    System(u8, String),
    /// Code (7: records were skipped) and text.
    Error(u8, String),
}

pub(super) const HEARTBEAT: u8 = 0;
pub(super) const SLOW_READER: u8 = 2;
pub(super) const REPLAY_COMPLETED: u8 = 3;
pub(super) const RECORDS_SKIPPED: u8 = 7;
/// What the first version's records, which have no code, are given.
const NO_CODE: u8 = u8::MAX;

impl Notice {
    /// Reads a record; nothing if it is none of the two, or too short for one.
    #[must_use]
    pub fn of(record: &[u8]) -> Option<Self> {
        match RType::try_from(*record.get(1)?).ok()? {
            RType::System => {
                let (text, code) = if record.len() >= size_of::<SystemMsg>() {
                    let text = &record[offset_of!(SystemMsg, msg)..offset_of!(SystemMsg, code)];
                    (text_of(text), record[offset_of!(SystemMsg, code)])
                } else {
                    let text = text_of(record.get(offset_of!(v1::SystemMsg, msg)..size_of::<v1::SystemMsg>())?);
                    let code = if text == "Heartbeat" { HEARTBEAT } else { NO_CODE };
                    (text, code)
                };
                Some(Notice::System(code, text))
            }
            RType::Error => Some(if record.len() >= size_of::<ErrorMsg>() {
                let text = &record[offset_of!(ErrorMsg, err)..offset_of!(ErrorMsg, code)];
                Notice::Error(record[offset_of!(ErrorMsg, code)], text_of(text))
            } else {
                let text = record.get(offset_of!(v1::ErrorMsg, err)..size_of::<v1::ErrorMsg>())?;
                Notice::Error(NO_CODE, text_of(text))
            }),
            _ => None,
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}
