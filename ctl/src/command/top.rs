//! `capprofctl top`

use super::ps::age;
use crate::exit::Exit;
use crate::live::{self, Stream};
use crate::{output, process, render};
use anyhow::Context;
use capprof_profile::live::{Progress, Row, RowClass};
use capprof_store::recording::Directory;
use crossterm::{cursor, execute, terminal};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The time between two looks at the keyboard.
const TICK: Duration = Duration::from_millis(100);

/// The column by which the rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Rate,
    Count,
    Last,
    Capability,
}

impl Order {
    fn of_key(key: u8) -> Option<Self> {
        match key {
            b'r' => Some(Self::Rate),
            b'c' => Some(Self::Count),
            b'l' => Some(Self::Last),
            b'n' => Some(Self::Capability),
            _ => None,
        }
    }
}

/// Ctrl-C, which is not a signal on a terminal in raw mode.
const INTERRUPT: u8 = 3;

/// Receives the user's input, byte by byte. The thread that reads it ends with this process.
fn keys() -> Receiver<u8> {
    let (sender, keys) = mpsc::channel();
    std::thread::spawn(move || {
        for key in io::stdin().lock().bytes().map_while(Result::ok) {
            if sender.send(key).is_err() {
                break;
            }
        }
    });
    keys
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    container: String,
    row: Row,
    /// Checks a second since the last look.
    rate: f64,
    /// The time since the last check, in milliseconds.
    ago: u64,
}

/// The interim results of all recordings.
#[derive(Default)]
struct Table {
    /// By recording.
    lines: BTreeMap<String, (Instant, u64, Vec<Line>)>,
}

impl Table {
    fn take(&mut self, progress: &Progress) {
        let now = Instant::now();
        let before = self.lines.remove(&progress.profile.origin.recording_id);
        let (since, old) = match &before {
            Some((then, _, lines)) => (Some(now.duration_since(*then)), lines.as_slice()),
            None => (None, &[][..]),
        };
        let container = live::name(&progress.profile);
        let lines = progress
            .rows
            .iter()
            .filter(|row| row.class != RowClass::Dismissed)
            .map(|row| {
                let known = old.iter().find(|line| {
                    (
                        line.row.capability,
                        &line.row.program,
                        &line.row.syscall,
                        line.row.class,
                    ) == (row.capability, &row.program, &row.syscall, row.class)
                });
                let more = row.count - known.map_or(0, |line| line.row.count).min(row.count);
                Line {
                    container: container.clone(),
                    row: row.clone(),
                    rate: since.map_or(0.0, |since| {
                        f64::from(u32::try_from(more).unwrap_or(u32::MAX))
                            / since.as_secs_f64().max(0.001)
                    }),
                    ago: progress.elapsed_ms.saturating_sub(row.last_ms),
                }
            })
            .collect();
        self.lines.insert(
            progress.profile.origin.recording_id.clone(),
            (now, progress.elapsed_ms, lines),
        );
    }

    /// Removes the recordings that have ended.
    fn forget(&mut self, state: &Path) {
        let present: Vec<String> = Directory::list(state, None)
            .unwrap_or_default()
            .iter()
            .filter_map(Directory::id)
            .collect();
        self.lines.retain(|id, _| present.contains(id));
    }

    fn sorted(&self, order: Order) -> Vec<Line> {
        let mut lines: Vec<Line> = self
            .lines
            .values()
            .flat_map(|(then, _, lines)| {
                let since = u64::try_from(then.elapsed().as_millis()).unwrap_or(0);
                lines.iter().map(move |line| Line {
                    ago: line.ago + since,
                    // The hook does not send a recording that has not changed, so its rate is zero by now.
                    rate: if since > 5000 { 0.0 } else { line.rate },
                    ..line.clone()
                })
            })
            .collect();
        match order {
            Order::Rate => lines.sort_by(|one, other| {
                (other.rate, other.row.count)
                    .partial_cmp(&(one.rate, one.row.count))
                    .unwrap_or(std::cmp::Ordering::Equal)
            }),
            Order::Count => lines.sort_by_key(|line| Reverse(line.row.count)),
            Order::Last => lines.sort_by_key(|line| line.ago),
            Order::Capability => {
                lines.sort_by_key(|line| (line.row.capability, line.container.clone()));
            }
        }
        lines
    }

    fn text(&self, order: Order) -> String {
        let rows: Vec<Vec<String>> = self
            .sorted(order)
            .into_iter()
            .map(|line| {
                vec![
                    line.container,
                    line.row.capability.to_string(),
                    line.row.program,
                    match line.row.syscall.is_empty() {
                        true => "-".to_owned(),
                        false => line.row.syscall,
                    },
                    line.row.count.to_string(),
                    format!("{:.1}/s", line.rate),
                    format!("{} ago", age(line.ago)),
                    match (line.row.class, line.row.failed) {
                        (RowClass::Refused, 0) => "refused".to_owned(),
                        (RowClass::Refused, failed) => format!("REFUSED, {failed} failed"),
                        _ => String::new(),
                    },
                ]
            })
            .collect();
        render::columns(
            &[
                "CONTAINER",
                "CAPABILITY",
                "PROGRAM",
                "SYSCALL",
                "COUNT",
                "RATE",
                "LAST",
                "",
            ],
            &rows,
            &output::styles(),
        )
    }
}

