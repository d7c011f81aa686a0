//! Any bytes as a document: no panic, and what is taken comes back equal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tideline_server::model::Document;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::parse_new(bytes) else { return };
    let text = document.to_json();
    let again = Document::parse_new(&text).expect("what was written can be read");
    assert_eq!(again, document);
    assert_eq!(again.to_json(), text);
});
