//! The ELF note that identifies a file as a shim without loading it: a shim must not be opened as a
//! backend, and the installer must distinguish its own library from the vendor's.

rocblas_contract::embed_note!(env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_contract::note::{HEAD, Note};

    #[test]
    fn the_head_is_that_of_the_note() {
        // SAFETY: a static without padding, read as the bytes it is.
        let bytes = unsafe {
            core::slice::from_raw_parts((&raw const NOTE).cast::<u8>(), size_of::<Note>())
        };
        assert!(bytes.starts_with(&HEAD));
        assert!(bytes[28..].starts_with(env!("CARGO_PKG_VERSION").as_bytes()));
    }
}
