//! UPnP's Internet Gateway Device as texts: what most home routers speak.
//!
//! A search (SSDP) finds the URL of a description, the description names the URL of a service, and that takes
//! requests (SOAP). Everything after the search is said to the default router alone: an answer that leads to
//! another host is refused, so that no neighbour can send this machine to ask somewhere else.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use roxmltree::{Document, Node, ParsingOptions};

/// Where routers hear searches: this group, and this port.
pub const SEARCH: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900);

/// Longest description or answer that is read, in bytes.
pub const TEXT_MAX: usize = 128 * 1024;

/// Most elements of a description that are looked at.
const NODES_MAX: u32 = 8 * 1024;

/// What may be asked to map, best first.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/// Only mappings without an end are made.
pub const ONLY_PERMANENT: u16 = 725;

/// Another machine has that external port.
pub const CONFLICT: u16 = 718;

/// Somewhere at the router, by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// TCP port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

/// A service that maps ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where it takes requests.
    pub at: At,
    /// Its type.
    pub kind: &'static str,
}

/// The search.
pub fn search() -> String {
    format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: {SEARCH}\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
         ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
    )
}

/// Where `gateway` says that its description is, in an answer to the search.
pub fn description_at(answer: &[u8], gateway: Ipv4Addr) -> Option<At> {
    let text = str::from_utf8(answer).ok()?;
    let mut lines = text.lines();
    let found = lines.next()?.split_ascii_whitespace().nth(1) == Some("200");
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    };
    let location = lines.find_map(header).filter(|_| found)?;
    resolve(&location, gateway, None)
}

/// The service that a description, read at `at`, names.
pub fn service(description: &str, at: &At, gateway: Ipv4Addr) -> Option<Service> {
    let document = parse(description)?;
    let base = text_of(document.root_element(), "URLBase").and_then(|base| resolve(&base, gateway, None));
    let base = base.as_ref().unwrap_or(at);
    let of_kind = |kind: &'static str| {
        let services = document.descendants().filter(|node| node.has_tag_name_of("service"));
        let mut fitting = services.filter(move |node| text_of(*node, "serviceType").as_deref() == Some(kind));
        let control = text_of(fitting.next()?, "controlURL")?;
        Some(Service { at: resolve(&control, gateway, Some(base))?, kind })
    };
    SERVICES.into_iter().find_map(of_kind)
}

/// The body of a request, and its `SOAPACTION`.
pub fn request(service: &Service, action: &str, arguments: &[(&str, String)]) -> (String, String) {
    // Numbers, addresses and our own words: nothing that XML would read otherwise.
    let arguments = arguments.iter().map(|(name, value)| format!("<{name}>{value}</{name}>"));
    let body = format!(
        "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
         <u:{action} xmlns:u=\"{kind}\">{arguments}</u:{action}></s:Body></s:Envelope>\r\n",
        kind = service.kind,
        arguments = arguments.collect::<String>(),
    );
    (body, format!("\"{}#{action}\"", service.kind))
}

/// What to say to map an external port to `client` for `lifetime`; zero is for ever.
pub fn add(client: SocketAddrV4, external: u16, lifetime: Duration) -> Vec<(&'static str, String)> {
    let mut arguments = remove(external);
    arguments.extend([
        ("NewInternalPort", client.port().to_string()),
        ("NewInternalClient", client.ip().to_string()),
        ("NewEnabled", "1".to_owned()),
        ("NewPortMappingDescription", "coco".to_owned()),
        ("NewLeaseDuration", lifetime.as_secs().to_string()),
    ]);
    arguments
}

/// What to say to take it back.
pub fn remove(external: u16) -> Vec<(&'static str, String)> {
    vec![
        ("NewRemoteHost", String::new()),
        ("NewExternalPort", external.to_string()),
        ("NewProtocol", "UDP".to_owned()),
    ]
}

/// The external address in an answer.
pub fn external_address(answer: &str) -> Option<Ipv4Addr> {
    text_of(parse(answer)?.root_element(), "NewExternalIPAddress")?.parse().ok()
}

/// Why the service refused.
pub fn error_code(answer: &str) -> Option<u16> {
    text_of(parse(answer)?.root_element(), "errorCode")?.parse().ok()
}

fn parse(text: &str) -> Option<Document<'_>> {
    // Some routers end their texts with zero bytes.
    let text = text.trim_end_matches('\0').trim();
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).ok()
}

/// The text of the first element of that name inside.
fn text_of(node: Node<'_, '_>, name: &str) -> Option<String> {
    let found = node.descendants().find(|node| node.has_tag_name_of(name))?;
    Some(found.text()?.trim().to_owned())
}

