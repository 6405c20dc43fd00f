/** Frames of channel `dbn`: whole DBN records, perhaps behind metadata. They carry no name, only ids. */

import type { Origin } from "./messages";

/** "DBN", the version, and the length of the metadata that follows. */
const METADATA_HEAD_BYTES = 8;
const RECORD_HEAD_BYTES = 8;

/** Whether a decoder has to be started anew with this frame. */
export function beginsAnew(frame: Uint8Array): boolean {
  return frame[0] === 0x44 && frame[1] === 0x42 && frame[2] === 0x4e;
}

/** The ids of the first record; null where there is none. */
export function originOf(frame: Uint8Array): Origin | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let start = 0;
  if (beginsAnew(frame)) {
    if (frame.length < METADATA_HEAD_BYTES) return null;
    start = METADATA_HEAD_BYTES + view.getUint32(4, true);
  }
  if (frame.length < start + RECORD_HEAD_BYTES) return null;
  return { publisherId: view.getUint16(start + 2, true), instrumentId: view.getUint32(start + 4, true) };
}
