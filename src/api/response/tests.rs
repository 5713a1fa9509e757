use super::*;
use crate::api::handlers;
use crate::api::list::text;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::interchange;
use crate::store::Record;
use proptest::prelude::*;

fn record() -> impl Strategy<Value = Record> {
    let millis = || 0..=Timestamp::MAX.millis();
    (0..=Cvr::MAX.number(), millis(), millis()).prop_map(|(number, one, other)| Record {
        cvr: Cvr::from_number(number).unwrap(),
        login: LoginSpan::at(Timestamp::from_millis(one).unwrap())
            .merge(LoginSpan::at(Timestamp::from_millis(other).unwrap())),
    })
}

fn dto(record: &Record) -> VirksomhedsLoginDto {
    let time = |time: Timestamp| Tidspunkt(String::from_utf8(time.write().to_vec()).unwrap());
    VirksomhedsLoginDto {
        cvr_nummer: CvrNummer(record.cvr.to_string()),
        tidligste_login_tidspunkt: time(record.login.first()),
        seneste_logintidspunkt: time(record.login.last()),
    }
}

proptest! {
    #[test]
    fn what_is_sent_is_what_serde_makes_of_the_declared_types(
        records in prop::collection::vec(record(), 0..5)
    ) {
        for record in &records {
            let dto = dto(record);
            let mut object = Vec::new();
            interchange::write_object(&mut object, record);
            prop_assert_eq!(&object, &serde_json::to_vec(&dto).unwrap());
            let response = GetVirksomhedsLoginResponseDto { virksomheds_login_dto: dto };
            prop_assert_eq!(handlers::one(record.cvr, record.login), serde_json::to_vec(&response).unwrap());
        }
        let list = GetVirksomhedsLoginResponseDtoCollection {
            virksomheder: VirksomhedsLoginDtoCollection(records.iter().map(dto).collect()),
        };
        prop_assert_eq!(text::whole(&records), serde_json::to_vec(&list).unwrap());
    }
}
