//! The feed read back: the same events, from any place, in pages of any size, and how many a page leaves out.
#![expect(missing_docs, reason = "a case's name is the sentence that it checks")]

use super::feed::{now, read_on};
use super::rig::Rig;
use crate::engine::EngineExt;
use crate::model::{EventPage, EventRecord, EventsBack, JobNumber, NewJob, Word};

async fn back(rig: &Rig, before: Option<&str>, since: Option<&str>, limit: u32) -> EventPage {
    let [before, since] = [before, since].map(|cursor| cursor.map(str::to_owned));
    rig.engine().events_back(EventsBack { before, since, limit }).await.expect("the feed is read back")
}

/// Every event before a place, oldest first, read back in pages of `limit`.
async fn read_back(rig: &Rig, before: Option<&str>, limit: u32) -> Vec<EventRecord> {
    let (mut pages, mut before) = (Vec::new(), before.map(str::to_owned));
    loop {
        let page = back(rig, before.as_deref(), None, limit).await;
        assert!(page.events.len() <= limit as usize, "a page holds at most {limit}");
        assert!(before.is_none_or(|before| before == page.cursor), "a page ends where it was asked to");
        pages.push(page.events);
        before = page.before;
        if before.is_none() {
            return pages.into_iter().rev().flatten().collect();
        }
    }
}

fn numbers(page: &EventPage) -> Vec<JobNumber> {
    page.events.iter().filter_map(|event| event.number).collect()
}

pub async fn what_is_read_back_is_the_feed(rig: &Rig) {
    let numbers = rig.add_many("q", 20).await;
    rig.complete(&rig.lease("q").await).await;
    rig.cancel(numbers[9]).await;
    let (all, end) = read_on(rig, "0", 1_000).await;
    assert!(all.len() >= 23, "{} events", all.len());
    for limit in [1, 2, 7, 23, 1_000] {
        assert_eq!(read_back(rig, None, limit).await, all, "in pages of {limit}");
        assert_eq!(read_back(rig, Some(&end), limit).await, all, "from the end, in pages of {limit}");
    }
}

pub async fn a_page_read_back_ends_where_reading_goes_on(rig: &Rig) {
    let first = rig.add_many("q", 5).await;
    let page = back(rig, None, None, 3).await;
    assert_eq!(numbers(&page), first[2..]);
    let next = rig.add_many("q", 2).await;
    let (events, _) = read_on(rig, &page.cursor, 100).await;
    assert_eq!(events.iter().filter_map(|event| event.number).collect::<Vec<_>>(), next);
    // And from any place in between.
    let before = page.before.expect("there is more");
    let older = back(rig, Some(&before), None, 2).await;
    assert_eq!((numbers(&older), older.cursor), (first[..2].to_vec(), before));
}

pub async fn reading_back_says_how_many_it_leaves_out(rig: &Rig) {
    rig.add_many("q", 3).await;
    let since = now(rig).await;
    let numbers_since = rig.add_many("q", 10).await;
    let some = back(rig, None, Some(&since), 4).await;
    assert_eq!((numbers(&some), some.left_out), (numbers_since[6..].to_vec(), Some(6)));
    let all = back(rig, None, Some(&since), 100).await;
    assert_eq!((numbers(&all), all.left_out), (numbers_since, Some(0)));
    let none = back(rig, None, Some(&all.cursor), 100).await;
    assert_eq!((none.events, none.left_out, none.cursor), (Vec::new(), Some(0), all.cursor));
    assert_eq!(back(rig, None, None, 4).await.left_out, None);
}

pub async fn every_event_has_a_cursor_of_its_own(rig: &Rig) {
    rig.add_many("q", 5).await;
    let (all, _) = read_on(rig, "0", 1_000).await;
    for (at, event) in all.iter().enumerate() {
        assert_eq!(read_on(rig, &event.cursor, 1_000).await.0, all[at..]);
        assert_eq!(read_back(rig, Some(&event.cursor), 1_000).await, all[..at]);
    }
}

pub async fn reading_back_passes_long_batches(rig: &Rig) {
    let payload = vec![b'x'; 64 << 10];
    for _ in 0..2 {
        let batch = (0..40).map(|_| NewJob::new("work", payload.clone())).collect();
        rig.engine().enqueue("q", batch).await.expect("taken");
    }
    let (all, _) = read_on(rig, "0", 1_000).await;
    assert!(all.len() >= 80);
    for limit in [9, 1_000] {
        assert_eq!(read_back(rig, None, limit).await, all, "in pages of {limit}");
    }
}

pub async fn nothing_is_read_back_before_the_oldest(rig: &Rig) {
    let page = back(rig, Some("0"), None, 10).await;
    assert_eq!((page.events, page.before), (Vec::new(), None));
}

pub async fn what_cannot_be_read_back_is_refused(rig: &Rig) {
    rig.add("q").await;
    let end = now(rig).await;
    for bad in ["", "yesterday", "-1", "18446744073709551615"] {
        for (before, since) in [(Some(bad), None), (None, Some(bad))] {
            let [before, since] = [before, since].map(|cursor| cursor.map(str::to_owned));
            let error = rig.engine().events_back(EventsBack { before, since, limit: 1 }).await.expect_err("no cursor");
            assert_eq!(error.word, Word::BadArg, "{bad:?}: {error}");
        }
    }
    let behind = EventsBack { before: Some("0".to_owned()), since: Some(end), limit: 1 };
    assert_eq!(rig.engine().events_back(behind).await.expect_err("behind").word, Word::BadArg);
    for limit in [0, 10_001] {
        let error =
            rig.engine().events_back(EventsBack { before: None, since: None, limit }).await.expect_err("bounds");
        assert!(error.message.starts_with(&format!("count is {limit}; allowed: ")), "{error}");
    }
}
