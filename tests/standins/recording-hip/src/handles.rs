//! Tables of the objects that callers refer to by handle: streams, events, modules, functions.
//!
//! A handle is a number that is not a valid address, so a caller that dereferences it crashes, and handles of
//! destroyed objects are detected.

use std::{collections::HashMap, ffi::c_void, ptr};

/// Live objects by handle.
pub(crate) struct Table<T> {
    live: HashMap<usize, T>,
    /// The number of objects created so far.
    count: usize,
    base: usize,
}

impl<T> Table<T> {
    /// A table whose handles begin at `base`, so that handles of different kinds are not confused.
    pub(crate) fn new(base: usize) -> Self {
        Self { live: HashMap::new(), count: 0, base }
    }

    /// Adds the object that `make` creates for a number; the first number is 1.
    pub(crate) fn add(&mut self, make: impl FnOnce(usize) -> T) -> *mut c_void {
        self.count += 1;
        let handle = self.base + self.count * 16;
        self.live.insert(handle, make(self.count));
        ptr::without_provenance_mut(handle)
    }

    pub(crate) fn get(&self, handle: *const c_void) -> Option<&T> {
        self.live.get(&handle.addr())
    }

    pub(crate) fn get_mut(&mut self, handle: *const c_void) -> Option<&mut T> {
        self.live.get_mut(&handle.addr())
    }

    pub(crate) fn remove(&mut self, handle: *const c_void) -> Option<T> {
        self.live.remove(&handle.addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_not_used_twice() {
        let mut table = Table::new(0x1000);
        let first = table.add(|number| number);
        let second = table.add(|number| number);
        assert_ne!(first, second);
        assert_eq!(table.get(second), Some(&2));
        assert_eq!(table.remove(first), Some(1));
        assert_eq!(table.remove(first), None);
        let third = table.add(|number| number);
        assert!(third != first && table.get(third) == Some(&3));
        assert_eq!(table.get_mut(ptr::null()), None);
    }
}
