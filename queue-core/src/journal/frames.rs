//! A segment frame by frame, also past one that is not good.
//!
//! Judges bytes only; what a bad frame means is the caller's. Behind a bad one the next whole header is looked for at every
//! 8 bytes: it must have the segment's salt and name the position it stands at. Where the bad frame's own header is whole
//! the next frame's chain is checked with it, else that frame's records answer for themselves by their own checksums.
//! Invariant: a frame is handed out as good only if its header, its length and each of its records are. Offsets are bytes.

use std::io;

use super::format::{
    ALIGNMENT, Damage, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, SEGMENT_HEADER_BYTES, chain, decode_record,
    parse_record,
};
use super::scan::Window;
use super::storage::StorageFile;
use super::{Position, Record};

/// A place where a frame should be and is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bad {
    pub(super) offset: u64,
    pub(super) position: Position,
    pub(super) damage: Damage,
    /// The header, where that is whole and the frame ends within the file.
    pub(super) header: Option<FrameHeader>,
    /// Offset of the next whole header, or after the last byte that is not zero.
    pub(super) end: u64,
}

/// What stands next in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Good(FrameHeader),
    Bad(Bad),
}

/// The frames of one segment, one after the other.
#[derive(Debug)]
pub(super) struct Frames<'a, F> {
    window: &'a mut Window<F>,
    salt: u64,
    /// Position of the segment's first frame.
    first: Position,
    /// Where the next frame should be, and what it is chained to, where that is known.
    offset: u64,
    chain: Option<u32>,
    ended: bool,
}

impl<'a, F: StorageFile> Frames<'a, F> {
    pub(super) fn new(window: &'a mut Window<F>, salt: u64, first: Position, chain: Option<u32>) -> Frames<'a, F> {
        Frames { window, salt, first, offset: SEGMENT_HEADER_BYTES as u64, chain, ended: false }
    }

    /// Where the next frame should begin.
    pub(super) fn position(&self) -> Position {
        self.first.plus(self.offset - SEGMENT_HEADER_BYTES as u64)
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What the next frame is chained to, if that is known.
    pub(super) fn chain(&self) -> Option<u32> {
        self.chain
    }

    /// The next frame, if it is good; else what is wrong, and its header, if that is whole. Then it goes no further.
    pub(super) fn next(&mut self) -> io::Result<Result<FrameHeader, (Damage, Option<FrameHeader>)>> {
        let read = read_frame(self.window, self.offset, self.salt, self.position(), self.chain)?;
        if let Ok(header) = read {
            self.offset += header.frame_bytes() as u64;
            // An echo stands in for its seal, whose chain it does not know.
            self.chain = Some(header.chain).filter(|_| !header.echo);
        }
        Ok(read)
    }

    /// The next frame, or what stands in its place; `None` where only zeros are left.
    pub(super) fn step(&mut self) -> io::Result<Option<Step>> {
        if self.ended {
            return Ok(None);
        }
        let (offset, position) = (self.offset, self.position());
        let (damage, header) = match self.next()? {
            Ok(header) => return Ok(Some(Step::Good(header))),
            Err(bad) => bad,
        };
        let behind = offset + header.map_or(ALIGNMENT as u64, |header| header.frame_bytes() as u64);
        let ahead = next_header(self.window, behind, self.salt, Some(self.first))?;
        self.chain = header.filter(|_| ahead.header == Some(behind)).map(|header| header.chain);
        self.ended = ahead.header.is_none();
        self.offset = ahead.header.unwrap_or(offset);
        let begun = self.window.slice(offset, ALIGNMENT)?.iter().any(|byte| *byte != 0);
        if self.ended && !begun && ahead.used <= behind {
            return Ok(None);
        }
        let end = ahead.header.unwrap_or(ahead.used.max(offset + 1));
        Ok(Some(Step::Bad(Bad { offset, position, damage, header, end })))
    }

    /// Visits the records of a good frame.
    pub(super) fn records<E: From<io::Error>>(
        &mut self,
        header: &FrameHeader,
        mut visitor: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let offset = header.first.get() - self.first.get() + SEGMENT_HEADER_BYTES as u64;
        let payload = records_of(self.window.slice(offset, header.frame_bytes())?, header);
        let mut at = 0;
        while at < payload.len() {
            let position = header.first.plus((FRAME_HEADER_BYTES + at) as u64);
            let (record, bytes) = parse_record(&payload[at..], position).expect("checked before");
            visitor(record)?;
            at += bytes;
        }
        Ok(())
    }

    /// Visits those records of a bad frame that are whole by themselves, where its header says how far it goes.
    pub(super) fn leftovers<E: From<io::Error>>(
        &mut self,
        bad: &Bad,
        mut visitor: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(header) = bad.header else { return Ok(()) };
        let payload = records_of(self.window.slice(bad.offset, header.frame_bytes())?, &header);
        let mut at = 0;
        while at < payload.len() {
            let position = header.first.plus((FRAME_HEADER_BYTES + at) as u64);
            match decode_record(&payload[at..], position) {
                Ok((record, bytes)) => {
                    visitor(record)?;
                    at += bytes;
                }
                // A record's own length is not to be believed: the next one is looked for as headers are.
                Err(_) => at += ALIGNMENT,
            }
        }
        Ok(())
    }
}

/// Reads the frame at `offset`, checking everything, its chain where what is before it is known. Of a bad one also the
/// header, if that is whole.
fn read_frame<F: StorageFile>(
    window: &mut Window<F>,
    offset: u64,
    salt: u64,
    position: Position,
    chain_before: Option<u32>,
) -> io::Result<Result<FrameHeader, (Damage, Option<FrameHeader>)>> {
    let header = match FrameHeader::decode(window.slice(offset, FRAME_HEADER_BYTES)?, salt, position) {
        Ok(header) => header,
        Err(damage) => return Ok(Err((damage, None))),
    };
    let frame = window.slice(offset, header.frame_bytes())?;
    if frame.len() < header.frame_bytes() {
        return Ok(Err((Damage::Length, None)));
    }
    Ok(check_payload(frame, &header, chain_before).map(|()| header).map_err(|damage| (damage, Some(header))))
}

/// Everything about a frame that its header does not answer for, before a record of it is handed out.
fn check_payload(frame: &[u8], header: &FrameHeader, chain_before: Option<u32>) -> Result<(), Damage> {
    let (head, payload) = frame.split_at(FRAME_HEADER_BYTES);
    if chain_before.is_some_and(|before| chain(before, head, payload) != header.chain) {
        return Err(Damage::PayloadChecksum);
    }
    let payload = records_of(frame, header);
    let (mut at, mut records) = (0, 0);
    while at < payload.len() {
        let (_, bytes) = decode_record(&payload[at..], header.first)?;
        at += bytes;
        records += 1;
    }
    if records == header.records { Ok(()) } else { Err(Damage::Record) }
}

/// The records of a frame; a seal's payload is room and the echo of its header.
fn records_of<'a>(frame: &'a [u8], header: &FrameHeader) -> &'a [u8] {
    if header.seal { &[] } else { &frame[FRAME_HEADER_BYTES..] }
}

