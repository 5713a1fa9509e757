use super::*;

#[test]
fn every_method_is_declared_once_in_the_order_of_the_page() {
    assert_eq!(EndpointSpec::ALL.map(|declaration| declaration.method), Method::ALL);
}

#[test]
fn the_varying_part_of_a_path_is_in_it_by_its_name() {
    for declaration in EndpointSpec::ALL {
        for path in [declaration.path].iter().chain(declaration.path_aliases) {
            let in_path = path.split_once('{').map(|(_, rest)| rest.trim_end_matches('}'));
            assert_eq!(in_path, declaration.segment.map(|segment| segment.name), "{path}");
        }
    }
}

#[test]
fn a_methods_own_errors_are_among_those_it_may_end_in() {
    for declaration in EndpointSpec::ALL {
        for error in declaration.errors {
            assert!(declaration.faults().any(|kind| kind == *error), "{}", declaration.name());
        }
    }
    assert!(!GET_LOGINS.faults().any(|kind| kind == Kind::CompanyUnknown));
    assert!(SET_LOGIN.faults().any(|kind| kind == Kind::DiskFull));
}
