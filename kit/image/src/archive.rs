//! OCI archives: tar archives of an OCI image layout (OCI image specification, `image-layout.md`).

use std::io;

use crate::document::ImageIndex;
use crate::error::{Error, Result};
use crate::media_types::INDEX;
use crate::package::Package;
use crate::tar_writer::TarWriter;

impl Package {
    /// The image as an OCI archive, with the name `reference`.
    ///
    /// podman and Docker 25 load it. skopeo copies it to a registry with the same digest.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] if the archive cannot be written. Writing to memory does not fail.
    pub fn to_archive(&self, reference: &str) -> Result<Vec<u8>> {
        self.write(reference)
            .map_err(|error| Error::Image(format!("cannot write the archive: {error}")))
    }

    fn write(&self, reference: &str) -> io::Result<Vec<u8>> {
        let mut manifest = self.manifest().descriptor();
        manifest.annotations = Some(
            [(
                "org.opencontainers.image.ref.name".to_owned(),
                reference.to_owned(),
            )]
            .into(),
        );
        let index = ImageIndex {
            manifests: vec![manifest],
            media_type: Some(INDEX.to_owned()),
            schema_version: 2,
        };
        let mut tar = TarWriter::new();
        tar.append("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        tar.append("index.json", &serde_json::to_vec(&index)?)?;
        for blob in self.layers().iter().chain([self.config(), self.manifest()]) {
            let path = format!("blobs/{}", blob.digest().replace(':', "/"));
            tar.append(&path, blob.bytes())?;
        }
        tar.finish()
    }
}
