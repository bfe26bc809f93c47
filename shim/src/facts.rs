//! The registry of facts about each handle and each device, behind one lock.
//!
//! A forked child has only the thread that forked, so a lock held by another thread at that moment would
//! never be released in the child. `fork` therefore takes this lock before and releases it after, in both
//! processes. So it must never be held for long: not across a call to HIP or to the backend, which may
//! take seconds or fork themselves, nor across a call to the allocator, which may be the program's own
//! with fork handlers. For this reason memory is allocated before the lock is taken.

use crate::{
    backend::hip::DeviceProperties,
    backends::{self, Slot},
    compat::solver_data::SharedPtr,
    route::owners,
};
use core::{
    cell::Cell,
    mem::{ManuallyDrop, swap},
    sync::atomic::{AtomicPtr, Ordering},
    time::Duration,
};
use rocblas_sync::timed_lock;
use std::{
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    time::Instant,
};

/// Facts about a handle, removed when it is destroyed.
pub(crate) struct HandleFacts {
    /// The backend that made it, if that is known.
    pub(crate) owner: Option<Slot>,
    /// The device that was current when the handle was made.
    pub(crate) device: Option<i32>,
    /// rocSOLVER's data on the handle.
    pub(crate) solver_data: SharedPtr,
}

impl HandleFacts {
    const NONE: Self = Self { owner: None, device: None, solver_data: SharedPtr::NULL };
}

/// Facts about a device, kept for the life of the process. If HIP fails to return one, it stays unknown and is
/// queried again.
#[derive(Clone, Copy, Debug, Default)]
struct DeviceFacts {
    /// Never freed: callers keep the pointer.
    properties: Option<&'static DeviceProperties>,
    /// Whether each backend has kernels for it, by slot.
    has_kernels: [Option<bool>; backends::MOST],
}

/// A map, sorted by key.
struct Sorted<K, V>(Vec<(K, V)>);

impl<K: Ord + Copy, V> Sorted<K, V> {
    fn position(&self, key: K) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, |(key, _)| *key)
    }

    fn get(&self, key: K) -> Option<&V> {
        self.position(key).ok().map(|at| &self.0[at].1)
    }

    fn remove(&mut self, key: K) -> Option<V> {
        self.position(key).ok().map(|at| self.0.remove(at).1)
    }

    /// The value of a key; inserts `value` if there is none. There must be room.
    fn get_or_insert(&mut self, key: K, value: V) -> &mut V {
        let at = self.position(key).unwrap_or_else(|at| {
            self.0.insert(at, (key, value));
            at
        });
        &mut self.0[at].1
    }
}

/// All facts.
struct Registry {
    /// By the handle's address.
    handles: Sorted<usize, HandleFacts>,
    /// By HIP's device number.
    devices: Sorted<i32, DeviceFacts>,
}

impl Registry {
    const fn new() -> Mutex<Self> {
        Mutex::new(Self { handles: Sorted(Vec::new()), devices: Sorted(Vec::new()) })
    }
}

static FIRST: Mutex<Registry> = Registry::new();

/// The registry in use: [`FIRST`], except in a child that was forked while it was being changed.
static CURRENT: AtomicPtr<Mutex<Registry>> = AtomicPtr::new((&raw const FIRST).cast_mut());

fn current() -> &'static Mutex<Registry> {
    // SAFETY: a static, or a registry that was leaked.
    unsafe { &*CURRENT.load(Ordering::Acquire) }
}

fn lock() -> MutexGuard<'static, Registry> {
    current().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lock with room for one more value.
fn lock_with_room<K, V>(
    values: fn(&mut Registry) -> &mut Sorted<K, V>,
    change: impl FnOnce(&mut Sorted<K, V>),
) {
    let mut spare: Vec<(K, V)> = Vec::new();
    loop {
        let mut registry = lock();
        let Sorted(all) = values(&mut registry);
        let length = all.len();
        if length == all.capacity() && length < spare.capacity() {
            spare.append(all);
            swap(all, &mut spare);
        }
        if length < all.capacity() {
            change(values(&mut registry));
            // Released before `spare` is freed.
            drop(registry);
            return;
        }
        drop(registry);
        spare = Vec::with_capacity(2 * length + 16);
    }
}

