//! The time that a service may take by its own health check and update policy.

use std::time::Duration;

use super::view::{Health, RollPolicy, ServiceView};

/// How long a service may take from its start to its first healthy moment, by its own health check.
pub fn allowance(service: &ServiceView) -> Duration {
    health_allowance(&service.health)
}

/// How long a health check allows for the first healthy moment: start period + (interval + timeout) × (retries + 1).
/// Zero without a check.
pub fn health_allowance(health: &Health) -> Duration {
    match *health {
        Health::Absent | Health::Disabled => Duration::ZERO,
        Health::Probe { interval, timeout, retries, start_period } => {
            let probes = u32::try_from(retries.saturating_add(1)).unwrap_or(u32::MAX);
            start_period.saturating_add(interval.saturating_add(timeout).saturating_mul(probes))
        }
    }
}

/// How long an update of all slots of a service may take by its own numbers. `slots` is the number of slots, also of a global
/// service.
pub fn roll_budget(service: &ServiceView, slots: u64) -> Duration {
    roll_budget_of(&service.roll, &service.health, slots)
}

/// How long an update of `slots` tasks may take by its policy and the tasks' health check:
/// ⌈slots / parallelism⌉ × (allowance + delay) + max(monitor, delay + 1 s).
pub fn roll_budget_of(roll: &RollPolicy, health: &Health, slots: u64) -> Duration {
    let groups = match roll.parallelism {
        0 => 1,
        parallelism => slots.div_ceil(parallelism).max(1),
    };
    let groups = u32::try_from(groups).unwrap_or(u32::MAX);
    let each = health_allowance(health).saturating_add(roll.delay).max(STABLE_WINDOW);
    let monitor = roll.monitor.max(roll.delay.saturating_add(Duration::from_secs(1)));
    each.saturating_mul(groups).saturating_add(monitor)
}

/// The stable window: how long all slots have to stay filled, for all services.
pub(super) const STABLE_WINDOW: Duration = Duration::from_secs(5);
