//! Archives that are cut off or damaged, or were never any: an error, and nothing outside the staging
//! directory.

use super::{
    super::{deb, rpm},
    *,
};
use proptest::prelude::*;

/// Every package there is, small.
fn packages() -> Vec<(&'static str, Vec<u8>)> {
    let members = amd_package();
    let mut all = Vec::new();
    for compression in Compression::ALL {
        all.push(("deb", deb(&members, compression)));
        all.push(("rpm", rpm(&members, compression)));
        all.push(("tar", compression.pack(&tar(&members))));
    }
    all
}

#[test]
fn an_archive_cut_off_anywhere_is_an_error() {
    for (format, bytes) in packages() {
        let staging = tempfile::tempdir().expect("a directory");
        let step = bytes.len() / 60 + 1;
        // Only what fills up a last block may be missing: the second one that ends a tar archive,
        // the byte that makes a .deb's length even.
        let tail = match format {
            "deb" => 1,
            "tar" if !super::super::stream::is_compressed(&bytes) => 512,
            _ => 0,
        };
        let last = bytes.len() - tail - 1;
        for end in (0..last).step_by(step).chain([last]) {
            let place = staging.path().join(end.to_string());
            fs::create_dir(&place).expect("a directory");
            let path = staging.path().join("package");
            fs::write(&path, &bytes[..end]).expect("a file");
            let result = open_at(&path, &place, None);
            let error = result.expect_err(&format!("{format} cut off at {end} of {}", bytes.len()));
            assert!(matches!(error, Error::Damaged { .. } | Error::NoBackend { .. }), "{error}");
        }
    }
}

#[test]
fn a_header_whose_checksum_is_wrong_is_an_error() {
    let mut bytes = tar(&amd_package());
    let name = b"./opt/rocm-6.3.0/lib/rocblas/library/TensileManifest.txt";
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the name");
    bytes[at + name.len() - 1] = b'T';
    let error = Scene::new("a.tar", &bytes).open(None).expect_err("a wrong checksum").to_string();
    assert!(error.contains(&format!("at byte {at} of")), "{error}");
    assert!(error.contains("no member begins here"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is changed in a package, opening it ends, and leaves nothing outside.
    #[test]
    fn damage_does_no_harm(
        which in 0..15_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let (_, mut bytes) = packages().swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let scene = Scene::new("package", &bytes);
        if let Ok(source) = scene.open(None) {
            for file in source.files {
                let plain = |path: &Path| {
                    path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
                };
                prop_assert!(plain(&file.to), "{:?}", file.to);
            }
        }
        scene.assert_contained();
    }

    /// Bytes that were never an archive.
    #[test]
    fn noise_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2000), magic in 0..4_usize) {
        let magic: &[u8] = [deb::MAGIC, rpm::MAGIC, b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"][magic];
        let scene = Scene::new("noise", &[magic, &bytes].concat());
        prop_assert!(scene.open(None).is_err());
        scene.assert_contained();
    }

    /// Words of the format put together at random: closer to an archive than noise is.
    #[test]
    fn random_members_do_no_harm(
        members in prop::collection::vec(random_member(), 0..12),
        as_rpm in any::<bool>(),
    ) {
        let bytes = if as_rpm { rpm(&members, Compression::None) } else { tar(&members) };
        let scene = Scene::new("package", &bytes);
        let _either = scene.open(Some(&["gfx906"]));
        scene.assert_contained();
    }
}

fn random_member() -> impl Strategy<Value = Member> {
    let part = prop::sample::select(vec![
        "..",
        ".",
        "",
        "opt",
        "lib",
        "rocblas",
        "library",
        "librocblas.so.4",
        "x_gfx906.dat",
        "1",
    ]);
    let path = prop::collection::vec(part, 0..7).prop_map(|parts| parts.join("/"));
    let data = (0..6_u8, path.clone()).prop_map(|(kind, to)| match kind {
        0 => Data::File(to.into_bytes()),
        1 => Data::Directory,
        2 => Data::Link(to),
        3 => Data::HardLink(to),
        4 => Data::Device,
        _ => Data::File(elf(X86_64, Some("librocblas.so.4"), true)),
    });
    (path, any::<u16>(), data).prop_map(|(name, mode, data)| Member {
        name,
        mode: u32::from(mode) & 0o7777,
        data,
    })
}
