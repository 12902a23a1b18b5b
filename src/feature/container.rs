//! **Containers**: the request in which a value stands. Where the request is not sent, nothing in it can be: that its values
//! are gone says no more than that the request is.

use super::Feature;
use super::hash::HashMap;

/// For each feature the one that says that its request was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Containers {
    requests: HashMap<String, usize>,
    of: Vec<Option<usize>>,
}

impl Containers {
    /// Takes in the features that are new.
    pub(super) fn update(&mut self, features: &[Feature]) {
        for (index, feature) in features.iter().enumerate().skip(self.of.len()) {
            let request = request(&feature.id);
            let own = request.filter(|_| feature.id.starts_with("request ") && feature.id.ends_with(" presence"));
            if let Some(own) = own.filter(|own| feature.id.len() == "request ".len() + own.len() + " presence".len()) {
                self.requests.insert(own.to_owned(), index);
                self.of.push(None);
            } else {
                self.of.push(request.and_then(|request| self.requests.get(request)).copied());
            }
        }
    }

    /// By feature.
    pub(super) fn of(&self) -> &[Option<usize>] {
        &self.of
    }
}

/// The request that a feature's address names: method, path and number.
fn request(id: &str) -> Option<&str> {
    let rest = ["body ", "header ", "request "].into_iter().find_map(|channel| id.strip_prefix(channel))?;
    let mut words = rest.split(' ');
    let (method, path, number) = (words.next()?, words.next()?, words.next()?);
    number.strip_prefix('#').filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))?;
    rest.get(..method.len() + path.len() + number.len() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{Channel, FeatureKind};

    #[test]
    fn a_value_stands_in_its_request() {
        let feature = |id: &str| Feature {
            id: id.to_owned(),
            channel: Channel::Body,
            place: String::new(),
            kind: FeatureKind::Text,
        };
        let features = [
            "stdout",
            "request POST /a #0 presence",
            "request POST /a #0",
            "body POST /a #0 /x value",
            "header POST /a #1 accept",
            "request POST /a #1 presence",
            "header POST /a #1 accept",
            "request order",
            "request POST /a #0 host presence",
        ]
        .map(feature);
        let mut containers = Containers::default();
        containers.update(&features[..4]);
        containers.update(&features);
        let expected = [None, None, Some(1), Some(1), None, None, Some(5), None, Some(1)];
        assert_eq!(containers.of(), expected);
    }
}
