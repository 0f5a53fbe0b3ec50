//! What a path of a directory or a layer is.

/// A file, or what is in the place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file's bytes.
    File(Vec<u8>),
    /// A directory.
    Directory,
    /// A symbolic or a hard link, which is not followed.
    Link {
        /// Where it leads.
        target: String,
    },
    /// A device, a pipe, a socket, or a sparse file.
    Special,
}

/// Paths without a leading `/` or `./`, and what they are: in the order of the archive, or of their
/// names.
pub type Entries = Vec<(String, Entry)>;
