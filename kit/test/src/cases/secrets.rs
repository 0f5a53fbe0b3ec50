//! Replaces secrets in what is recorded.

use crate::headers::Headers;
use crate::message::Message;

/// A shorter secret is replaced only in its own header: it might be a part of any text.
const MIN_LENGTH: usize = 6;

/// The secrets of recorded messages, and what replaces them.
#[derive(Debug, Default)]
pub struct Secrets(Vec<(Vec<u8>, String)>);

impl Secrets {
    /// The secrets in these messages: what follows the scheme of `authorization`, and the values of
    /// cookies.
    pub fn of<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Self {
        let mut secrets = Self::default();
        for message in messages {
            for (name, value) in message.headers.bytes() {
                for secret in in_header(name, value) {
                    secrets.add(secret);
                }
            }
        }
        // A secret may be a part of another one.
        secrets
            .0
            .sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        secrets
    }

    fn add(&mut self, secret: &[u8]) {
        let is_known = self.0.iter().any(|(known, _)| known == secret);
        if !secret.is_empty() && !is_known {
            let name = format!("secret-{}", self.0.len() + 1);
            self.0.push((secret.to_vec(), name));
        }
    }

    /// A message without secrets.
    pub fn replace(&self, message: &Message) -> Message {
        Message {
            headers: self.replace_fields(&message.headers),
            body: self.replace_long(&message.body),
            trailers: self.replace_fields(&message.trailers),
            is_complete: message.is_complete,
        }
    }

    fn replace_fields(&self, fields: &Headers) -> Headers {
        let fields = fields.bytes();
        let fields = fields.map(|(name, value)| (name, self.replace_field(name, value)));
        fields.collect()
    }

    fn replace_field(&self, name: &[u8], value: &[u8]) -> Vec<u8> {
        let is_secret = !in_header(name, value).is_empty();
        self.replace_from(value, if is_secret { 1 } else { MIN_LENGTH })
    }

    /// Replaces secrets of at least [`MIN_LENGTH`] bytes.
    fn replace_long(&self, text: &[u8]) -> Vec<u8> {
        self.replace_from(text, MIN_LENGTH)
    }

    /// Replaces secrets of at least this length.
    fn replace_from(&self, text: &[u8], min_length: usize) -> Vec<u8> {
        let mut replaced = Vec::new();
        let mut rest = text;
        while let [first, after @ ..] = rest {
            let mut secrets = self.0.iter();
            let found =
                secrets.find(|(secret, _)| secret.len() >= min_length && rest.starts_with(secret));
            match found {
                Some((secret, replacement)) => {
                    replaced.extend_from_slice(replacement.as_bytes());
                    rest = rest.get(secret.len()..).unwrap_or_default();
                }
                None => {
                    replaced.push(*first);
                    rest = after;
                }
            }
        }
        replaced
    }
}

/// The secrets in the value of a header.
fn in_header<'a>(name: &[u8], value: &'a [u8]) -> Vec<&'a [u8]> {
    match name {
        b"authorization" => {
            let space = value.iter().position(|byte| *byte == b' ');
            let start = space.map_or(0, |space| space + 1);
            vec![value.get(start..).unwrap_or_default()]
        }
        b"cookie" => value
            .split(|byte| *byte == b';')
            .map(cookie_value)
            .collect(),
        b"set-cookie" => value
            .split(|byte| *byte == b';')
            .take(1)
            .map(cookie_value)
            .collect(),
        _ => Vec::new(),
    }
}

/// What follows the name of a cookie.
fn cookie_value(pair: &[u8]) -> &[u8] {
    let equals = pair.iter().position(|byte| *byte == b'=');
    let start = equals.map_or(0, |equals| equals + 1);
    pair.get(start..).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: &[(&str, &str)], body: &str) -> Message {
        Message {
            headers: headers.iter().copied().collect(),
            body: body.into(),
            trailers: Headers::default(),
            is_complete: true,
        }
    }

    #[test]
    fn secrets_are_replaced_wherever_they_occur() {
        let request = message(
            &[
                ("authorization", "Bearer abcdef"),
                ("cookie", "a=1; b=sessionid"),
                ("x-copy", "abcdef!"),
            ],
            "token=abcdef a=1",
        );
        let response = message(&[("set-cookie", "c=new-session; Path=/")], "sessionid");
        let secrets = Secrets::of([&request, &response]);
        let request = secrets.replace(&request);
        let values = |name: &str| request.headers.values(name).concat();
        assert_eq!(values("authorization"), "Bearer secret-1");
        assert_eq!(values("cookie"), "a=secret-2; b=secret-3");
        assert_eq!(values("x-copy"), "secret-1!");
        assert_eq!(request.body, b"token=secret-1 a=1");
        let response = secrets.replace(&response);
        assert_eq!(
            response.headers.values("set-cookie"),
            ["c=secret-4; Path=/"]
        );
        assert_eq!(response.body, b"secret-3");
    }

    #[test]
    fn authorization_without_a_scheme_is_a_secret() {
        let request = message(&[("authorization", "abc")], "abc");
        let replaced = Secrets::of([&request]).replace(&request);
        assert_eq!(replaced.headers.values("authorization"), ["secret-1"]);
    }
}
