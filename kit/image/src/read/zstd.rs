//! Decompression of zstd (RFC 8878).

use std::io::{self, Cursor, Read};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// The magic number of skippable frames, except for four bits.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;

/// The decoder reads the magic number again, which was read to find the kind of frame.
type ZstdFrame<R> = StreamingDecoder<io::Chain<Cursor<[u8; 4]>, R>, FrameDecoder>;

/// Decompresses a stream of frames.
pub struct ZstdReader<R: Read> {
    state: FrameState<R>,
}

enum FrameState<R: Read> {
    /// Before the first frame, or after a frame. The decoder is reused.
    BetweenFrames(R, FrameDecoder),
    InFrame(ZstdFrame<R>),
    Ended,
}

impl<R: Read> ZstdReader<R> {
    pub fn new(reader: R) -> Self {
        Self {
            state: FrameState::BetweenFrames(reader, FrameDecoder::new()),
        }
    }
}

/// Begins the next frame that is not skippable.
fn next_frame<R: Read>(mut reader: R, decoder: FrameDecoder) -> io::Result<FrameState<R>> {
    loop {
        let Some(magic) = magic(&mut reader)? else {
            return Ok(FrameState::Ended);
        };
        if u32::from_le_bytes(magic) & !0xf != SKIPPABLE_MAGIC {
            let frame = Cursor::new(magic).chain(reader);
            let frame =
                StreamingDecoder::new_with_decoder(frame, decoder).map_err(io::Error::other)?;
            return Ok(FrameState::InFrame(frame));
        }
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let length = u64::from(u32::from_le_bytes(length));
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
    }
}

/// The first bytes of a frame. `None` at the end of the stream.
fn magic(reader: &mut impl Read) -> io::Result<Option<[u8; 4]>> {
    let mut magic = [0; 4];
    let [first, rest @ ..] = &mut magic;
    if reader.read(std::slice::from_mut(first))? == 0 {
        return Ok(None);
    }
    reader.read_exact(rest)?;
    Ok(Some(magic))
}

impl<R: Read> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            self.state = match std::mem::replace(&mut self.state, FrameState::Ended) {
                FrameState::Ended => return Ok(0),
                FrameState::BetweenFrames(reader, decoder) => next_frame(reader, decoder)?,
                FrameState::InFrame(mut frame) => {
                    let count = frame.read(buffer)?;
                    if count > 0 {
                        self.state = FrameState::InFrame(frame);
                        return Ok(count);
                    }
                    let (frame, decoder) = frame.into_parts();
                    FrameState::BetweenFrames(frame.into_inner().1, decoder)
                }
            };
        }
    }
}
