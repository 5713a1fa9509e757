use super::*;

fn denied_calls(limit: &DeniedCalls, address: &str) -> Result<(), u32> {
    limit.take(Some(address.parse().unwrap()), Answer::Denied, true)
}

fn limit(per_second: u32) -> DeniedCalls {
    DeniedCalls::new(NonZeroU32::new(per_second))
}

#[test]
fn an_address_has_a_burst_and_others_are_not_affected() {
    let limit = limit(1);
    for _ in 0..BURST_SECONDS.get() {
        denied_calls(&limit, "192.0.2.1").unwrap();
    }
    assert_eq!(denied_calls(&limit, "192.0.2.1"), Err(1));
    // The same address as a listener of both families shows it.
    assert_eq!(denied_calls(&limit, "::ffff:192.0.2.1"), Err(1));
    denied_calls(&limit, "192.0.2.2").unwrap();
    let public = |address: &str| limit.take(Some(address.parse().unwrap()), Answer::Public, false);
    public("192.0.2.1").unwrap();
}

#[test]
fn an_ipv6_client_is_its_network() {
    let limit = limit(1);
    for host in 0..BURST_SECONDS.get() {
        denied_calls(&limit, &format!("2001:db8::{host:x}")).unwrap();
    }
    assert!(denied_calls(&limit, "2001:db8::ffff:ffff:ffff:ffff").is_err());
    denied_calls(&limit, "2001:db8:0:1::").unwrap();
}

#[test]
fn all_addresses_together_are_bounded_and_so_is_a_socket() {
    for client in [|number: u32| Some(IpAddr::from(number.to_be_bytes())), |_| None] {
        let limit = limit(1);
        let admitted = (0..1_000).filter(|number| limit.take(client(*number), Answer::Denied, true).is_ok());
        // The bucket fills meanwhile.
        let (burst, admitted) = ((SHARED.get() * BURST_SECONDS.get()) as usize, admitted.count());
        assert!((burst..burst + 200).contains(&admitted), "{admitted}");
    }
}

#[test]
fn without_a_limit_nothing_is_counted() {
    let limit = DeniedCalls::new(None);
    for _ in 0..10_000 {
        denied_calls(&limit, "192.0.2.1").unwrap();
    }
    assert_eq!(*limit.summary.lock().unwrap(), Summary::default());
}

#[test]
fn the_summary_names_the_address_that_most_calls_came_from() {
    let mut summary = Summary::default();
    let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().ok());
    for client in [other, one, None, one, one, other, one] {
        summary.add(client, client == one);
    }
    assert_eq!((summary.calls, summary.of_methods, summary.most_from), (7, 4, one));
}
