//! Tables of what callers hold by handle: streams, events, modules, functions.
//!
//! A handle is a number that points nowhere, so a caller who looks inside crashes, and one of
//! something destroyed is known for what it is.

use std::{collections::HashMap, ffi::c_void, ptr};

/// Live things by handle.
pub(crate) struct Table<T> {
    live: HashMap<usize, T>,
    /// How many there have ever been.
    count: usize,
    base: usize,
}

impl<T> Table<T> {
    /// A table whose handles begin at `base`, so that one kind is not taken for another.
    pub(crate) fn new(base: usize) -> Self {
        Self { live: HashMap::new(), count: 0, base }
    }

    /// Adds what `make` makes of its number; the first is 1.
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
