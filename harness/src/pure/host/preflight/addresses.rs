//! The addresses that are left: subnets for new overlay networks, and single ones in the network `proxy`.

use std::{collections::BTreeSet, net::Ipv4Addr};

use ipnet::Ipv4Net;

use super::{Check, Needs, Topic};
use crate::model::engine::SwarmResources;

/// How many subnets are left for new overlay networks; absent when the pools cannot be read.
pub(super) fn subnets_left(resources: &SwarmResources) -> Option<u64> {
    let pools: Vec<Ipv4Net> = resources.pools.iter().map(|pool| pool.parse().ok()).collect::<Option<_>>()?;
    let bits = resources.subnet_bits;
    if pools.is_empty() || pools.iter().any(|pool| pool.prefix_len() > bits) || bits > 32 {
        return None;
    }
    let used: Vec<Ipv4Net> = resources.subnets.iter().filter_map(|subnet| subnet.parse().ok()).collect();
    let all: u64 = pools.iter().map(|pool| 1 << (bits - pool.prefix_len())).sum();
    let mut taken: BTreeSet<Ipv4Addr> = BTreeSet::new();
    for net in used.iter().filter(|net| pools.iter().any(|pool| pool.contains(*net) || net.contains(pool))) {
        match net.subnets(bits) {
            Ok(blocks) => taken.extend(blocks.map(|block| block.network())),
            // It is smaller than a block, and the block that contains it is taken.
            Err(_) => taken.extend(Ipv4Net::new(net.network(), bits).map(|block| block.network())),
        }
    }
    Some(all.saturating_sub(taken.len() as u64))
}

pub(super) fn pool(resources: &SwarmResources, needs: &Needs) -> Check {
    match subnets_left(resources) {
        None => Check::unknown(Topic::Addresses, "the Swarm does not report the addresses of its networks"),
        Some(left) if left < needs.networks => Check::unfit(
            Topic::Addresses,
            format!("{left} subnets are left for overlay networks, and the recipe makes {}", needs.networks),
            "remove unused networks; a Swarm's pool is fixed by `docker swarm init --default-addr-pool`",
        ),
        Some(left) => Check::ok(Topic::Addresses, format!("{left} subnets are left for overlay networks")),
    }
}

/// How many addresses are left in the network `proxy`, and how many it has; absent when they cannot be counted.
pub(super) fn proxy_left(resources: &SwarmResources) -> Option<(u64, u64)> {
    resources.proxy.as_ref().and_then(|(subnet, used)| left_of(subnet, *used))
}

fn left_of(subnet: &str, used: u64) -> Option<(u64, u64)> {
    let all = subnet.parse::<Ipv4Net>().ok()?.hosts().size_hint().0 as u64;
    Some((all.saturating_sub(used), all))
}

/// The addresses that are left in the network `proxy`. A full one makes tasks wait for ever.
pub(super) fn proxy(resources: &SwarmResources, needs: &Needs) -> Check {
    let Some((subnet, used)) = &resources.proxy else {
        return Check::unfit(
            Topic::Proxy,
            "the Swarm has no overlay network `proxy`",
            "`docker network create -d overlay proxy` makes it",
        );
    };
    let Some((left, all)) = left_of(subnet, *used) else {
        return Check::unknown(Topic::Proxy, format!("the network `proxy` has the subnet {subnet}, which cannot be counted"));
    };
    if left < needs.addresses {
        return Check::unfit(
            Topic::Proxy,
            format!("{left} of {all} addresses are left in the network `proxy`, and the recipe takes {}", needs.addresses),
            "undeploy something, or make `proxy` with a larger subnet",
        );
    }
    Check::ok(Topic::Proxy, format!("{left} of {all} addresses are left in the network `proxy`"))
}