/// Registers a new handle; an earlier handle may have had the same address.
pub(crate) fn insert_handle(handle: usize, facts: HandleFacts) {
    let mut old = facts;
    let mut has_room = true;
    lock_with_room(
        |r| &mut r.handles,
        |all| {
            let place = all.get_or_insert(handle, HandleFacts::NONE);
            swap(place, &mut old);
            if let Some(owner) = place.owner {
                has_room = owners::insert(handle, owner);
            }
        },
    );
    if !has_room {
        owners::grow();
    }
    // rocSOLVER's deleter, if any, runs here, outside the lock.
    drop(old);
}

/// Removes the facts about a handle that is about to be destroyed.
pub(crate) fn remove_handle(handle: usize) -> Option<HandleFacts> {
    let mut registry = lock();
    owners::remove(handle);
    registry.handles.remove(handle)
}

/// The backend that made a handle, if that is known.
pub(crate) fn owner_of(handle: usize) -> Option<Slot> {
    lock().handles.get(handle)?.owner
}

/// Gives a handle without an owner this owner. Returns the handle's owner, which is another one if another
/// thread was faster.
pub(crate) fn adopt_handle(handle: usize, owner: Slot) -> Slot {
    let (mut has_room, mut known) = (true, owner);
    lock_with_room(
        |r| &mut r.handles,
        |all| {
            known = *all.get_or_insert(handle, HandleFacts::NONE).owner.get_or_insert(owner);
            has_room = owners::insert(handle, known);
        },
    );
    if !has_room {
        owners::grow();
    }
    known
}

/// Calls `visit` for each handle with a known owner, then `then`, all before another handle can get an owner.
pub(crate) fn with_owners(mut visit: impl FnMut(usize, Slot), then: impl FnOnce()) {
    let registry = lock();
    for (handle, facts) in &registry.handles.0 {
        if let Some(owner) = facts.owner {
            visit(*handle, owner);
        }
    }
    then();
}

/// The device for which a handle was made, if known.
pub(crate) fn device_of(handle: usize) -> Option<i32> {
    lock().handles.get(handle)?.device
}

/// rocSOLVER's data on a handle, with its use count incremented.
pub(crate) fn solver_data_of(handle: usize) -> SharedPtr {
    lock().handles.get(handle).map_or(SharedPtr::NULL, |facts| facts.solver_data.clone())
}

/// Replaces rocSOLVER's data on a handle. Returns the previous data.
pub(crate) fn replace_solver_data(handle: usize, mut data: SharedPtr) -> SharedPtr {
    lock_with_room(
        |r| &mut r.handles,
        |all| {
            swap(&mut all.get_or_insert(handle, HandleFacts::NONE).solver_data, &mut data);
        },
    );
    data
}

/// The properties of a device: cached, or as `ask` queries them from HIP.
pub(crate) fn properties_of(
    device: i32,
    ask: impl FnOnce() -> Option<Box<DeviceProperties>>,
) -> Option<&'static DeviceProperties> {
    let known = |registry: &Registry| registry.devices.get(device)?.properties;
    // The guard is dropped before HIP is called.
    if let Some(properties) = known(&lock()) {
        return Some(properties);
    }
    let mut properties: &'static DeviceProperties = Box::leak(ask()?);
    lock_with_room(
        |r| &mut r.devices,
        |all| {
            // Two threads may have queried them; all callers get the same pointer.
            let facts = all.get_or_insert(device, DeviceFacts::default());
            properties = facts.properties.get_or_insert(properties);
        },
    );
    Some(properties)
}

/// Whether a backend has kernels for a device, if known.
pub(crate) fn has_kernels(backend: Slot, device: i32) -> Option<bool> {
    lock().devices.get(device)?.has_kernels[usize::from(backend)]
}

/// Records whether a backend has kernels for a device. Returns whether this was unknown before.
pub(crate) fn set_has_kernels(backend: Slot, device: i32, has_kernels: bool) -> bool {
    let mut is_news = false;
    lock_with_room(
        |r| &mut r.devices,
        |all| {
            let facts = all.get_or_insert(device, DeviceFacts::default());
            let place = &mut facts.has_kernels[usize::from(backend)];
            is_news = place.replace(has_kernels) != Some(has_kernels);
        },
    );
    is_news
}

