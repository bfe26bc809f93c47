//! Chooses the backend of a new handle: the one that was chosen at run time; or that of the rule for the
//! current GPU, which is opened when it is first needed; or the first backend.

use crate::{
    arch::without_cancellation,
    backend::{Backend, hip::DeviceProperties, hip::Hip, locate},
    backends::{self, Slot},
    config::{Choice, Settings},
    diagnostics::error,
    facts,
    init::{self, Outcome},
    own,
};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use rocblas_contract::{
    route::{self, AUTO, Gpu},
    sentences, serves, store,
};

/// The number of devices whose backends are remembered. HIP has fewer.
const DEVICES: usize = 64;

/// Means that no backend has been chosen yet.
const NONE: u8 = u8::MAX;

/// The slot that the rules selected, by HIP's device number: neither rules nor devices change.
static CHOSEN: [AtomicU8; DEVICES] = [const { AtomicU8::new(NONE) }; DEVICES];

/// There is no backend for the handle.
#[derive(Debug)]
pub(crate) struct NoBackend;

/// The backend for a handle that this thread is about to make. An error has been reported already.
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
    let opened = match rule.choice.value == AUTO {
        true if target.is_empty() => return Ok(first),
        true => newest(&rule.choice, &target, device).and_then(|choice| backends::open(&choice)),
        false => backends::open(&rule.choice),
    };
    opened.map_err(|why| {
        if is_first(&UNSERVED, device) {
            error!("{}", sentences::no_route(device, &target, why));
        }
        NoBackend
    })
}

/// The newest backend in the store that serves a GPU. The error is a message.
fn newest(auto: &Choice, target: &str, device: i32) -> Result<Choice, String> {
    let directories = own::directories();
    let known = locate::known(directories);
    let Some(newest) = serves::newest(&known, target) else {
        let stores = directories.iter().map(|d| store::backends(d).display().to_string());
        return Err(route::none_serves(stores.collect::<Vec<_>>().join(" or ")));
    };
    if newest.is_stale && is_first(&STALE, device) {
        error!("{}", sentences::stale_facts(&newest.name, target));
    }
    Ok(Choice { value: newest.name.clone().into(), ..auto.clone() })
}

/// Devices, as bits, for which a missing backend, or stale facts about a backend, have been reported.
static UNSERVED: AtomicU64 = AtomicU64::new(0);
static STALE: AtomicU64 = AtomicU64::new(0);

/// Whether something is reported for a device for the first time.
fn is_first(reported: &AtomicU64, device: i32) -> bool {
    let bit = 1 << (device.unsigned_abs() % u64::BITS);
    reported.fetch_or(bit, Ordering::Relaxed) & bit == 0
}
