//! The terminal: taken whole, and given back as it was, whatever happens.
//!
//! A frame that looks like the one before writes nothing. One that does not is written at once, and as one update
//! to terminals that know such (mode 2026), so that none shows half of it.

use std::io::{self, BufWriter, Stdout, Write, stdout};
use std::sync::Once;

use data_encoding::BASE64;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{
    self, DisableMouseCapture, EnableMouseCapture, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
    MouseButton, MouseEventKind,
};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{execute, queue};
use ratatui::layout::{Position, Rect};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::keys::{Key, Step};
use super::state::State;
use super::update::Message;
use super::view::view;

/// Longest text that is copied, in bytes: terminals drop longer ones.
const COPY_MAX: usize = 8 * 1024;

/// Bytes of a frame that are written at once; a larger one takes another write.
const FRAME: usize = 64 * 1024;

/// The whole screen; given back when this goes.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    /// What is on it.
    shown: Buffer,
}

/// The signals that end it.
pub(super) struct Ended {
    terminate: Signal,
    hang_up: Signal,
}

impl Screen {
    /// Take the terminal.
    pub(super) fn open() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                told(panic);
            }));
        });
        enable_raw_mode()?;
        // From here on, what goes wrong gives it back.
        let opened = execute!(stdout(), EnterAlternateScreen, EnableMouseCapture)
            .and_then(|()| Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME, stdout()))))
            .and_then(|mut terminal| terminal.hide_cursor().map(|()| terminal));
        opened.map(|terminal| Self { terminal, shown: Buffer::default() }).inspect_err(|_| give_back())
    }

    /// How large it is.
    pub(super) fn area(&self) -> Rect {
        let size = self.terminal.size();
        size.map_or_else(|_| Rect::default(), |size| Rect::new(0, 0, size.width, size.height))
    }

    /// Draw what has changed.
    pub(super) fn draw(&mut self, state: &State) -> io::Result<()> {
        self.terminal.autoresize()?;
        let mut frame = self.terminal.get_frame();
        view(state, &mut frame);
        let drawn = frame.buffer_mut();
        if *drawn == self.shown {
            drawn.reset();
            return Ok(());
        }
        self.shown.clone_from(drawn);
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.flush()?;
        self.terminal.swap_buffers();
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// To the terminal's clipboard (OSC 52).
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        if text.len() > COPY_MAX {
            return Ok(());
        }
        let mut out = stdout().lock();
        write!(out, "\x1b]52;c;{}\x07", BASE64.encode(text.as_bytes()))?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // Nothing can be done about a terminal that does not take it.
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), DisableMouseCapture, LeaveAlternateScreen, ratatui::crossterm::cursor::Show);
}

/// Send what the person does from now on. The thread that reads it ends with the process.
pub(super) fn listen(messages: mpsc::Sender<Message>) {
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let Some(message) = message(&event) else { continue };
            if messages.blocking_send(message).is_err() {
                return;
            }
        }
    });
}

/// SIGTERM and SIGHUP, which would leave the terminal as it is now.
pub(super) fn ended() -> io::Result<Ended> {
    Ok(Ended { terminate: signal(SignalKind::terminate())?, hang_up: signal(SignalKind::hangup())? })
}

impl Ended {
    /// Until one of them comes.
    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

fn message(event: &Event) -> Option<Message> {
    match event {
        Event::Key(pressed) if pressed.kind != KeyEventKind::Release => key(*pressed).map(Message::Key),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                Some(Message::Click(Position { x: mouse.column, y: mouse.row }))
            }
            MouseEventKind::ScrollUp => Some(Message::Scroll(Step::Up)),
            MouseEventKind::ScrollDown => Some(Message::Scroll(Step::Down)),
            _ => None,
        },
        Event::Resize(width, height) => Some(Message::Resized(Rect::new(0, 0, *width, *height))),
        _ => None,
    }
}

fn key(pressed: KeyEvent) -> Option<Key> {
    let control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    Some(match pressed.code {
        KeyCode::Char('c' | 'd') if control => Key::Interrupt,
        KeyCode::Char(_) if control || pressed.modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
