//! What damage must not do to the tools, and what a repair must not do to what comes after it.
//!
//! The store, and what every repair is held to, are the parent's.

use super::*;

/// A disk may write a block to the place of another: then a frame can begin where the segment's header was.
#[test]
fn blocks_that_changed_places_are_named_and_what_is_offered_works() {
    let mut images = 0;
    for name in names(".segment", "") {
        let content = &store().files[&name];
        let magic = &content[64..68];
        let begins = |block: &[u8]| (0..64).step_by(8).any(|at| &block[at..at + 4] == magic);
        let blocks: Vec<usize> = (512..used(content)).step_by(512).filter(|at| begins(&content[*at..])).collect();
        for at in blocks {
            let mut files = store().files.clone();
            let (first, second) = files.get_mut(&name).expect("it is there").split_at_mut(at);
            first[..512].swap_with_slice(&mut second[..512]);
            let verified = verified(&files);
            let named = verified.checked.findings.iter().any(|finding| finding.file == name && finding.offset == 0);
            assert!(named, "{name} at {at}: {verified:?}");
            assert_eq!(start(&files).is_err(), verified.is_unstartable(), "{name} at {at}: {verified:?}");
            for choice in verified.choices {
                repair(&files, choice);
            }
            images += 1;
        }
    }
    assert!(images >= 5, "only {images} places");
}
