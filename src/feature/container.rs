//! **Containers**: the JSON object or the request in which a value stands. Where that is missing, nothing in it can be:
//! that its values are gone says no more than that it is.

use super::Feature;
use super::hash::HashMap;

/// For each feature the one that says that what it stands in is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Containers {
    /// Requests by method, path and number.
    requests: HashMap<String, usize>,
    /// Objects by address: the feature of their keys' order always has a value.
    objects: HashMap<String, usize>,
    of: Vec<Option<usize>>,
}

impl Containers {
    /// Takes in the features that are new.
    pub(super) fn update(&mut self, features: &[Feature]) {
        let known = self.of.len();
        for (index, feature) in features.iter().enumerate().skip(known) {
            let sent = feature.id.strip_prefix("request ").and_then(|rest| rest.strip_suffix(" presence"));
            if let Some(own) = sent.filter(|own| request(&feature.id) == Some(own)) {
                self.requests.insert(own.to_owned(), index);
            } else if let Some(object) = feature.id.strip_suffix(KEYS) {
                self.objects.insert(object.to_owned(), index);
            }
        }
        let new: Vec<_> =
            features.iter().enumerate().skip(known).map(|(index, feature)| self.find(index, &feature.id)).collect();
        self.of.extend(new);
    }

    /// The nearest object around an address, else its request.
    fn find(&self, index: usize, id: &str) -> Option<usize> {
        let mut objects = id.rmatch_indices('/').filter_map(|(at, _)| self.objects.get(&id[..at]));
        objects.next().or_else(|| self.requests.get(request(id)?)).copied().filter(|found| *found != index)
    }

    /// By feature.
    pub(super) fn of(&self) -> &[Option<usize>] {
        &self.of
    }
}

/// What stands behind an object's address where the order of its keys is meant.
const KEYS: &str = " keys";

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

    fn feature(id: &str) -> Feature {
        Feature { id: id.to_owned(), channel: Channel::Body, place: String::new(), kind: FeatureKind::Text }
    }

    #[test]
    fn a_value_stands_in_the_nearest_object() {
        let features = [
            "request POST /a #0 presence",
            "body POST /a #0 /events/start/data json /cpu value",
            "body POST /a #0 /events/start/data json  keys",
            "body POST /a #0 /events/start keys",
            "body POST /a #0  keys",
            "body POST /a #0 /model line \"a/b\" gap 1",
        ]
        .map(feature);
        let mut containers = Containers::default();
        containers.update(&features);
        assert_eq!(containers.of(), [None, Some(2), Some(3), Some(4), Some(0), Some(4)]);
    }

    #[test]
    fn a_value_stands_in_its_request() {
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
        let expected = [None, None, Some(1), Some(1), Some(5), None, Some(5), None, Some(1)];
        assert_eq!(containers.of(), expected);
    }
}
