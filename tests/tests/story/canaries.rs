//! Looking for a secret, whatever it was packed in.

use std::collections::BTreeMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// A secret in all the forms in which it could be seen.
#[derive(Debug)]
pub(crate) struct Canary {
    secret: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

/// Something that can be seen, and what it is called.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    bytes: Vec<u8>,
}

impl Canary {
    pub(crate) fn new(secret: &str) -> Self {
        let mut forms = vec![("as it is", secret.as_bytes().to_vec())];
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let percent = |keep: &str| {
            let letter = |letter: char| match letter {
                letter if letter.is_ascii_alphanumeric() || keep.contains(letter) => letter.to_string(),
                letter => format!("%{:02X}", letter as u32),
            };
            secret.chars().map(letter).collect::<String>()
        };
        forms.push(("in hexadecimal", hex(secret.as_bytes()).into_bytes()));
        for keep in ["-._~", "-._*", "/-._~", "="] {
            forms.push(("percent-encoded", percent(keep).into_bytes()));
            forms.push(("percent-encoded", percent(keep).to_lowercase().into_bytes()));
        }
        forms.push(("escaped for JSON", secret.replace('/', r"\/").into_bytes()));
        // In base64 the letters depend on where in a group of three bytes the secret begins. The letters at its edges
        // also depend on its neighbours.
        for before in 0..3 {
            let mut padded = vec![0; before];
            padded.extend(secret.as_bytes());
            for encoded in [STANDARD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
                let end = padded.len() / 3 * 4;
                forms.push(("in base64", encoded.as_bytes()[if before == 0 { 0 } else { 4 }..end].to_vec()));
            }
        }
        Self { secret: secret.to_owned(), forms }
    }
}

impl Place {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self::of_bytes(name, text.as_bytes().to_vec())
    }

    pub(crate) fn of_bytes(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), bytes }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// What was found: which secret, in which form, here.
    pub(crate) fn search(&self, canaries: &[Canary]) -> Vec<String> {
        let mut found = Vec::new();
        for canary in canaries {
            for (form, needle) in &canary.forms {
                if let Some(at) = self.bytes.windows(needle.len()).position(|window| window == needle) {
                    let around = &self.bytes[at.saturating_sub(80)..(at + needle.len() + 20).min(self.bytes.len())];
                    let around = String::from_utf8_lossy(around);
                    found.push(format!("{} {form} in {}: …{around}…", canary.secret, self.name));
                }
            }
        }
        found
    }
}

/// What is packed in the parts of a list of stored plans or states; `None` if there are no parts.
pub(crate) fn unpacked(objects: &Value) -> Option<Vec<u8>> {
    let mut parts = BTreeMap::new();
    for object in objects["items"].as_array()? {
        // A part of a plan lies in the spec itself.
        let spec = &object["spec"];
        let part = if spec["part"].is_object() { &spec["part"] } else { spec };
        if let Some(data) = part["data"].as_str() {
            // One plan may lie there in two versions; the parts of each have one beginning of their names.
            let name = object["metadata"]["name"].as_str().and_then(|name| name.rsplit_once('-'));
            let whole = (name.map(|(beginning, _)| beginning.to_owned()), part["revision"].to_string());
            let number = [&part["part"], &part["index"]].into_iter().find_map(Value::as_i64);
            parts.insert((whole, number), STANDARD.decode(data).unwrap());
        }
    }
    let mut packed: BTreeMap<_, Vec<u8>> = BTreeMap::new();
    for ((whole, _), data) in parts {
        packed.entry(whole).or_default().extend(data);
    }
    if packed.is_empty() {
        return None;
    }
    let mut all = Vec::new();
    for bytes in packed.values() {
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut all).unwrap();
    }
    Some(all)
}

mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write as _;

    const SECRET: &str = "canary+of/a~test=0a1b";

    fn finds(text: &str) -> bool {
        !Place::new("a sample", text).search(&[Canary::new(SECRET)]).is_empty()
    }

    #[test]
    fn a_secret_is_found_in_text_and_nothing_is_found_where_it_is_not() {
        assert!(finds(&format!("WARN bind failed with {SECRET} as the password")));
        assert!(finds(&json!({ "message": SECRET }).to_string()));
        assert!(!finds("WARN bind failed: canary+of/another~test=0a1b"));
    }

    #[test]
    fn a_secret_is_found_in_base64_wherever_it_begins() {
        for before in ["", "a", "ab", "abc", "user:", "user::"] {
            for after in ["", "x", "xy", "xyz"] {
                let whole = format!("{before}{SECRET}{after}");
                assert!(finds(&STANDARD.encode(&whole)), "{whole}");
                assert!(finds(&URL_SAFE_NO_PAD.encode(&whole)), "{whole}");
            }
        }
    }

    #[test]
    fn a_secret_is_found_in_an_address() {
        assert!(finds("ldap://host?password=canary%2Bof%2Fa~test%3D0a1b"));
        assert!(finds("password=canary%2bof%2fa%7etest%3d0a1b"));
    }

    #[test]
    fn a_secret_is_found_in_a_stored_plan_and_in_a_stored_state() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        // Enough to be compressed, not just wrapped.
        for person in 0..200 {
            writeln!(gzip, "{{\"verb\":\"CreateUser\",\"subject\":\"person{person}@example.com\"}}").unwrap();
        }
        writeln!(gzip, "{{\"verb\":\"CreateUser\",\"subject\":\"{SECRET}\"}}").unwrap();
        let packed = gzip.finish().unwrap();
        let (first, second) = packed.split_at(packed.len() / 2);
        let part = |number: usize, bytes: &[u8]| json!({ "part": number, "digest": "sha256:1", "data": STANDARD.encode(bytes) });
        let plan = json!({ "items": [{ "spec": part(2, second) }, { "spec": part(1, first) }] });
        let state = json!({ "items": [
            { "spec": { "head": { "parts": 2 } } },
            { "spec": { "part": { "index": 1, "revision": 1, "data": STANDARD.encode(second) } } },
            { "spec": { "part": { "index": 0, "revision": 1, "data": STANDARD.encode(first) } } },
        ] });
        for objects in [plan, state] {
            assert!(!finds(&objects.to_string()), "packed, it cannot be seen");
            let unpacked = Place::of_bytes("unpacked", unpacked(&objects).unwrap());
            assert!(!unpacked.search(&[Canary::new(SECRET)]).is_empty());
        }
    }
}
