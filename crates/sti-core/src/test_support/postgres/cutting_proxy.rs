//! A wire between a program and the server that breaks at a COMMIT.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::test_support::TestDatabase;

/// On which side of the COMMIT the wire breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server never gets the COMMIT.
    BeforeCommit,
    /// The server has committed and said so; the program never hears it.
    AfterCommit,
}

/// A proxy in front of a database. It breaks the wire once, at the COMMIT of the first transaction in which the program
/// has sent a text that the test chose; from then on it works again, or it refuses everybody.
#[derive(Debug)]
pub struct CuttingProxy {
    url: String,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    upstream: Upstream,
    marker: Vec<u8>,
    cut: Cut,
    unreachable_afterwards: bool,
    has_cut: AtomicBool,
}

#[derive(Debug)]
enum Upstream {
    Socket(String),
    Tcp(String),
}

impl CuttingProxy {
    /// Stands in front of `database`; breaks the wire at the COMMIT after a statement that contains `marker`.
    #[must_use]
    #[track_caller]
    pub fn before(database: &TestDatabase, marker: &str, cut: Cut) -> Self {
        Self::start(database, marker, cut, false)
    }

    /// [`CuttingProxy::before`], and nobody gets through any more once the wire is broken.
    #[must_use]
    #[track_caller]
    pub fn before_and_unreachable_afterwards(database: &TestDatabase, marker: &str, cut: Cut) -> Self {
        Self::start(database, marker, cut, true)
    }

    #[track_caller]
    fn start(database: &TestDatabase, marker: &str, cut: Cut, unreachable_afterwards: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no port: {error}"));
        let port = listener.local_addr().unwrap_or_else(|error| panic!("no port: {error}")).port();
        let (upstream, url) = redirected(database.url(), port);
        let state = Arc::new(State {
            upstream,
            marker: marker.as_bytes().to_vec(),
            cut,
            unreachable_afterwards,
            has_cut: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&of_thread);
                thread::spawn(move || state.serve(client));
            }
        });
        Self { url, state }
    }

    /// The database's URL through the proxy.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the wire has been broken.
    #[must_use]
    pub fn has_cut(&self) -> bool {
        self.state.has_cut.load(Ordering::SeqCst)
    }
}

/// Where the database is, and its URL with the proxy in that place.
#[track_caller]
fn redirected(database: &str, port: u16) -> (Upstream, String) {
    let mut url = url::Url::parse(database).unwrap_or_else(|error| panic!("{database}: {error}"));
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let parameter = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let its_port = parameter("port")
        .or_else(|| url.port().map(|port| port.to_string()))
        .unwrap_or_else(|| "5432".into());
    let upstream = match parameter("host").or_else(|| url.host_str().map(str::to_owned)) {
        Some(folder) if folder.starts_with('/') => Upstream::Socket(format!("{folder}/.s.PGSQL.{its_port}")),
        Some(host) => Upstream::Tcp(format!("{host}:{its_port}")),
        None => panic!("{database} names no host"),
    };
    let kept = pairs.iter().filter(|(key, _)| key != "host" && key != "port");
    let kept: Vec<String> = kept.map(|(key, value)| format!("&{key}={value}")).collect();
    // A client that has TLS would ask for it first, and this wire speaks in the clear.
    url.set_query(Some(&format!("host=127.0.0.1&port={port}&sslmode=disable{}", kept.concat())));
    (upstream, url.into())
}

/// A stream that two threads use: one reads, one writes.
trait Duplex: Read + Write + Send + 'static {
    fn twin(&self) -> io::Result<Box<dyn Duplex>>;
    fn close(&self);
}

impl Duplex for TcpStream {
    fn twin(&self) -> io::Result<Box<dyn Duplex>> {
        Ok(Box::new(self.try_clone()?))
    }

    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Duplex for UnixStream {
    fn twin(&self) -> io::Result<Box<dyn Duplex>> {
        Ok(Box::new(self.try_clone()?))
    }

    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl State {
    fn serve(&self, client: TcpStream) {
        if self.unreachable_afterwards && self.has_cut.load(Ordering::SeqCst) {
            client.close();
            return;
        }
        // An error on either side ends this connection, as it does without a proxy.
        let _ = self.pass_on(client);
    }

    fn connect(&self) -> io::Result<Box<dyn Duplex>> {
        Ok(match &self.upstream {
            Upstream::Socket(path) => Box::new(UnixStream::connect(path)?),
            Upstream::Tcp(address) => Box::new(TcpStream::connect(address)?),
        })
    }

    /// Passes messages on, whole ones, until one side is gone or the wire is to be broken.
    fn pass_on(&self, client: TcpStream) -> io::Result<()> {
        let mut from_client = client.try_clone()?;
        let mut server = self.connect()?;
        let to_client = Arc::new(Mutex::new(Some(client)));
        answers(server.twin()?, Arc::clone(&to_client));
        // The first message has no type.
        server.write_all(&message(&mut from_client, false)?)?;
        let mut marked = false;
        while let Ok(message) = message(&mut from_client, true) {
            marked |= contains(&message, &self.marker);
            let breaks = marked && is_commit(&message) && !self.has_cut.swap(true, Ordering::SeqCst);
            match self.cut {
                Cut::BeforeCommit if breaks => break,
                Cut::AfterCommit if breaks => {
                    // From here on the program hears nothing; the end of the server's session follows its COMMIT.
                    let silent = to_client.lock().unwrap_or_else(PoisonError::into_inner).take();
                    server.write_all(&message)?;
                    server.write_all(b"X\0\0\0\x04")?;
                    wait_for_the_end(&mut *server);
                    if let Some(client) = silent {
                        client.close();
                    }
                    return Ok(());
                }
                _ => server.write_all(&message)?,
            }
        }
        server.close();
        from_client.close();
        Ok(())
    }
}

/// Passes the server's answers on as long as there is somebody to hear them.
fn answers(mut server: Box<dyn Duplex>, client: Arc<Mutex<Option<TcpStream>>>) {
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = server.read(&mut buffer).unwrap_or(0);
            let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(client) = client.as_mut() else { if read == 0 { return } else { continue } };
            if read == 0 || client.write_all(&buffer[..read]).is_err() {
                client.close();
                return;
            }
        }
    });
}

/// Waits until the server has closed its side.
fn wait_for_the_end(server: &mut dyn Duplex) {
    let mut rest = [0; 1024];
    while server.read(&mut rest).is_ok_and(|read| read > 0) {}
}

/// One message of the protocol: a type (but for the first message), a length that counts itself, the rest.
fn message(from: &mut impl Read, typed: bool) -> io::Result<Vec<u8>> {
    let mut head = vec![0; if typed { 5 } else { 4 }];
    from.read_exact(&mut head)?;
    let length: [u8; 4] = head[head.len() - 4..].try_into().map_err(io::Error::other)?;
    let rest = u32::from_be_bytes(length).saturating_sub(4) as usize;
    let begins = head.len();
    head.resize(begins + rest, 0);
    from.read_exact(&mut head[begins..])?;
    Ok(head)
}

fn contains(message: &[u8], marker: &[u8]) -> bool {
    message.windows(marker.len()).any(|window| window == marker)
}

/// A simple query that says COMMIT and nothing else.
fn is_commit(message: &[u8]) -> bool {
    message.first() == Some(&b'Q') && message.get(5..).is_some_and(|text| text.starts_with(b"COMMIT\0"))
}
