//! Patterns of paths and hosts as a load balancer reads them: `*` is any characters, `?` is one.
//!
//! Rule: whether patterns cover or overlap one another is decided exactly, with a word as proof.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

/// A pattern, or a plain word if made by [`Pattern::literal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Letter(char),
    One,
    Many,
}

/// How many parts of a pattern may have been matched so far, in order.
type Places = Vec<usize>;

impl Pattern {
    /// A pattern in which case matters, as it does in paths.
    pub fn new(text: &str) -> Self {
        let part = |letter| match letter {
            '*' => Part::Many,
            '?' => Part::One,
            other => Part::Letter(other),
        };
        Self { text: text.to_owned(), parts: text.chars().map(part).collect() }
    }

    /// A pattern of host names, in which case does not matter.
    pub fn host(text: &str) -> Self {
        Self::new(&text.to_lowercase())
    }

    /// Matches this word alone.
    pub fn literal(word: &str) -> Self {
        Self { text: word.to_owned(), parts: word.chars().map(Part::Letter).collect() }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches this word.
    pub fn matches(&self, word: &str) -> bool {
        let step = |places, letter| self.after(&places, letter);
        self.is_match(&word.chars().fold(self.start(), step))
    }

    /// Whether it matches every word of this other pattern.
    pub fn covers(&self, other: &Self) -> bool {
        witness(&[other], &[self]).is_none()
    }

    /// A shortest word that both match.
    pub fn overlap(&self, other: &Self) -> Option<String> {
        witness(&[self, other], &[])
    }

    /// How many `*` and `?` it has.
    pub fn wildcards(&self) -> usize {
        self.parts.iter().filter(|part| !matches!(part, Part::Letter(_))).count()
    }

    fn start(&self) -> Places {
        self.settled(vec![0])
    }

    /// Adds what `*` lets pass without a letter.
    fn settled(&self, mut places: Places) -> Places {
        let mut n = 0;
        while let Some(place) = places.get(n).copied() {
            if self.parts.get(place) == Some(&Part::Many) && !places.contains(&(place + 1)) {
                places.push(place + 1);
            }
            n += 1;
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    fn after(&self, places: &Places, letter: char) -> Places {
        let next = places.iter().filter_map(|place| match self.parts.get(*place)? {
            Part::Letter(own) => (*own == letter).then_some(place + 1),
            Part::One => Some(place + 1),
            Part::Many => Some(*place),
        });
        self.settled(next.collect())
    }

    fn is_match(&self, places: &Places) -> bool {
        places.last() == Some(&self.parts.len())
    }

    /// Whether every longer word matches too.
    fn is_open(&self, places: &Places) -> bool {
        self.parts.last() == Some(&Part::Many) && self.is_match(places)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A shortest word that all of `within` and none of `outside` match.
///
/// A letter that no pattern of `within` asks for may as well be one that no pattern names at all:
/// it keeps the word within, and helps nobody outside to match it. So few letters need be tried.
pub fn witness(within: &[&Pattern], outside: &[&Pattern]) -> Option<String> {
    let strange = strange(within, outside);
    let start: Vec<Places> = within.iter().chain(outside).map(|pattern| pattern.start()).collect();
    let mut seen = BTreeSet::from([start.clone()]);
    let mut queue = VecDeque::from([(start, String::new())]);
    while let Some((state, word)) = queue.pop_front() {
        let (inside, others) = state.split_at(within.len());
        let dead = inside.iter().any(Vec::is_empty);
        if dead || outside.iter().zip(others).any(|(pattern, at)| pattern.is_open(at)) {
            continue;
        }
        let matched = within.iter().zip(inside).all(|(pattern, at)| pattern.is_match(at));
        if matched && !outside.iter().zip(others).any(|(pattern, at)| pattern.is_match(at)) {
            return Some(word);
        }
        for letter in asked(within, inside).into_iter().chain([strange]) {
            let patterns = within.iter().chain(outside);
            let next: Vec<Places> =
                patterns.zip(&state).map(|(pattern, at)| pattern.after(at, letter)).collect();
            if seen.insert(next.clone()) {
                queue.push_back((next, format!("{word}{letter}")));
            }
        }
    }
    None
}

fn asked(within: &[&Pattern], inside: &[Places]) -> BTreeSet<char> {
    let next = within.iter().zip(inside).flat_map(|(pattern, places)| {
        places.iter().filter_map(|place| match pattern.parts.get(*place) {
            Some(Part::Letter(letter)) => Some(*letter),
            _ => None,
        })
    });
    next.collect()
}

/// A letter that none of them names; a readable one if there is any.
fn strange(within: &[&Pattern], outside: &[&Pattern]) -> char {
    let named = |letter: &char| {
        within.iter().chain(outside).any(|p| p.parts.contains(&Part::Letter(*letter)))
    };
    let readable = ['x', 'y', 'z', 'q', 'w'].into_iter().chain('a'..='z').chain('0'..='9');
    let rare = '\u{e000}'..='\u{f8ff}';
    readable.chain(rare).find(|letter| !named(letter)).unwrap_or('\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of a match, slow and plain.
    fn matches(pattern: &[char], word: &[char]) -> bool {
        match (pattern, word) {
            ([], word) => word.is_empty(),
            (['*', rest @ ..], word) => (0..=word.len()).any(|n| matches(rest, &word[n..])),
            (['?', rest @ ..], [_, tail @ ..]) => matches(rest, tail),
            ([own, rest @ ..], [letter, tail @ ..]) => own == letter && matches(rest, tail),
            (_, []) => false,
        }
    }

    fn is_match(pattern: &str, word: &str) -> bool {
        matches(&pattern.chars().collect::<Vec<_>>(), &word.chars().collect::<Vec<_>>())
    }

    /// Every word of `a`, `b` and a letter that no pattern names, up to six long.
    fn words() -> Vec<String> {
        let mut words = vec![String::new()];
        let mut last = words.clone();
        for _ in 0..6 {
            last = last.iter().flat_map(|w| ["a", "b", "x"].map(|c| format!("{w}{c}"))).collect();
            words.extend(last.iter().cloned());
        }
        words
    }

    fn some() -> impl Strategy<Value = String> {
        "[ab*?]{0,3}"
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn a_witness_matches_and_without_one_no_short_word_does(
            within in prop::collection::vec(some(), 1..3),
            outside in prop::collection::vec(some(), 0..3),
        ) {
            let proves = |word: &str| {
                within.iter().all(|pattern| is_match(pattern, word))
                    && !outside.iter().any(|pattern| is_match(pattern, word))
            };
            let patterns = |texts: &[String]| -> Vec<Pattern> {
                texts.iter().map(|text| Pattern::new(text)).collect()
            };
            let (inside, others) = (patterns(&within), patterns(&outside));
            let found =
                witness(&inside.iter().collect::<Vec<_>>(), &others.iter().collect::<Vec<_>>());
            match found {
                Some(word) => {
                    prop_assert!(proves(&word), "{word}");
                    let shorter = words().into_iter().filter(|w| w.len() < word.len());
                    prop_assert!(shorter.into_iter().all(|w| !proves(&w)), "{word}");
                }
                None => prop_assert!(words().iter().all(|word| !proves(word))),
            }
        }

        #[test]
        fn patterns_that_cover_each_other_match_the_same_words(one in some(), other in some()) {
            let (a, b) = (Pattern::new(&one), Pattern::new(&other));
            let same = words().iter().all(|word| is_match(&one, word) == is_match(&other, word));
            prop_assert_eq!(a.covers(&b) && b.covers(&a), same);
        }
    }

    #[test]
    fn a_pattern_that_ends_with_a_star_takes_what_only_begins_alike() {
        let wide = Pattern::new("/api/posts*");
        assert!(wide.covers(&Pattern::literal("/api/postscript")));
        assert!(wide.covers(&Pattern::new("/api/posts/*")));
        assert!(!Pattern::new("/api/posts/*").covers(&wide));
        assert_eq!(
            Pattern::new("/*/posts").overlap(&Pattern::new("/api/*")).unwrap(),
            "/api/posts"
        );
        assert_eq!(wide.overlap(&Pattern::new("/api/users*")), None);
    }

    #[test]
    fn many_wildcards_are_no_trouble() {
        let long = |text: &str| Pattern::new(&text.repeat(12));
        assert!(long("*a").covers(&Pattern::new(&"?a".repeat(30))));
        assert!(!long("a*").covers(&long("*a")));
    }
}
