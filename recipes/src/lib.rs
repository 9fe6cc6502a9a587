//! The packs, one folder each