/// What stands behind a place in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// Offset of the next whole header.
    pub(super) header: Option<u64>,
    /// Offset after the last byte before it that is not zero.
    pub(super) used: u64,
}

/// Looks from `offset` on at every 8 bytes for a frame header.
///
/// `first` is the position at which the segment begins, where that is known: then a header must stand where it says.
pub(super) fn next_header<F: StorageFile>(
    window: &mut Window<F>,
    from: u64,
    salt: u64,
    first: Option<Position>,
) -> io::Result<Ahead> {
    const PIECE_BYTES: usize = 64 << 10;
    let (mut used, mut offset) = (from, from);
    loop {
        let piece = window.slice(offset, PIECE_BYTES)?;
        if piece.is_empty() {
            return Ok(Ahead { header: None, used });
        }
        let length = piece.len();
        // Most of it is zeros that were allocated and never written.
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            let words = piece[..=last].chunks(ALIGNMENT).enumerate();
            let heads: Vec<u64> = words
                .filter(|(_, word)| word.starts_with(&FRAME_MAGIC))
                .map(|(index, _)| offset + (index * ALIGNMENT) as u64)
                .collect();
            for at in heads {
                if header_at(window, at, salt, first)?.is_some() {
                    return Ok(Ahead { header: Some(at), used: at });
                }
            }
            used = offset + last as u64 + 1;
        }
        offset += length as u64;
    }
}

/// The header at `offset`, if a whole one stands there.
pub(super) fn header_at<F: StorageFile>(
    window: &mut Window<F>,
    offset: u64,
    salt: u64,
    first: Option<Position>,
) -> io::Result<Option<FrameHeader>> {
    let head = window.slice(offset, FRAME_HEADER_BYTES)?;
    let Some(first) = first else { return Ok(FrameHeader::decode_anywhere(head, salt).ok()) };
    // Blocks that changed places put a header where none can be: in the segment's own.
    let Some(behind) = offset.checked_sub(SEGMENT_HEADER_BYTES as u64) else { return Ok(None) };
    Ok(FrameHeader::decode(head, salt, first.plus(behind)).ok())
}
