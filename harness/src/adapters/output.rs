//! The kept end of a long output.

/// Adds `chunk` to the kept end of an output, which holds at least the last `least` bytes and at most twice as many.
pub(super) fn keep(kept: &mut Vec<u8>, chunk: &[u8], least: usize) {
    kept.extend_from_slice(chunk);
    if kept.len() > 2 * least {
        kept.drain(..kept.len() - least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_keeps_its_end() {
        let mut kept = Vec::new();
        for chunk in [&b"abcd"[..], b"ef", b"g", b"h"] {
            keep(&mut kept, chunk, 3);
            assert!(kept.len() <= 6);
        }
        assert_eq!(kept, b"efgh");
    }
}
