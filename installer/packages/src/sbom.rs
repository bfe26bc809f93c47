//! The bill of materials: the two binaries and the crates that are linked into each (CycloneDX 1.6, JSON).

use crate::{
    binaries::Binaries,
    crates::{Crate, Id, ROOTS},
    digest::sha256,
    source::{LICENCE, NAME, Source},
};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The document. It is the same for the same binaries and crates.
pub(crate) fn document(
    source: &Source,
    binaries: &Binaries,
    crates: &BTreeMap<Id, Crate>,
) -> Result<String> {
    let dependency = |(id, linked): (&Id, &Crate)| {
        let uses: Vec<String> = linked.uses.iter().map(reference).collect();
        json!({ "ref": reference(id), "dependsOn": uses })
    };
    let roots: Vec<String> =
        crates.keys().filter(|(name, _)| ROOTS.contains(&name.as_str())).map(reference).collect();
    let mut dependencies = vec![json!({ "ref": NAME, "dependsOn": roots })];
    dependencies.extend(crates.iter().map(dependency));
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": source.timestamp,
            "component": {
                "type": "application",
                "bom-ref": NAME,
                "name": NAME,
                "version": source.version,
                "licenses": [{ "expression": LICENCE }],
                "properties": [{ "name": "commit", "value": source.commit }],
            },
        },
        "components": crates.iter().map(|entry| component(entry, binaries)).collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    // A number that nobody else has, and that the content alone decides.
    let digest = sha256(document.to_string().as_bytes());
    document["serialNumber"] = json!(format!("urn:uuid:{}", uuid(&digest)));
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn component((id, linked): (&Id, &Crate), binaries: &Binaries) -> Value {
    let (name, version) = id;
    let mut component = json!({ "bom-ref": reference(id), "name": name, "version": version });
    let built: Option<(&str, &str, &[u8])> = match name.as_str() {
        "rocblas-shim" => Some(("library", "librocblas.so.5", &binaries.shim)),
        "installer" => Some(("application", "installer", &binaries.installer)),
        _ => None,
    };
    let hash = match built {
        Some((_, _, bytes)) => Some(sha256(bytes)),
        None => linked.checksum.clone(),
    };
    component["type"] = json!(built.map_or("library", |(kind, ..)| kind));
    if let Some((_, file, _)) = built {
        component["description"] = json!(format!("the binary {file}"));
    }
    if let Some(hash) = hash {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": hash }]);
    }
    if let Some(licence) = &linked.package.license {
        // As older manifests write it: MIT/Apache-2.0.
        component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    if linked.package.source.is_some() {
        component["purl"] = json!(format!("pkg:cargo/{name}@{version}"));
        if let Some(repository) = &linked.package.repository {
            component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
        }
    }
    component
}

fn reference((name, version): &Id) -> String {
    format!("{name}@{version}")
}

/// A UUID of version 8 (RFC 9562: bits of one's own) from a digest.
fn uuid(digest: &str) -> String {
    let part = |range: std::ops::Range<usize>| digest.get(range).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0..8), part(8..12), part(12..15), part(15..18), part(18..30))
}
