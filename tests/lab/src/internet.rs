//! What all sites of a lab share: the router in the middle and the addresses not yet taken.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::namespace::{Namespace, end_processes};
use crate::subnet::{ONLY, Subnet};

/// The first number given to a host in a LAN; each is given once in the whole lab.
const FIRST_NUMBER: u8 = 10;

pub(crate) struct Internet {
    router: Arc<Namespace>,
    namespaces: Mutex<Vec<Arc<Namespace>>>,
    subnets: AtomicU16,
    numbers: AtomicU8,
    names: Arc<Names>,
}

/// Who is called what.
#[derive(Default)]
pub(crate) struct Names(Mutex<Vec<(String, IpAddr)>>);

impl Names {
    pub(crate) fn add(&self, name: &str, addresses: Vec<IpAddr>) {
        self.lock().extend(addresses.into_iter().map(|address| (name.to_owned(), address)));
    }

    /// The addresses of `name`.
    pub(crate) fn of(&self, name: &str) -> Vec<IpAddr> {
        self.lock().iter().filter(|(known, _)| known == name).map(|(_, address)| *address).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, IpAddr)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Internet {
    pub(crate) fn new() -> Self {
        let router = Arc::new(Namespace::router());
        Self {
            namespaces: Mutex::new(vec![Arc::clone(&router)]),
            router,
            subnets: AtomicU16::new(1),
            numbers: AtomicU8::new(FIRST_NUMBER),
            names: Arc::default(),
        }
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// What programs find in `/etc/hosts`.
    pub(crate) fn hosts_file(&self) -> String {
        let mut file = String::from("127.0.0.1 localhost\n::1 localhost\n");
        for (name, address) in self.names.lock().iter() {
            let _ = writeln!(file, "{address} {name}");
        }
        file
    }

    pub(crate) fn router(&self) -> &Arc<Namespace> {
        &self.router
    }

    /// Remember `namespace`, to end what runs in it when the lab ends.
    pub(crate) fn adopt(&self, namespace: Namespace) -> Arc<Namespace> {
        let namespace = Arc::new(namespace);
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&namespace));
        namespace
    }

    pub(crate) fn next_subnet(&self) -> Subnet {
        Subnet::public(self.subnets.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn next_place(&self) -> (Subnet, u8) {
        (self.next_subnet(), ONLY)
    }

    pub(crate) fn next_number(&self) -> u8 {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        assert!(number >= FIRST_NUMBER, "more LAN hosts in one lab than a LAN has addresses");
        number
    }

    pub(crate) fn end_processes(&self) {
        let namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        end_processes(namespaces.iter().map(Arc::as_ref));
    }
}
