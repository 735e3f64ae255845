//! The disk as the journal sees it: a directory of files, others beside it, and what has to be synced.
//!
//! Leaves every decision (names, order, what a failure means) to the journal.
//! Invariant: nothing here retries or hides a failed write or sync.
//! Offsets and lengths are bytes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the lock file.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// A directory that holds a journal.
///
/// # Contract
///
/// 1. After [`StorageFile::sync`] returned, what was written to and allocated in that file before survives power loss.
/// 2. After [`Storage::sync_directory`] returned, so do the names made, changed and removed before.
/// 3. Without them nothing is promised: any subset of the sectors, any of the names.
/// 4. A name that `rename` replaces always leads to the old file or to the new one.
pub trait Storage: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: StorageFile;
    /// Proof of being the directory's only owner; given up when dropped.
    type Lock: std::fmt::Debug + Send + Sync + 'static;

    /// The directory.
    fn path(&self) -> &Path;
    /// Another directory of the same kind; nothing is touched yet.
    fn at(&self, directory: &Path) -> Self;
    /// The directory's name, for messages.
    fn place(&self) -> String;
    /// Makes the directory if it is missing. An empty or existing one is left as it is.
    fn make_directory(&self) -> io::Result<()>;
    /// Takes the directory's lock, without waiting.
    fn lock(&self) -> Result<Self::Lock, LockFailure>;
    /// Takes the same lock for somebody who only reads, also where nothing can be written. `None` if there is no lock file
    /// and none can be made: then nobody else can write there either.
    fn lock_to_read(&self) -> Result<Option<Self::Lock>, LockFailure>;
    /// How many bytes files here can still get; `u64::MAX` where nobody knows.
    fn free_bytes(&self) -> io::Result<u64>;
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes an empty file; one that has the name already is emptied.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Opens an existing file for reading alone.
    fn open_to_read(&self, name: &str) -> io::Result<Self::File>;
    /// Gives a file another name, replacing what had it; or a directory, and with it all that is in it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file the same name in another directory, too: one content under two names. Not every system can.
    fn link(&self, name: &str, to: &Self) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_directory(&self) -> io::Result<()>;
}

/// A file of a [`Storage`].
pub trait StorageFile: std::fmt::Debug + Send + Sync + 'static {
    /// The file's length.
    fn length(&self) -> io::Result<u64>;
    /// Fills `into` from `offset`; returns fewer bytes than asked for only at the file's end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the file really have `bytes` more bytes from `offset` on; they read as zeros.
    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()>;
    /// Gives back what is behind the first `length` bytes.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Makes content and length durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
}

/// Why the lock was not given.
#[derive(Debug)]
pub enum LockFailure {
    /// Somebody has it; `owner` says who, as far as can be told.
    Held {
        /// For example `process 1234`.
        owner: String,
    },
    /// The lock file could not be used.
    Io(io::Error),
}

/// A directory of the operating system.
#[derive(Debug, Clone)]
pub struct DirStorage {
    directory: Arc<PathBuf>,
}

impl DirStorage {
    /// Names the directory; nothing is touched yet.
    pub fn new(directory: impl Into<PathBuf>) -> DirStorage {
        DirStorage { directory: Arc::new(directory.into()) }
    }
}

impl Storage for DirStorage {
    type File = File;
    type Lock = File;

    fn path(&self) -> &Path {
        &self.directory
    }

    fn at(&self, directory: &Path) -> DirStorage {
        DirStorage::new(directory)
    }

    fn place(&self) -> String {
        self.directory.display().to_string()
    }

    fn make_directory(&self) -> io::Result<()> {
        if self.directory.is_dir() {
            return Ok(());
        }
        let ancestors = self.directory.ancestors().filter(|path| !path.as_os_str().is_empty());
        let missing: Vec<&Path> = ancestors.take_while(|path| !path.is_dir()).collect();
        fs::create_dir_all(self.directory.as_path())?;
        // A directory whose own name is lost in a power failure takes everything in it along: each that was made.
        for made in missing {
            if let Some(parent) = made.canonicalize()?.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let system = rustix::fs::statvfs(self.directory.as_path())?;
        // Some file systems have no idea of their size.
        if system.f_blocks == 0 {
            return Ok(u64::MAX);
        }
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    fn lock(&self) -> Result<File, LockFailure> {
        let path = self.directory.join(LOCK_FILE);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        try_lock(open.map_err(LockFailure::Io)?)
    }

    fn lock_to_read(&self) -> Result<Option<File>, LockFailure> {
        match self.lock() {
            Err(LockFailure::Io(error)) if is_forbidden(&error) => {}
            taken => return taken.map(Some),
        }
        match self.open_to_read(LOCK_FILE) {
            Ok(file) => try_lock(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LockFailure::Io(error)),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(self.directory.as_path())?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.directory.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.directory.join(name))
    }

    fn open_to_read(&self, name: &str) -> io::Result<File> {
        File::open(self.directory.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn link(&self, name: &str, to: &DirStorage) -> io::Result<()> {
        fs::hard_link(self.directory.join(name), to.directory.join(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn remove_directory(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.directory.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(self.directory.as_path())?.sync_all()
    }
}

/// Locks an open lock file, and writes into it whose it is.
fn try_lock(mut file: File) -> Result<File, LockFailure> {
    match file.try_lock() {
        Ok(()) => {
            // For messages only: a full or read-only disk keeps nobody from owning the directory.
            let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // The name only makes the message better; without it the message is still right.
            let read = file.take(20).read_to_string(&mut owner);
            let owner = owner.trim();
            let known = read.is_ok() && !owner.is_empty();
            Err(LockFailure::Held {
                owner: if known { format!("process {owner}") } else { "another process".to_owned() },
            })
        }
        Err(TryLockError::Error(error)) => Err(LockFailure::Io(error)),
    }
}

/// Whether a call failed because nothing may be written there.
fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

impl StorageFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, mut into: &mut [u8], mut offset: u64) -> io::Result<usize> {
        let mut total = 0;
        while !into.is_empty() {
            match FileExt::read_at(self, into, offset) {
                Ok(0) => break,
                Ok(count) => {
                    total += count;
                    offset += count as u64;
                    into = &mut into[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        match rustix::io::retry_on_intr(|| fallocate(self, FallocateFlags::empty(), offset, bytes)) {
            Ok(()) => Ok(()),
            // Some file systems cannot: zeros written there are as good, only slower.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => write_zeros(self, offset, bytes),
            Err(error) => Err(error.into()),
        }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Writes `bytes` zeros from `offset` on.
pub(super) fn write_zeros(file: &impl StorageFile, offset: u64, bytes: u64) -> io::Result<()> {
    const CHUNK: usize = 64 << 10;
    let zeros = [0; CHUNK];
    let mut done = 0;
    while done < bytes {
        let count = CHUNK.min(usize::try_from(bytes - done).unwrap_or(CHUNK));
        file.write_at(&zeros[..count], offset + done)?;
        done += count as u64;
    }
    Ok(())
}
