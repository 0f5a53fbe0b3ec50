//! Header and trailer fields.

use std::borrow::Cow;

/// A map of header or trailer fields ("header map" in Envoy), in order. Several can have the same name.
/// Names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Vec<u8>, Vec<u8>)>);

impl Headers {
    /// Appends a field.
    pub fn append(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = name.as_ref().to_ascii_lowercase();
        self.0.push((name, value.as_ref().into()));
    }

    /// Replaces all fields of this name by one, in the place of the first.
    pub fn replace(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = name.as_ref().to_ascii_lowercase();
        let place = self.0.iter().position(|(other, _)| *other == name);
        self.0.retain(|(other, _)| *other != name);
        let place = place.unwrap_or(self.0.len());
        self.0.insert(place, (name, value.as_ref().to_vec()));
    }

    /// Removes all fields of this name.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        let name = name.as_ref().to_ascii_lowercase();
        self.0.retain(|(other, _)| *other != name);
    }

    /// The first value of this name.
    pub fn first(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.find(name.as_ref())
    }

    fn find(&self, name: &[u8]) -> Option<&[u8]> {
        // Without closures, which are slow in unoptimized builds.
        for (other, value) in &self.0 {
            if other.len() == name.len() && other.eq_ignore_ascii_case(name) {
                return Some(value);
            }
        }
        None
    }

    /// All values of this name, in order. Bytes that are not UTF-8 are replaced by `U+FFFD`.
    pub fn values(&self, name: &str) -> Vec<Cow<'_, str>> {
        let name = name.to_ascii_lowercase();
        self.0
            .iter()
            .filter(|(other, _)| *other == name.as_bytes())
            .map(|(_, value)| String::from_utf8_lossy(value))
            .collect()
    }

    /// All fields, in order: name, value.
    pub fn bytes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The number in `:status`, as Envoy reads it. `None` if it is not a number.
    pub(crate) fn status(&self) -> Option<u64> {
        let status = std::str::from_utf8(self.first(":status")?).ok()?;
        status.trim_ascii().parse().ok()
    }

    /// All fields, to be changed.
    pub(crate) fn fields_mut(&mut self) -> &mut Vec<(Vec<u8>, Vec<u8>)> {
        &mut self.0
    }

    /// All fields, in order.
    pub(crate) fn into_fields(self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.0
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::default();
        for (name, value) in fields {
            headers.append(name, value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn fields_keep_their_order_and_names_ignore_case() {
        let mut headers = Headers::from_iter([("A", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(headers.values("a"), ["1", "3"]);
        headers.replace("a", "4");
        assert_eq!(headers, Headers::from_iter([("a", "4"), ("b", "2")]));
        headers.replace("C", "5");
        headers.remove("B");
        assert_eq!(headers, Headers::from_iter([("a", "4"), ("c", "5")]));
        assert_eq!(headers.first("b"), None);
    }
}
