//! Which backend a new handle gets: the one that was asked for at run time; or that of the rule for the GPU
//! that is current, which is opened when it is needed first; or the first.

use crate::{
    arch::without_cancellation,
    backend::{Backend, hip::DeviceProperties, hip::Hip},
    backends::{self, Slot},
    config::Settings,
    facts,
    init::{self, Outcome},
};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use rocblas_contract::{
    route::{self, Gpu},
    sentences,
};
use tracing::error;

/// As many devices as are remembered. HIP has fewer.
const DEVICES: usize = 64;

/// No backend has been chosen yet.
const NONE: u8 = u8::MAX;

/// The slot that the rules have led to, by HIP's number of a device: rules and devices stay what they are.
static CHOSEN: [AtomicU8; DEVICES] = [const { AtomicU8::new(NONE) }; DEVICES];

/// There is none to be had.
#[derive(Debug)]
pub(crate) struct NoBackend;

/// The backend for a handle that is made now by this thread. An error has been said.
pub(crate) fn for_new_handle() -> Result<&'static Backend, NoBackend> {
    if let Some(backend) = backends::in_use() {
        return Ok(backend);
    }
    let Some(Outcome::Ready { backend: first, settings }) = init::published_outcome() else {
        return Err(NoBackend);
    };
    let Some(hip) = first.compat.hip.as_ref().filter(|_| !settings.route.is_empty()) else {
        return Ok(first);
    };
    let Some(device) = hip.current_device() else { return Ok(first) };
    let place = usize::try_from(device).ok().and_then(|device| CHOSEN.get(device));
    let known: Option<Slot> = place.map(|place| place.load(Ordering::Acquire));
    if let Some(backend) = known.and_then(backends::get) {
        return Ok(backend);
    }
    let backend = without_cancellation(|| by_rules(settings, first, hip, device))?;
    if let Some(place) = place {
        place.store(backend.slot, Ordering::Release);
    }
    Ok(backend)
}

fn by_rules(
    settings: &Settings,
    first: &'static Backend,
    hip: &Hip,
    device: i32,
) -> Result<&'static Backend, NoBackend> {
    let properties = facts::properties_of(device, || hip.properties(device));
    let target = properties.map(DeviceProperties::target).unwrap_or_default();
    let pci = hip.pci_address(device);
    let gpu = Gpu { target: &target, device: u32::try_from(device).ok(), pci: pci.as_deref() };
    let Some(rule) = route::rule_for(&settings.route, |rule| &rule.gpus, &gpu) else {
        return Ok(first);
    };
    backends::open(&rule.choice).map_err(|why| {
        if is_news(device) {
            error!("{}", sentences::no_route(device, &target, why));
        }
        NoBackend
    })
}

/// Whether something is said of a device for the first time.
fn is_news(device: i32) -> bool {
    static SAID: AtomicU64 = AtomicU64::new(0);
    let bit = 1 << (device.unsigned_abs() % u64::BITS);
    SAID.fetch_or(bit, Ordering::Relaxed) & bit == 0
}
