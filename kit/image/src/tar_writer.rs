//! Writes tar archives without times and owners: the same files give the same bytes.

use std::io;

/// Writes a tar archive to memory.
pub struct TarWriter {
    builder: tar::Builder<Vec<u8>>,
}

impl TarWriter {
    pub fn new() -> Self {
        Self {
            builder: tar::Builder::new(Vec::new()),
        }
    }

    /// Appends a file. The header is the same as in layers of podman and buildah: POSIX ustar, with
    /// the file type in the mode, device numbers of zero, and a checksum of six digits.
    ///
    /// # Errors
    ///
    /// If the path does not fit into the header: it has space for 100 bytes, or for 155 bytes
    /// before a slash and 100 after it.
    pub fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        const REGULAR: u32 = 0o100_000;
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_path(path)?;
        header.set_size(bytes.len() as u64);
        header.set_mode(REGULAR | 0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_device_major(0)?;
        header.set_device_minor(0)?;
        header.set_cksum();
        let sum = format!("{:06o}\0 ", header.cksum()?);
        header.as_old_mut().cksum.copy_from_slice(sum.as_bytes());
        self.builder.append(&header, bytes)
    }

    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.builder.into_inner()
    }
}
