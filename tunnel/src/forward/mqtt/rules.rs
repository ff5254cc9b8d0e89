//! What one caller may do, and what is put in place of what it says.

use super::filter;

/// The grants of one capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    /// Everything.
    All,
    /// What these filters hold; nothing when there are none.
    Within(Vec<String>),
}

/// The rules for one connection.
#[derive(Debug)]
pub struct Rules<'a> {
    /// What may be published, the will included.
    pub publish: Granted,
    /// What may be subscribed, and so what is delivered.
    pub subscribe: Granted,
    /// What is put behind a client id, so that it is this caller's alone.
    pub suffix: Option<String>,
    /// User name and password for the broker, in place of the client's.
    pub login: Option<(&'a str, &'a str)>,
}

impl Granted {
    /// Whether there is anything it does not hold.
    pub fn limited(&self) -> bool {
        *self != Self::All
    }

    /// Whether a message may have `topic`.
    pub fn holds_topic(&self, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::Within(filters) => filters.iter().any(|granted| filter::matches(granted, topic)),
        }
    }

    /// Whether everything that `wanted` matches is within one of the filters.
    pub fn holds_filter(&self, wanted: &str) -> bool {
        match self {
            Self::All => true,
            Self::Within(filters) => filters.iter().any(|granted| filter::is_subset(wanted, granted)),
        }
    }

    /// The grants that `filters` name. One that is no filter grants nothing.
    pub fn within<'f>(filters: impl IntoIterator<Item = &'f str>) -> Self {
        let filters = filters.into_iter().filter(|text| filter::is_filter(text));
        Self::Within(filters.map(str::to_owned).collect())
    }
}

impl Rules<'_> {
    /// The client id that the broker is told. An empty one stays: the broker makes one up, or refuses the
    /// client, by its own rules. So does one that has the suffix already, which is what a client says that
    /// was told its id by the broker.
    pub(super) fn client_id(&self, said: &str) -> String {
        match &self.suffix {
            Some(suffix) if !said.is_empty() && !said.ends_with(suffix.as_str()) => format!("{said}{suffix}"),
            Some(_) | None => said.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_holds_what_one_of_its_filters_holds() {
        let granted = Granted::within(["sensors/+/temp", "door", "not/#/one"]);
        assert!(granted.holds_topic("door") && granted.holds_topic("sensors/a/temp"));
        assert!(!granted.holds_topic("not/a/one") && !granted.holds_topic("$SYS/a/temp"));
        assert!(granted.holds_filter("sensors/+/temp") && !granted.holds_filter("sensors/#"));
        assert!(!Granted::within([]).holds_topic("a") && Granted::All.holds_filter("$SYS/#"));
        // Two filters that hold it together do not count.
        assert!(!Granted::within(["a", "a/+/#"]).holds_filter("a/#"));
    }

    #[test]
    fn an_id_is_made_the_callers_own_once() {
        let rules = Rules {
            publish: Granted::All,
            subscribe: Granted::All,
            suffix: Some("-k3jx".to_owned()),
            login: None,
        };
        assert_eq!(rules.client_id("phone"), "phone-k3jx");
        assert_eq!(rules.client_id("phone-k3jx"), "phone-k3jx");
        assert_eq!(rules.client_id(""), "");
    }
}
