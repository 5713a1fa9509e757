use super::*;
use crate::api::handlers;
use crate::api::list::text;
use crate::domain::login_span::LoginSpan;
use crate::interchange;
use proptest::prelude::*;

fn record() -> impl Strategy<Value = Record> {
    let millis = || 0..=Timestamp::MAX.millis();
    (0..=Cvr::MAX.number(), millis(), millis()).prop_map(|(number, one, other)| Record {
        cvr: Cvr::from_number(number).unwrap(),
        login: LoginSpan::at(Timestamp::from_millis(one).unwrap())
            .merge(LoginSpan::at(Timestamp::from_millis(other).unwrap())),
    })
}

proptest! {
    #[test]
    fn what_is_sent_is_what_serde_makes_of_the_declared_types(
        records in prop::collection::vec(record(), 0..5)
    ) {
        for record in &records {
            let dto = VirksomhedsLoginDto::from(record);
            let mut object = Vec::new();
            interchange::write_object(&mut object, record);
            prop_assert_eq!(&object, &serde_json::to_vec(&dto).unwrap());
            let response = GetVirksomhedsLoginResponseDto { virksomheds_login_dto: dto };
            prop_assert_eq!(handlers::one(record.cvr, record.login), serde_json::to_vec(&response).unwrap());
        }
        let list = GetVirksomhedsLoginResponseDtoCollection {
            virksomheder: VirksomhedsLoginDtoCollection(records.iter().map(Into::into).collect()),
        };
        prop_assert_eq!(text::whole(&records), serde_json::to_vec(&list).unwrap());
    }
}
