//! Files of the machine at places that others may write: bounded readings of plain files, and folders that only their owner can
//! enter.

pub mod plain_file;
pub mod private_folder;
