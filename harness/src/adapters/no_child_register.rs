//! A register of child processes that keeps nothing.

use async_trait::async_trait;

use crate::ports::{ChildRegister, RegisterError};

/// Registers no child: each ends with the command or test that starts it and creates nothing that would outlive it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoChildRegister;

#[async_trait]
impl ChildRegister for NoChildRegister {
    async fn started(&self, _: i32, _: u64, _: &str) -> Result<(), RegisterError> {
        Ok(())
    }

    async fn ended(&self, _: i32) {}
}
