use std::hint::black_box;

use onering_ids::EventId;

use crate::samples::event_id;
use crate::{Prepared, routine};

pub(super) fn format() -> Prepared {
    routine(|| black_box(event_id()).to_string())
}

pub(super) fn parse() -> Prepared {
    let text = event_id().to_string();
    routine(move || black_box(&text).parse::<EventId>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_id_are_the_same() {
        let text = event_id().to_string();
        assert_eq!(format().unwrap().show(), format!("{text:?}"));
        assert_eq!(parse().unwrap().show(), format!("Ok({text})"));
    }
}
