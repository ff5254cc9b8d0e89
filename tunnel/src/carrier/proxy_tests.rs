#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::*;

fn proxy(url: &str) -> Proxy {
    url.parse().unwrap()
}

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

fn from(variables: &[(&str, &str)]) -> Proxies {
    Proxies::new(Setting::Environment, |asked| {
        let found = variables.iter().find(|(name, _)| *name == asked);
        found.map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn a_proxy_is_read_from_its_url() {
    for (url, location) in [
        ("http://proxy.example.org:3128", "proxy.example.org:3128"),
        ("HTTP://proxy.example.org:3128/", "proxy.example.org:3128"),
        ("proxy:8080", "proxy:8080"),
        ("http://proxy", "proxy:80"),
        ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080"),
        ("http://[2001:db8::1]", "[2001:db8::1]:80"),
        (" http://a:b@192.0.2.1:1 \n", "192.0.2.1:1"),
    ] {
        assert_eq!(proxy(url).to_string(), location, "{url}");
    }
}

#[test]
fn hostile_urls_are_refused_with_their_reason() {
    for url in [
        "http://",
        "http://:3128",
        "http://h:0",
        "http://h:99999",
        "http://h:+80",
        "http://h:80/path",
        "http://h:80?x",
        "http://h\r\nX: y:80",
        "http://h h:80",
        "http://user@@h:8x",
        "http://a%zz:b@h:80",
        "http://a%:b@h:80",
        "http://a%0d%0a:b@h:80",
        "http://a%3ab:c@h:80",
        "http://:secret@h:80",
        "http://\u{202e}h:80",
    ] {
        assert!(matches!(url.parse::<Proxy>(), Err(ProxyError::Url(_))), "{url:?}");
    }
    assert_eq!("x".repeat(URL_MAX + 1).parse::<Proxy>(), Err(ProxyError::Url("too long")));
    for (url, scheme) in [("socks5://h:1080", "socks5"), ("https://h:443", "https")] {
        assert_eq!(url.parse::<Proxy>(), Err(ProxyError::Scheme(scheme.to_owned())));
    }
    let said = "a\u{1b}[2J://h".parse::<Proxy>().unwrap_err().to_string();
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn a_password_goes_to_the_proxy_and_nowhere_else() {
    let proxy = proxy("http://me%40home:p%3Aw%20d@h:3128");
    let request = proxy.request(&host("manager.example.org"), 443);
    // "me@home:p:w d"
    assert_eq!(
        request.as_str(),
        "CONNECT manager.example.org:443 HTTP/1.1\r\nHost: manager.example.org:443\r\n\
         Proxy-Authorization: Basic bWVAaG9tZTpwOncgZA==\r\n\r\n"
    );
    assert_eq!(format!("{proxy} {proxy:?} {:?}", Setting::Use(proxy.clone())).matches("bWV").count(), 0);
    let bare = "h:1".parse::<Proxy>().unwrap().request(&host("::1"), 8443);
    assert_eq!(bare.as_str(), "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n");
}

#[test]
fn the_answer_of_a_proxy_is_taken_whole_or_not_at_all() {
    let (proxy, known) = (proxy("h:1"), proxy("http://a:b@h:1"));
    let good = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
    for cut in 0..good.len() {
        assert_eq!(proxy.answered(&good[..cut]), Ok(false), "{cut}");
    }
    assert_eq!(proxy.answered(good), Ok(true));
    assert_eq!(proxy.answered(b"HTTP/1.0 200\r\n\r\n"), Ok(true));
    assert_eq!(proxy.answered(b"HTTP/1.1 403 No\r\n\r\nbody"), Err(ProxyError::Refused(403)));
    assert_eq!(proxy.answered(b"HTTP/1.1 302 Go\r\nLocation: /\r\n\r\n"), Err(ProxyError::Refused(302)));
    assert_eq!(proxy.answered(b"HTTP/1.1 407 Who\r\n\r\n"), Err(ProxyError::Unauthorized));
    assert_eq!(known.answered(b"HTTP/1.1 407 Who\r\n\r\n"), Err(ProxyError::WrongCredentials));
    for junk in [
        &b"SSH-2.0-x"[..],
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20x ok\r\n\r\n",
        b"HTTP/1.1 2000 ok\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 999 x\r\n\r\n",
        b"HTTP/1.1 200 ok\r\n\r\nearly",
        b"\r\n\r\n",
    ] {
        assert_eq!(proxy.answered(junk), Err(ProxyError::Protocol), "{:?}", junk.escape_ascii().to_string());
    }
    let endless = [&b"HTTP/1.1 200 ok\r\n"[..], &[b'a'; ANSWER_MAX]].concat();
    assert_eq!(proxy.answered(&endless), Err(ProxyError::Protocol));
}

#[test]
fn the_environment_is_asked_in_its_order() {
    let manager = host("manager.example.org");
    let location = |proxies: &Proxies| proxies.towards(&manager).unwrap().map(ToString::to_string);
    assert_eq!(location(&from(&[])), None);
    assert_eq!(location(&from(&[("http_proxy", "h:1")])), None, "that is for http://");
    assert_eq!(location(&from(&[("ALL_PROXY", "h:1")])), Some("h:1".to_owned()));
    assert_eq!(
        location(&from(&[("ALL_PROXY", "h:1"), ("HTTPS_PROXY", "h:2"), ("https_proxy", " ")])),
        Some("h:2".to_owned())
    );
    let chosen = |text: &str| Proxies::new(text.parse().unwrap(), |_| Some("environment:1".to_owned()));
    assert_eq!(location(&chosen("off")), None);
    assert_eq!(location(&chosen("http://mine:3")), Some("mine:3".to_owned()));
    assert!(chosen("mine:3").towards(&host("::1")).unwrap().is_some(), "what is set is set");
}

#[test]
fn a_proxy_that_cannot_be_used_is_an_error_only_where_it_is_needed() {
    let proxies = from(&[("ALL_PROXY", "socks5://h:1080"), ("no_proxy", "example.org")]);
    assert_eq!(proxies.towards(&host("manager.example.org")), Ok(None));
    assert_eq!(proxies.towards(&host("localhost")), Ok(None));
    let said = proxies.towards(&host("manager.example.net")).unwrap_err().to_string();
    assert!(said.contains("ALL_PROXY") && said.contains("socks5"), "{said}");
}

#[test]
fn exceptions_are_names_with_what_is_below_them_addresses_and_networks() {
    let proxied = |list: &str, name: &str| {
        let proxies = from(&[("https_proxy", "h:1"), ("NO_PROXY", list)]);
        proxies.towards(&host(name)).unwrap().is_some()
    };
    for (list, name) in [
        ("*", "anything.example.org"),
        ("*", "192.0.2.1"),
        ("example.org", "example.org"),
        ("other, Example.ORG", "manager.example.org"),
        (".example.org", "manager.example.org."),
        ("*.example.org", "manager.example.org"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.77"),
        ("0.0.0.0/0", "198.51.100.1"),
        ("2001:db8::/32", "2001:db8:1::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("", "127.0.0.1"),
        ("", "localhost"),
    ] {
        assert!(!proxied(list, name), "{list} {name}");
    }
    for (list, name) in [
        ("", "example.org"),
        ("example.org", "notexample.org"),
        ("example.org", "example.org.evil"),
        (".", "example.org"),
        ("192.0.2.0/24", "192.0.3.1"),
        ("192.0.2.0/33", "192.0.2.1"),
        ("192.0.2.0/-1", "192.0.2.1"),
        ("0.0.0.0/0", "2001:db8::1"),
        ("2.1", "192.0.2.1"),
    ] {
        assert!(proxied(list, name), "{list} {name}");
    }
    let long = format!("{}\u{e4}example.org", ",".repeat(EXCEPTIONS_MAX - 1));
    assert!(proxied(&long, "example.org"));
}
