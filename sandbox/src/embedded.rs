//! The files compiled into this program: the specimen, the backup bot, and the sources of images and recipes.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The specimen's program, compressed by gzip.
static SPECIMEN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/specimen.gz"));

/// The program of the backup service, compressed by gzip.
static BOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bot.gz"));

/// The specimen's program.
pub(crate) fn specimen() -> io::Result<Vec<u8>> {
    decompress(SPECIMEN)
}

/// The program of the backup service.
pub(crate) fn bot() -> io::Result<Vec<u8>> {
    decompress(BOT)
}

fn decompress(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut program = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut program)?;
    Ok(program)
}

/// The first twelve hexadecimal digits of the SHA-256 digest of `parts`.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length separates the parts: `ab`, `c` differs from `a`, `bc`.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..6])
}
