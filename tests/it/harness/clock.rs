//! A wall clock of a service that a test can set: a preloaded library adds an offset to the
//! system's time. The monotonic clock is unchanged, as when the system's time is set.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::command::run_program;

/// A clock, which shows the system's time until it is set.
pub struct TestClock {
    folder: TempDir,
    offset: File,
}

/// Reads the offset, in seconds, from a file that it maps.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;

__attribute__((constructor)) static void map_offset(void) {
    int file = open(getenv("TEST_CLOCK"), O_RDONLY);
    void *mapped = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (file < 0 || mapped == MAP_FAILED) abort();
    close(file);
    offset = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += *offset;
    return result;
}
"#;

impl TestClock {
    /// Compiles the library.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let file = |name| folder.path().join(name);
        std::fs::write(file("clock.c"), LIBRARY).unwrap();
        let offset = File::options().write(true).create(true).truncate(true).open(file("offset")).unwrap();
        let [source, library] = [file("clock.c"), file("clock.so")];
        let (source, library) = (source.to_str().unwrap(), library.to_str().unwrap());
        run_program("cc", &["-shared", "-fPIC", "-O1", "-o", library, source]);
        let clock = Self { folder, offset };
        clock.set(0);
        clock
    }

    /// Sets the clock ahead of the system's time by this many seconds, or behind it if negative.
    pub fn set(&self, ahead_s: i64) {
        self.offset.write_all_at(&ahead_s.to_ne_bytes(), 0).unwrap();
    }

    /// The environment variables of a program that uses this clock.
    pub fn variables(&self) -> [(&'static str, PathBuf); 2] {
        let path = |name| self.folder.path().join(name);
        [("LD_PRELOAD", path("clock.so")), ("TEST_CLOCK", path("offset"))]
    }
}
