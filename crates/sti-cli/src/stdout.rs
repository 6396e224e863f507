//! Standard output: whether anybody still reads it.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// False when the reader has gone away: the pipe is closed, as by `| head`, or the terminal is gone. Asks the system and
/// writes nothing.
#[must_use]
pub fn is_read() -> bool {
    let out = io::stdout();
    let mut asked = [PollFd::new(&out, PollFlags::empty())];
    let gone = PollFlags::ERR | PollFlags::HUP;
    // What cannot be asked is told at the next write.
    poll(&mut asked, Some(&Timespec::default())).is_err() || !asked[0].revents().intersects(gone)
}