/// Shows what recorded containers use and are refused, until the user wants to stop or no recording is left.
///
/// # Errors
/// There is no such recording, `capprof-hook` could not be run, or the terminal could not be controlled.
pub(crate) fn run(state: &Path, wanted: Option<&str>, every: Duration) -> anyhow::Result<Exit> {
    let directories = match wanted {
        Some(wanted) => vec![super::watch::recording(state, wanted)?],
        None => {
            // This returns the error if the recordings may not be read; the stream would end as if there were none.
            Directory::list(state, None)?;
            Vec::new()
        }
    };
    let interrupted = process::interrupted()?;
    let stream = Stream::start(state, &directories, every)?;
    match io::stdout().is_terminal() && io::stdin().is_terminal() {
        true => on_terminal(state, &stream, &interrupted, every),
        false => as_lines(state, &stream, &interrupted, every),
    }
}

/// Reads all available news, for at most this long. Returns false if no more will come.
fn read(table: &mut Table, stream: &Stream, patience: Duration) -> anyhow::Result<bool> {
    let until = Instant::now() + patience;
    loop {
        match stream.next(until.saturating_duration_since(Instant::now())) {
            Ok(progress) => table.take(&progress?),
            Err(RecvTimeoutError::Timeout) => return Ok(true),
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
    }
}

/// Prints the table repeatedly, with an empty line in between.
fn as_lines(
    state: &Path,
    stream: &Stream,
    interrupted: &AtomicBool,
    every: Duration,
) -> anyhow::Result<Exit> {
    let mut table = Table::default();
    let mut next = Instant::now() + every;
    while !interrupted.load(Ordering::Relaxed) {
        let goes_on = read(&mut table, stream, TICK)?;
        if next <= Instant::now() || !goes_on {
            next = Instant::now() + every;
            output::print(&(table.text(Order::Rate) + "\n"))?;
            table.forget(state);
        }
        if !goes_on {
            return Ok(Exit::Success);
        }
    }
    Ok(Exit::Interrupted)
}

/// Restores the terminal when it is dropped, however this program ends.
struct Screen;

impl Screen {
    fn take() -> anyhow::Result<Self> {
        terminal::enable_raw_mode().context("prepare the terminal")?;
        let screen = Self;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)
            .context("prepare the terminal")?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), cursor::Show, terminal::LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

fn on_terminal(
    state: &Path,
    stream: &Stream,
    interrupted: &AtomicBool,
    every: Duration,
) -> anyhow::Result<Exit> {
    let _screen = Screen::take()?;
    let keys = keys();
    let mut table = Table::default();
    let mut order = Order::Rate;
    let mut next = Instant::now();
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        if !read(&mut table, stream, Duration::ZERO)? {
            return Ok(Exit::Success);
        }
        if next <= Instant::now() {
            next = Instant::now() + every;
            table.forget(state);
            draw(&table, order)?;
        }
        match keys.recv_timeout(TICK) {
            Ok(b'q') => return Ok(Exit::Success),
            Ok(INTERRUPT) => return Ok(Exit::Interrupted),
            Ok(key) => order = Order::of_key(key).unwrap_or(order),
            Err(RecvTimeoutError::Timeout) => continue,
            // The terminal is gone.
            Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Interrupted),
        }
        next = Instant::now();
    }
}

/// Writes as much as fits.
fn draw(table: &Table, order: Order) -> anyhow::Result<()> {
    let (width, height) = terminal::size()?;
    let (width, height) = (usize::from(width), usize::from(height));
    let text = anstream::adapter::strip_str(&table.text(order)).to_string();
    let mut screen = format!(
        "capprofctl top: {} recordings; sort by r rate, c count, l last, n name; q quits\r\n",
        table.lines.len()
    );
    for line in text.lines().take(height.saturating_sub(2)) {
        screen.extend(line.chars().take(width));
        screen.push_str("\r\n");
    }
    let mut output = io::stdout().lock();
    execute!(
        output,
        cursor::MoveTo(0, 0),
        terminal::Clear(terminal::ClearType::All)
    )?;
    output.write_all(screen.as_bytes())?;
    output.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;
    use capprof_profile::fixtures::{host, recording, reports};
    use capprof_profile::recorded_profile;

    fn progress(program: &str, count: u64) -> Progress {
        let profile = recorded_profile::profile(
            &recording("web-1", "20261123T150102Z-1a2b3c4d"),
            reports(),
            vec![],
            String::new(),
            host(),
        );
        let row = |capability, class, count| Row {
            capability,
            program: program.to_owned(),
            syscall: "chown".to_owned(),
            class,
            count,
            failed: 0,
            last_ms: 1000,
        };
        Progress {
            elapsed_ms: 5000,
            rows: vec![
                row(Capability::CHOWN, RowClass::Used, count),
                row(Capability::KILL, RowClass::Refused, 1000),
                row(Capability::SETUID, RowClass::Dismissed, 5),
            ],
            profile,
        }
    }

    #[test]
    fn the_table_is_sorted_by_what_is_asked_for() {
        let mut table = Table::default();
        table.take(&progress("nginx", 1));
        std::thread::sleep(Duration::from_millis(5));
        table.take(&progress("nginx", 9));
        let by = |order| {
            let lines = table.sorted(order);
            lines
                .into_iter()
                .map(|line| line.row.capability)
                .collect::<Vec<_>>()
        };
        assert_eq!(by(Order::Rate), [Capability::CHOWN, Capability::KILL]);
        assert_eq!(by(Order::Count), [Capability::KILL, Capability::CHOWN]);
        assert_eq!(by(Order::Capability), [Capability::CHOWN, Capability::KILL]);
    }

    #[test]
    fn names_cannot_write_escape_sequences() {
        let mut table = Table::default();
        table.take(&progress("\u{1b}[2Jx\r\n", 1));
        let text = anstream::adapter::strip_str(&table.text(Order::Rate)).to_string();
        assert!(text.contains("?[2Jx??"), "{text:?}");
        assert!(!text.contains('\r') && !text.contains('\u{1b}'));
    }
}
