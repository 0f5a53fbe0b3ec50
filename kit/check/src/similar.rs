//! Similar words, for typing errors.

/// The known word that is most similar to another one.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // A long word is not similar to any known word, and comparing it would take too long.
    if word.len() > 32 {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|known| (distance(&lower, &known.to_lowercase()), *known))
        .filter(|(distance, known)| *distance * 2 <= known.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The number of letters that have to be inserted, removed, replaced, or swapped with the next one.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    let mut last = None;
    for (row, letter) in one.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, known) in other.iter().enumerate() {
            let left = current.last().copied().unwrap_or_default() + 1;
            let up = above.get(column + 1).copied().unwrap_or_default() + 1;
            let across = above.get(column).copied().unwrap_or_default();
            let mut least = left.min(up).min(across + usize::from(letter != *known));
            let swapped = column
                .checked_sub(1)
                .and_then(|neighbour| Some((other.get(neighbour)?, before.get(neighbour)?)));
            if let Some((neighbour, cost)) = swapped
                && last == Some(*known)
                && *neighbour == letter
            {
                least = least.min(cost + 1);
            }
            current.push(least);
        }
        last = Some(letter);
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or_default()
}
