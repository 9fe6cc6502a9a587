//! Cleanup after runs that died: guardian and janitor start it, `crash_recovery` does it.
//!
//! A run that is killed cannot remove what it made. The guardian beside it does so at once; a janitor does so later, when the
//! guardian died too. Both rest on the run's journal alone, so that either may be killed and started again.

pub mod crash_recovery;
pub mod guardian;
pub mod janitor;
mod secret_recovery;
