//! A name replaced in a text.

use super::name::Name;

/// The text with another name in place of each that is a word of its own: `a-b` is in `a-b-c` and
/// in `a_b::c`, and not in `ba-b`.
pub fn replace(text: &str, from: &Name, to: &Name) -> String {
    let [kebab, snake, shouty, pascal] = from.spellings();
    let new = to.spellings();
    let old = [&kebab, &snake, &shouty, &pascal];
    let mut replaced = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let starts = !before.is_some_and(char::is_alphanumeric);
        let found = old.iter().zip(&new).find_map(|(old, new)| {
            let after = rest.strip_prefix(old.as_str()).filter(|_| starts)?;
            ends(after, *old == &pascal).then_some((new, after))
        });
        if let Some((new, after)) = found {
            replaced.push_str(new);
            // A name ends with a letter or a digit, whichever.
            before = Some('a');
            rest = after;
        } else {
            replaced.push(first);
            before = Some(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    replaced
}

/// Whether a word ends before this. In a type's name, another word may follow: `MyNameError`.
fn ends(after: &str, is_type: bool) -> bool {
    let next = after.chars().next();
    !next.is_some_and(|next| next.is_alphanumeric() && !(is_type && next.is_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_replaced(from: &str, to: &str, text: &str, expected: &str) {
        let [from, to] = [from, to].map(|name| Name::new(name).expect("a name"));
        assert_eq!(replace(text, &from, &to), expected);
        assert_eq!(replace(expected, &to, &from), text, "back again");
    }

    #[test]
    fn each_spelling_gets_its_own() {
        assert_replaced(
            "add-it",
            "c-d-e",
            "add-it add-it-fuzz x/add-it:0.1 add_it::A add_it.wasm ADD_IT_LIMIT AddIt AddItError",
            "c-d-e c-d-e-fuzz x/c-d-e:0.1 c_d_e::A c_d_e.wasm \
             C_D_E_LIMIT CDE CDEError",
        );
    }

    #[test]
    fn a_part_of_another_word_stays() {
        assert_replaced(
            "add-it",
            "c-d",
            "badd-it add-its add_it2 éadd-it AddItems addit",
            "badd-it add-its add_it2 éadd-it AddItems addit",
        );
        assert_replaced("app", "c", "append app's app", "append c's c");
    }

    #[test]
    fn one_name_may_contain_the_other() {
        assert_replaced("a-b", "a-b-c", "a-b a-b-fuzz", "a-b-c a-b-c-fuzz");
        assert_replaced("a-b-a-b", "a-b", "a-b-a-b a-b-a-b-d", "a-b a-b-d");
    }
}
