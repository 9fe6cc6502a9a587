//! What a process printed: the end of it, when it is much.

/// Adds `chunk` to what is kept of an output. At least the last `most` bytes of it stay, and never more than twice as many.
pub(super) fn keep(kept: &mut Vec<u8>, chunk: &[u8], most: usize) {
    kept.extend_from_slice(chunk);
    if kept.len() > 2 * most {
        kept.drain(..kept.len() - most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_output_is_kept() {
        let mut kept = Vec::new();
        for chunk in [&b"abcd"[..], b"ef", b"g", b"h"] {
            keep(&mut kept, chunk, 3);
            assert!(kept.len() <= 6);
        }
        assert_eq!(kept, b"efgh");
    }
}
