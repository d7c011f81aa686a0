//! A log file that cannot fill the disk.
//!
//! tracing-appender rolls by time alone, so what a busy hour takes has no bound; this rolls by size.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// At this size, in bytes, a file is full. The log collector reads it long before the last is gone.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Full files that are kept, `tideline.log.1` the newest.
const FULL_FILES: u32 = 4;

/// `tideline.log` in a folder, 320 MiB with its full predecessors.
#[derive(Debug)]
pub(super) struct RollingFile {
    path: PathBuf,
    file: File,
    size: u64,
    full_at: u64,
}

impl RollingFile {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Self::open_with(folder, FILE_BYTES)
    }

    fn open_with(folder: &Path, full_at: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("tideline.log");
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, full_at })
    }

    fn roll(&mut self) -> io::Result<()> {
        let numbered = |number: u32| self.path.with_extension(format!("log.{number}"));
        for number in (1..FULL_FILES).rev() {
            if numbered(number).exists() {
                std::fs::rename(numbered(number), numbered(number + 1))?;
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

impl Write for RollingFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.size > 0 && self.size + lines.len() as u64 > self.full_at {
            self.roll()?;
        }
        let written = self.file.write(lines)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_newest_and_a_bounded_number_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = RollingFile::open_with(folder.path(), 100).unwrap();
        for line in 0..50 {
            log.write_all(format!("line {line:>30}\n").as_bytes()).unwrap();
        }
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["tideline.log", "tideline.log.1", "tideline.log.2", "tideline.log.3", "tideline.log.4"]);
        let newest = std::fs::read_to_string(folder.path().join("tideline.log")).unwrap();
        assert!(newest.contains(" 49\n") && newest.len() <= 100, "{newest}");
        let before = std::fs::read_to_string(folder.path().join("tideline.log.1")).unwrap();
        assert!(before.ends_with(" 47\n"), "{before}");
    }

    #[test]
    fn it_goes_on_in_the_file_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        for line in ["one\n", "two\n"] {
            RollingFile::open(folder.path()).unwrap().write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("tideline.log")).unwrap(), "one\ntwo\n");
    }
}
