//! The exporter's end, between a channel and the broker's socket: one loop that reads what there is room
//! for, has it judged, and writes what may pass.

use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use coconet::rights::Scope;
use coconet::wire::code::Reset;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::judge::{Fault, Judge};
use super::rules::{Granted, Rules};
use super::{CONNECT_TIMEOUT, LINGER, SUFFIX_LEN};
use crate::channel::{Channel, ChannelRx, ChannelTx, Cut};
use crate::forward::local::{Reader, Writer};
use crate::forward::{Broken, CHUNKS, Caller, Local, Meter, READ_SIZE, Service, taken};

/// The exporter's end of one connection: a socket to the broker, and a channel that was answered. Ends when
/// both sides have, when `cut` says so, or when one of the two breaks the rules of MQTT or the client those
/// of its grant; the client is told why where MQTT has words for it.
pub async fn far(
    service: &Service,
    caller: &Caller,
    mut local: Local,
    mut channel: Channel,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let ended = {
        let (reader, writer) = local.split();
        let Channel { tx, rx, .. } = &mut channel;
        let judge = Judge::new(rules(service, caller), &service.mqtt);
        let mut connection = Connection { judge, reader, writer, tx, rx, meter: &service.meter };
        tokio::select! {
            ended = connection.run() => ended,
            code = cut => Err(Broken::Here(code)),
        }
    };
    let broken = match ended {
        Ok(None) => return Ok(()),
        // The broker has all that passed before. Without a DISCONNECT it takes the client for lost.
        Ok(Some(fault)) => {
            let refused = fault == Fault::Refused;
            Broken::Here(if refused { Reset::NotPermitted } else { Reset::Protocol })
        }
        Err(broken) => {
            local.abort();
            broken
        }
    };
    service.meter.failures.fetch_add(1, Ordering::Relaxed);
    channel.reset(match &broken {
        Broken::Local(_) => Reset::PeerReset,
        Broken::Channel(_) | Broken::Refused { .. } => Reset::Closed,
        Broken::Here(code) => *code,
    });
    Err(broken)
}

fn rules<'a>(service: &'a Service, caller: &'a Caller) -> Rules<'a> {
    let granted = |capability| match caller.rights.scope(capability) {
        Scope::Everything => Granted::All,
        Scope::Nothing => Granted::within([]),
        Scope::Only(filters) => Granted::within(filters),
    };
    let own = caller.alias.chars().take(SUFFIX_LEN);
    Rules {
        publish: granted("publish"),
        subscribe: granted("subscribe"),
        suffix: service.options.client_id_suffix.then(|| "-".chars().chain(own).collect()),
        login: service.login.as_ref().map(|login| (login.user(), login.password())),
    }
}

struct Connection<'a> {
    judge: Judge<'a>,
    reader: Reader<'a>,
    writer: Writer<'a>,
    tx: &'a mut ChannelTx,
    rx: &'a mut ChannelRx,
    meter: &'a Meter,
}

/// What one turn of the loop brought.
enum Turn {
    FromClient(Option<usize>),
    BrokerReadable,
    BrokerWritable,
    ToClient(usize),
    TooSlow,
}

