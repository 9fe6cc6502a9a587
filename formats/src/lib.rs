//! Readers for texts of other programs that harness and sandbox both have to read alike. Pure: text in, values out.

pub mod dotenv;
pub mod env_file;
pub mod interpolation;
pub mod traefik;