trait Named {
    /// Whether it is an element of that name, in whatever name space: routers disagree about those.
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl Named for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// `url` if it leads to the router; one without a host is taken from `base`.
fn resolve(url: &str, gateway: Ipv4Addr, base: Option<&At>) -> Option<At> {
    if let Some(rest) = url.strip_prefix("http://") {
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match host.split_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
            None => (host, 80),
        };
        let path = if path.is_empty() { "/" } else { path };
        let path = plain(path)?.to_owned();
        return (host.parse() == Ok(gateway)).then_some(At { port, path });
    }
    let base = base?;
    if url.contains("://") {
        return None;
    }
    let folder = base.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if url.starts_with('/') { url.to_owned() } else { format!("{folder}/{url}") };
    Some(At { port: base.port, path: plain(&path)?.to_owned() })
}

/// A path that can stand in a request.
fn plain(path: &str) -> Option<&str> {
    path.bytes().all(|byte| byte.is_ascii_graphic()).then_some(path)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    fn at(port: u16, path: &str) -> At {
        At { port, path: path.to_owned() }
    }

    fn described(kind: &str, base: &str, control: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\">{base}<device><deviceList>\
             <device><serviceList><service><serviceType>urn:x:service:Other:1</serviceType>\
             <controlURL>/no</controlURL></service><service><serviceType>{kind}</serviceType>\
             <controlURL> {control} </controlURL></service></serviceList></device></deviceList></device></root>\0"
        )
    }

    #[test]
    fn the_router_says_where_its_description_is() {
        let answer = b"HTTP/1.1 200 OK\r\nST: x\r\nLocation: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n";
        assert_eq!(description_at(answer, ROUTER), Some(at(5000, "/rootDesc.xml")));
        for other in [
            "HTTP/1.1 404 No\r\nLOCATION: http://192.168.1.1/x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.2/x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1@169.254.169.254/x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nLOCATION: https://192.168.1.1/x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1:0/x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1/a b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "",
        ] {
            assert_eq!(description_at(other.as_bytes(), ROUTER), None, "{other}");
        }
    }

    #[test]
    fn a_description_names_the_service_however_it_spells_the_place() {
        let read_at = at(5000, "/dir/desc.xml");
        let base = "<URLBase>http://192.168.1.1:80/</URLBase>";
        for (base, control, found) in [
            ("", "/ctl/IP", at(5000, "/ctl/IP")),
            ("", "ctl/IP", at(5000, "/dir/ctl/IP")),
            ("", "http://192.168.1.1:49152/ctl", at(49152, "/ctl")),
            (base, "ctl", at(80, "/ctl")),
        ] {
            let text = described(SERVICES[1], base, control);
            let service = service(&text, &read_at, ROUTER).unwrap();
            assert_eq!((service.at, service.kind), (found, SERVICES[1]), "{control}");
        }
    }

    #[test]
    fn no_description_leads_to_another_host_or_beyond_bounds() {
        let read_at = at(5000, "/d");
        for text in [
            described(SERVICES[0], "", "http://192.168.1.2/ctl"),
            described(SERVICES[0], "", "ftp://192.168.1.1/ctl"),
            described("urn:other", "", "/ctl"),
            "<root>".to_owned(),
            "<!DOCTYPE x [<!ENTITY a \"b\">]><root>&a;</root>".to_owned(),
            "<a>".repeat(TEXT_MAX / 3),
            format!("<a>{}</a>", "<b/>".repeat(TEXT_MAX / 8)),
            format!("{}{}", "<a>".repeat(8000), "</a>".repeat(8000)),
        ] {
            assert_eq!(service(&text, &read_at, ROUTER), None, "{}", &text[..text.len().min(80)]);
        }
    }

    #[test]
    fn a_request_says_it_all() {
        let service = Service { at: at(80, "/ctl"), kind: SERVICES[1] };
        let client = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 7), 4433);
        let (body, action) =
            request(&service, "AddPortMapping", &add(client, 8888, Duration::from_secs(7200)));
        assert_eq!(action, "\"urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping\"");
        for part in [
            "<NewRemoteHost></NewRemoteHost>",
            "<NewExternalPort>8888</NewExternalPort>",
            "<NewInternalClient>192.168.1.7</NewInternalClient>",
            "<NewInternalPort>4433</NewInternalPort>",
            "<NewLeaseDuration>7200</NewLeaseDuration>",
        ] {
            assert!(body.contains(part), "{body}");
        }
        assert!(parse(&body).is_some());
    }

    #[test]
    fn answers_are_read_in_any_name_space() {
        let yes = "<s:Envelope xmlns:s=\"e\"><s:Body><u:R xmlns:u=\"u\"><NewExternalIPAddress>192.0.2.1\
                   </NewExternalIPAddress></u:R></s:Body></s:Envelope>";
        assert_eq!(external_address(yes), Some(Ipv4Addr::new(192, 0, 2, 1)));
        let no = "<s:Envelope xmlns:s=\"e\"><s:Body><s:Fault><detail><UPnPError xmlns=\"u\"><errorCode>718\
                  </errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>";
        assert_eq!((error_code(no), error_code(yes)), (Some(CONFLICT), None));
        assert_eq!(external_address("<NewExternalIPAddress/>"), None);
    }
}
