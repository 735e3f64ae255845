//! Backups while an engine runs: every engine makes them or says that it can't. `restores` opens them, too.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::rig::{Rig, numbered};
use crate::model::{BackupReport, Error, Word};

pub(super) async fn back_up(rig: &Rig, name: &str) -> Result<BackupReport, Error> {
    rig.engine().backup(Some(name.to_owned())).await
}

pub async fn a_backup_is_made_or_refused_by_name(rig: &Rig) {
    rig.add("q").await;
    let before = rig.hash().await;
    let made = back_up(rig, "first").await;
    assert_eq!(rig.hash().await, before, "a backup changes no state");
    if !rig.engine().capabilities().backup {
        assert_eq!(made.map_err(|error| error.word), Err(Word::Unsupported));
        return;
    }
    let made = made.expect("a backup is made");
    assert!(made.name == "first" && made.path.ends_with("/first"), "{made:?}");
    assert!(made.bytes > 0 && made.bytes == made.linked_bytes + made.copied_bytes, "{made:?}");
    let by_time = rig.engine().backup(None).await.expect("a backup is made").name;
    assert!(by_time.ends_with('Z') && by_time.len() == "2026-11-21T183336Z".len(), "{by_time}");
}

pub async fn a_backups_name_is_one_plain_component_and_given_once(rig: &Rig) {
    if !rig.engine().capabilities().backup {
        return;
    }
    rig.add("q").await;
    for name in ["", "..", ".hidden", "a/b", "/a"] {
        let error = back_up(rig, name).await.expect_err("that is no name");
        assert_eq!(error.word, Word::BadArg, "{name}: {error}");
        assert!(error.message.starts_with("name is "), "{error}");
    }
    back_up(rig, "half.new").await.expect("a name like any other");
    back_up(rig, "one").await.expect("a backup is made");
    let error = back_up(rig, "one").await.expect_err("it is there");
    assert_eq!(error.word, Word::State);
    assert!(error.message.ends_with("/one is there already; give the backup another name"), "{error}");
}

pub async fn one_backup_at_a_time(rig: &Rig) {
    if !rig.engine().capabilities().backup {
        return;
    }
    rig.enqueue("q", numbered(1_000)).await;
    let (one, other) = (back_up(rig, "one"), back_up(rig, "other"));
    let made = tokio::join!(one, other);
    let made = [made.0, made.1];
    // They may also have come one after the other.
    for refused in made.iter().filter_map(|made| made.as_ref().err()) {
        assert_eq!(
            (refused.word, refused.message.as_str()),
            (Word::State, "a backup is being made; one at a time: wait for its end")
        );
    }
    assert!(made.iter().any(Result::is_ok), "{made:?}");
    back_up(rig, "later").await.expect("nothing else runs");
}
