use std::thread::sleep;
use std::time::{Duration, Instant};

use super::*;

fn buckets(per_second: u32, burst: u32) -> TokenBuckets {
    TokenBuckets::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
}

#[test]
fn a_client_has_its_burst_and_then_its_rate() {
    let buckets = buckets(2, 5);
    let take = || buckets.take(&("client_id", "a"));
    let began = Instant::now();
    let mut taken = 0;
    let mut until_refused = || loop {
        match take() {
            Ok(()) => taken += 1,
            Err(seconds) => return seconds,
        }
    };
    assert_eq!(until_refused(), 1);
    sleep(Duration::from_millis(600));
    assert_eq!(until_refused(), 1);
    let most = 5 + (began.elapsed().as_secs_f64() * 2.0) as u32;
    assert!((6..=most).contains(&taken), "{taken} of at most {most}");
}

#[test]
fn a_client_does_not_use_up_the_bucket_of_another() {
    let buckets = buckets(1, 1);
    buckets.take(&("client_id", "a")).unwrap();
    buckets.take(&("client_id", "a")).unwrap_err();
    buckets.take(&("client_id", "b")).unwrap();
    buckets.take(&("sub", "a")).unwrap();
}

#[test]
fn the_number_of_buckets_is_bounded() {
    let buckets = buckets(1, 1);
    for number in 0..25_000 {
        let _ = buckets.take(&number);
        assert!(buckets.limiter.load().len() <= MOST_CLIENTS);
    }
}

#[test]
fn full_buckets_make_room_and_the_others_stay() {
    let buckets = buckets(10, 1);
    for number in 0..MOST_CLIENTS / 2 {
        let _ = buckets.take(&number);
    }
    sleep(Duration::from_millis(200));
    for number in 0..MOST_CLIENTS {
        let _ = buckets.take(&("again", number));
    }
    buckets.take(&("again", MOST_CLIENTS - 1)).unwrap_err();
}
