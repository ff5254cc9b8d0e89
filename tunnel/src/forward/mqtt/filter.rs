//! Topics and topic filters: which are well formed, what a filter matches, and which filter is part of
//! another.
//!
//! A subscription is allowed when everything it could match is matched by one granted filter
//! ([`is_subset`]); that is decided by the two filters alone, never by the topics that happen to exist. A
//! filter that begins with a wildcard matches no topic that begins with `$` (MQTT 5, 4.7.2), so `#` does
//! not hold `$SYS/#`. A shared subscription is judged by the filter within it ([`unshared`]).
//!
//! All of it is linear in the length of its arguments: there is no backtracking to provoke.

/// What comes before the group of a shared subscription.
const SHARED: &str = "$share/";

/// Whether `topic` can be published to: not empty, no wildcards, no NUL.
pub fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// Whether `filter` is well formed: `+` is a whole level, `#` the whole last one.
pub fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.contains('\0') {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let fits = match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            name => !name.contains(['+', '#']),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// The filter that a subscription is judged by: of a shared one the part after the group. `None` when it
/// is not well formed.
pub fn unshared(filter: &str) -> Option<&str> {
    let inner = match filter.strip_prefix(SHARED) {
        Some(rest) => {
            let (group, inner) = rest.split_once('/')?;
            if group.is_empty() || group.contains(['+', '#']) {
                return None;
            }
            inner
        }
        None => filter,
    };
    is_filter(inner).then_some(inner)
}

/// Whether `filter` matches `topic`. Both are well formed.
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && starts_wild(filter) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            // It stands for any number of levels, none included.
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            (Some(_) | None, _) => return false,
        }
    }
}

/// Whether every topic that `filter` matches is matched by `granted` too. Both are well formed.
pub fn is_subset(filter: &str, granted: &str) -> bool {
    if filter.starts_with('$') && starts_wild(granted) {
        return false;
    }
    // Below these two there would be a topic without characters, and there is none: they mean the same.
    let filter = match filter {
        "#" => "+/#",
        "/#" => "/+/#",
        other => other,
    };
    let (mut filter, mut granted) = (filter.split('/'), granted.split('/'));
    loop {
        match (filter.next(), granted.next()) {
            (_, Some("#")) | (None, None) => return true,
            // `a/+/#` holds `a/b` and not `a`, so it does not hold `a/#`.
            (Some(wanted), Some("+")) if wanted != "#" => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            (Some(_) | None, _) => return false,
        }
    }
}

