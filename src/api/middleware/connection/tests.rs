use super::*;

/// Ticks of a second; 2 s for a request, 4 s for a writer, 6 s for an idle one.
fn limits(most: usize) -> Rc<ConnectionLimits> {
    let [request, write, idle] = [2, 4, 6].map(Duration::from_secs);
    Rc::new(ConnectionLimits { request, write, idle, most, ..ConnectionLimits::default() })
}

/// How many ticks it lasts.
fn lasts(connection: &Connection) -> usize {
    (0..100).take_while(|_| connection.check_timeouts().is_ok()).count()
}

#[test]
fn each_state_has_its_own_limit() {
    let limits = limits(1);
    assert_eq!(lasts(&Connection::open(Rc::clone(&limits))), 6);
    let receiving = Connection::open(Rc::clone(&limits));
    receiving.unanswered.set(true);
    assert_eq!(lasts(&receiving), 2);
    let stalled = Connection::open(Rc::clone(&limits));
    stalled.unanswered.set(true);
    stalled.stalled.set(true);
    assert_eq!(lasts(&stalled), 4);
}

#[test]
fn more_bytes_of_the_same_request_gain_no_time() {
    let connection = Connection::open(limits(1));
    for _ in 0..2 {
        connection.unanswered.set(true);
        assert!(connection.check_timeouts().is_ok());
    }
    connection.unanswered.set(true);
    assert!(connection.check_timeouts().is_err());
}

#[test]
fn a_request_in_flight_is_not_timed_and_the_next_starts_at_zero() {
    let connection = Connection::open(limits(1));
    connection.unanswered.set(true);
    let in_flight = connection.in_flight();
    connection.unanswered.set(true);
    assert_eq!(lasts(&connection), 100);
    drop(in_flight);
    assert_eq!(lasts(&connection), 6);
}

#[test]
fn a_client_that_takes_a_byte_at_times_is_not_stalled() {
    let connection = Connection::open(limits(1));
    for _ in 0..20 {
        connection.stalled.set(true);
        assert!(connection.check_timeouts().is_ok());
        connection.stalled.set(false);
        connection.quiet.set(0);
    }
    assert_eq!(lasts(&connection), 6);
}

#[test]
fn a_connection_above_the_limit_is_over_until_one_closes() {
    let limits = limits(2);
    let open = || Connection::open(Rc::clone(&limits));
    let (one, other) = (open(), open());
    assert!(!one.over_limit && !other.over_limit);
    assert!(open().over_limit);
    drop(one);
    assert!(!open().over_limit);
}
