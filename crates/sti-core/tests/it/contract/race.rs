//! Writers that go on while a drop is at work ahead of its locks, at every place between two of its statements: either
//! the drop refuses and names the project, or every value is kept. And what each lock, each second statement and the
//! change log are for: without it a value is lost.

mod beside_sync;
mod blocked;
mod log;
mod oracle;
mod places;
mod sabotage;
mod writers;