fn starts_wild(filter: &str) -> bool {
    filter.starts_with(['+', '#'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_match_as_the_specification_says() {
        // The examples of MQTT 5, 4.7.1.
        for (filter, topic) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("#", "sport"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("$SYS/#", "$SYS/broker"),
            ("a/+", "a/$b"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("sport/+", "sport"),
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("+", "/finance"),
            ("#", "$SYS/broker"),
            ("+/broker", "$SYS/broker"),
            ("Sport", "sport"),
            ("a/b", "a"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn a_filter_broader_than_the_grant_is_no_part_of_it() {
        for wanted in
            ["sensors/#", "#", "sensors/+/+", "sensors/+/#", "+/+/temp", "sensors/a/hum", "$SYS/a/temp"]
        {
            assert!(!is_subset(wanted, "sensors/+/temp"), "{wanted}");
        }
        for wanted in ["sensors/+/temp", "sensors/a/temp", "sensors//temp"] {
            assert!(is_subset(wanted, "sensors/+/temp"), "{wanted}");
        }
        assert!(!is_subset("$SYS/#", "#") && !is_subset("$SYS/a", "+/a"));
        assert!(is_subset("#", "+/#") && is_subset("a", "a/#") && !is_subset("a/#", "a/+/#"));
    }

    #[test]
    fn a_shared_subscription_is_judged_by_what_is_shared() {
        assert_eq!(unshared("$share/g/sensors/#"), Some("sensors/#"));
        assert_eq!(unshared("$share/g/$share/h/a"), Some("$share/h/a"));
        assert_eq!(unshared("$share/g//"), Some("/"));
        assert_eq!(unshared("a/$share/g"), Some("a/$share/g"));
        for bad in
            ["$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/#", "$share/g/a#", ""]
        {
            assert_eq!(unshared(bad), None, "{bad}");
        }
        // What a broker takes for a shared subscription is spelled so and not otherwise.
        assert!(!is_subset("$SHARE/g/a", "#") && !is_subset("$queue/a", "#"));
    }

    #[test]
    fn wildcards_stand_alone() {
        for good in ["#", "+", "/", "a/+/b", "+/#", "a//#"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "a#", "#/a", "a+", "a/+b/c", "a/#/", "##", "\0"] {
            assert!(!is_filter(bad), "{bad}");
        }
        assert!(is_topic("/") && is_topic("$SYS") && !is_topic("") && !is_topic("a/+") && !is_topic("a\0"));
    }

    const LEVELS: [&str; 4] = ["a", "b", "$c", ""];

    /// Longest filter of the comparison; topics go one level further.
    const DEPTH: usize = 3;

    /// Filters over a small alphabet.
    fn a_filter() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["a", "b", "$c", "", "+", "+"]);
        (
            prop::collection::vec(level, 0..DEPTH),
            any::<bool>(),
            prop::sample::select(vec!["a", "+", "$c", "b"]),
        )
            .prop_map(|(mut levels, all, last)| {
                levels.push(if all { "#" } else { last });
                levels.join("/")
            })
    }

    /// Every topic over it.
    fn all_topics() -> Vec<String> {
        let mut topics: Vec<String> = LEVELS.map(str::to_owned).into();
        let mut longest = topics.clone();
        for _ in 0..DEPTH {
            longest = longest.iter().flat_map(|head| LEVELS.map(|level| format!("{head}/{level}"))).collect();
            topics.extend(longest.iter().cloned());
        }
        topics.retain(|topic| !topic.is_empty());
        topics
    }

    /// Written for the eye: levels as lists, recursion, no shortcut.
    fn plainly(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            ([], []) => true,
            (["#"], _) => true,
            (["+", filter @ ..], [_, topic @ ..]) => plainly(filter, topic),
            ([wanted, filter @ ..], [level, topic @ ..]) => wanted == level && plainly(filter, topic),
            _ => false,
        }
    }

    fn brute(filter: &str, topic: &str) -> bool {
        let hidden = topic.starts_with('$') && !filter.starts_with('$');
        let (filter, topic): (Vec<&str>, Vec<&str>) =
            (filter.split('/').collect(), topic.split('/').collect());
        !hidden && plainly(&filter, &topic)
    }

    /// Every filter over it.
    fn all_filters() -> Vec<String> {
        let (mut filters, mut fronts) = (Vec::new(), vec![String::new()]);
        for _ in 0..DEPTH {
            filters.extend(fronts.iter().map(|front| format!("{front}#")));
            let named = ["a", "b", "$c", "", "+"];
            filters.extend(fronts.iter().flat_map(|front| named.map(|level| format!("{front}{level}"))));
            fronts = fronts.iter().flat_map(|front| named.map(|level| format!("{front}{level}/"))).collect();
        }
        filters.retain(|filter| !filter.is_empty());
        filters
    }

    #[test]
    fn every_pair_of_short_filters_is_judged_as_a_brute_force_matcher_does() {
        let topics = all_topics();
        let filters: Vec<(String, Vec<bool>)> = all_filters()
            .into_iter()
            .map(|filter| {
                let found = topics.iter().map(|topic| brute(&filter, topic)).collect();
                (filter, found)
            })
            .collect();
        assert_eq!(filters.len(), 6 * 31 - 1);
        for (filter, found) in &filters {
            for (granted, allowed) in &filters {
                let part = found.iter().zip(allowed).all(|(found, allowed)| !found || *allowed);
                assert_eq!(is_subset(filter, granted), part, "{filter} in {granted}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_part_of_a_filter_is_what_a_brute_force_matcher_finds(filter in a_filter(), granted in a_filter()) {
            let topics = all_topics();
            let mut part = true;
            for topic in &topics {
                let (one, other) = (brute(&filter, topic), brute(&granted, topic));
                prop_assert_eq!(matches(&filter, topic), one, "{} {}", filter, topic);
                part &= !one || other;
            }
            prop_assert_eq!(is_subset(&filter, &granted), part, "{} in {}", filter, granted);
        }

        #[test]
        fn any_text_is_judged_without_a_panic(one in ".{0,20}", other in "[a+#/$]{0,12}") {
            let _ = (is_subset(&one, &other), matches(&other, &one), unshared(&one), unshared(&other));
        }
    }
}