thread_local! {
    /// The lock's guard in a thread that is forking. `ManuallyDrop`, because a thread-local with a destructor
    /// would have to be registered.
    static HELD: Cell<Option<ManuallyDrop<MutexGuard<'static, Registry>>>> =
        const { Cell::new(None) };
}

/// Takes the lock for a fork. This fails if the forking thread itself holds it, as when a signal handler forks.
pub(crate) fn before_fork(patience: Duration) {
    let start = Instant::now();
    let guard = loop {
        match current().try_lock() {
            Ok(guard) => break Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => break Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if start.elapsed() >= patience => break None,
            Err(TryLockError::WouldBlock) => timed_lock::pause(Duration::from_micros(100)),
        }
    };
    HELD.set(guard.map(ManuallyDrop::new));
}

/// Releases the lock in the parent.
pub(crate) fn after_fork_in_parent() {
    HELD.take().map(ManuallyDrop::into_inner);
}

/// Releases the lock in the child. If the lock was not acquired, abandons the registry, which may be in the
/// middle of a change, and starts a new one.
pub(crate) fn after_fork_in_child() {
    match HELD.take() {
        Some(guard) => drop(ManuallyDrop::into_inner(guard)),
        None => CURRENT.store(Box::leak(Box::new(Registry::new())), Ordering::Release),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    fn facts(device: i32) -> HandleFacts {
        HandleFacts { device: Some(device), ..HandleFacts::NONE }
    }

    #[test]
    fn many_handles_are_known_until_they_are_removed() {
        let handles = (1..1000).map(|number| number * 7919 % 1_000_003 * 64);
        for (handle, device) in handles.clone().zip(0..) {
            insert_handle(handle, facts(device));
        }
        for (handle, device) in handles.clone().zip(0..) {
            assert_eq!(device_of(handle), Some(device));
        }
        for (handle, device) in handles.zip(0..) {
            assert_eq!(remove_handle(handle).and_then(|facts| facts.device), Some(device));
            assert_eq!(device_of(handle), None);
        }
    }

    #[test]
    fn a_failed_question_is_not_remembered() {
        const DEVICE: i32 = 1_000;
        assert!(properties_of(DEVICE, || None).is_none());
        assert_eq!(has_kernels(1, DEVICE), None);
        assert!(set_has_kernels(1, DEVICE, false), "news");
        assert!(!set_has_kernels(1, DEVICE, false), "known");
        assert_eq!(has_kernels(1, DEVICE), Some(false));
        assert_eq!(has_kernels(0, DEVICE), None, "another backend");
    }

    /// Runs `child` in a forked child. Returns its exit status, or the signal that ended it.
    fn in_child(child: impl FnOnce()) -> i32 {
        // SAFETY: the child calls nothing but `child` and ends without returning.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::alarm(10);
                child();
                libc::_exit(0);
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
            status
        }
    }

    #[test]
    fn a_child_forked_at_any_moment_finds_the_registry_usable() {
        crate::fork::protect();
        static OVER: AtomicBool = AtomicBool::new(false);
        const CONSTANT: usize = 0xf00_0040;
        insert_handle(CONSTANT, facts(3));
        let worker = thread::spawn(|| {
            for number in 1_usize.. {
                insert_handle(0xb00_0000 + number % 100 * 64, facts(1));
                remove_handle(0xb00_0000 + number * 31 % 100 * 64);
                if OVER.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        for _ in 0..500 {
            let status = in_child(|| {
                insert_handle(0xb00_0000, facts(2));
                assert_eq!(device_of(CONSTANT), Some(3));
            });
            assert_eq!(status, 0);
        }
        OVER.store(true, Ordering::Relaxed);
        worker.join().expect("no panic");
    }

    #[test]
    fn a_child_of_a_signal_handler_within_the_registry_starts_a_new_one() {
        crate::fork::protect();
        // As if a signal handler interrupted this thread while it holds the lock. In a child, so that
        // other tests do not wait for the lock.
        let status = in_child(|| {
            let _held = lock();
            let status = in_child(|| {
                insert_handle(64, facts(5));
                assert_eq!(device_of(64), Some(5));
            });
            assert_eq!(status, 0);
        });
        assert_eq!(status, 0);
    }
}