impl Connection<'_> {
    async fn run(&mut self) -> Result<Option<Fault>, Broken> {
        let fault = self.forward().await?;
        let mut told = true;
        if let Some(fault) = fault {
            tracing::debug!(%fault, "an MQTT connection is ended");
            told = self.judge.farewell(fault);
            self.flush(told).await?;
            // It does not have to wait until the client has read why. It may have gone, too.
            let _ = self.writer.finish();
        }
        if told {
            self.tx.finish();
            self.linger().await;
        }
        Ok(fault)
    }

    /// Forward until the broker has ended, or, before there was a CONNECT, the client.
    async fn forward(&mut self) -> Result<Option<Fault>, Broken> {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let mut stopped = pin!(self.tx.stopped());
        let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
        let (mut client_ended, mut broker_ended) = (false, false);
        let mut finished = false;
        loop {
            let greeted = self.judge.has_connect();
            let (to_client, to_broker) =
                (!self.judge.to_client().is_empty(), !self.judge.to_broker().is_empty());
            if broker_ended && !to_client || client_ended && !greeted {
                return Ok(None);
            }
            if client_ended && !to_broker && !finished {
                self.writer.finish().map_err(Broken::Local)?;
                finished = true;
            }
            let mut parts: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
            let count = self.judge.to_client().peek(&mut parts);
            let turn = tokio::select! {
                read = self.rx.read(&mut chunks), if !client_ended && self.judge.hears_client() => {
                    Turn::FromClient(read?)
                }
                ready = self.reader.readable(), if greeted && !broker_ended && self.judge.hears_broker() => {
                    ready.map_err(Broken::Local)?;
                    Turn::BrokerReadable
                }
                ready = self.writer.writable(), if to_broker => {
                    ready.map_err(Broken::Local)?;
                    Turn::BrokerWritable
                }
                written = self.tx.write_some(&mut parts[..count]), if to_client => Turn::ToClient(written?),
                () = sleep_until(deadline), if !greeted => Turn::TooSlow,
                stopped = &mut stopped => match stopped? {
                    Some(code) => return Err(Cut::Reset(code).into()),
                    None => return Err(Cut::Lost.into()),
                },
            };
            let judged = match turn {
                Turn::FromClient(None) => {
                    client_ended = true;
                    Ok(())
                }
                Turn::FromClient(Some(count)) => chunks[..count]
                    .iter_mut()
                    .try_for_each(|chunk| self.judge.from_client(std::mem::take(chunk))),
                Turn::BrokerReadable => self.read_broker(&mut broker_ended).await?,
                Turn::BrokerWritable => self.write_broker().map(Ok)?,
                Turn::ToClient(written) => {
                    self.wrote_client(written);
                    Ok(())
                }
                Turn::TooSlow => Err(self.judge.too_slow()),
            };
            if let Err(fault) = judged {
                return Ok(Some(fault));
            }
        }
    }

    async fn read_broker(&mut self, ended: &mut bool) -> Result<Result<(), Fault>, Broken> {
        // Taken for this read only: an idle connection holds none.
        let mut buffer = BytesMut::with_capacity(READ_SIZE);
        match self.reader.read_now(&mut buffer).await {
            Poll::Pending => Ok(Ok(())),
            Poll::Ready(Ok(0)) => {
                *ended = true;
                Ok(Ok(()))
            }
            Poll::Ready(Ok(_)) => Ok(self.judge.from_broker(taken(&mut buffer))),
            Poll::Ready(Err(error)) => Err(Broken::Local(error)),
        }
    }

    fn write_broker(&mut self) -> Result<(), Broken> {
        let mut parts: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
        let count = self.judge.to_broker().peek(&mut parts);
        let mut slices = [IoSlice::new(&[]); CHUNKS];
        for (slice, part) in slices.iter_mut().zip(&parts) {
            *slice = IoSlice::new(part);
        }
        match self.writer.try_write_vectored(&slices[..count]) {
            Ok(written) => {
                self.judge.to_broker().wrote(written);
                self.meter.bytes_in.fetch_add(written as u64, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(Broken::Local(error)),
        }
    }

    fn wrote_client(&mut self, written: usize) {
        self.judge.to_client().wrote(written);
        self.meter.bytes_out.fetch_add(written as u64, Ordering::Relaxed);
    }

    /// Write what was let pass before the end, and the last words if there are any, for as long as [`LINGER`].
    async fn flush(&mut self, told: bool) -> Result<(), Broken> {
        let deadline = Instant::now() + LINGER;
        loop {
            let to_client = told && !self.judge.to_client().is_empty();
            let to_broker = !self.judge.to_broker().is_empty();
            if !to_client && !to_broker {
                return Ok(());
            }
            let mut parts: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
            let count = self.judge.to_client().peek(&mut parts);
            tokio::select! {
                ready = self.writer.writable(), if to_broker => {
                    ready.map_err(Broken::Local)?;
                    self.write_broker()?;
                }
                written = self.tx.write_some(&mut parts[..count]), if to_client => self.wrote_client(written?),
                () = sleep_until(deadline) => return Ok(()),
            }
        }
    }

    /// Wait until the client has closed: what it was told last would be lost if the channel were cut before.
    async fn linger(&mut self) {
        let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
        let closed = async { while let Ok(Some(_)) = self.rx.read(&mut chunks).await {} };
        // It has had its time.
        let _ = timeout_at(Instant::now() + LINGER, closed).await;
    }
}
