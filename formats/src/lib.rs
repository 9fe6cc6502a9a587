//! Readers for texts of other programs that harness and sandbox both have to read alike. Pure: text in, values out.

pub mod traefik;
