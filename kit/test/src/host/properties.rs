//! Properties (ABI: "Properties").

use super::Host;

impl Host {
    /// A property of the stream, of the plugin, or of the host.
    pub(crate) fn property(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let set = self
            .stream()
            .and_then(|stream| stream.properties.get(path).cloned());
        let plugin = || {
            let plugin = self.plugin()?;
            let own = plugin.properties.get(path).cloned();
            own.or_else(|| {
                matches!(path, b"plugin_root_id" | b"plugin_name")
                    .then(|| plugin.root_id.clone().into_bytes())
            })
        };
        set.or_else(plugin)
            .or_else(|| (path == b"plugin_vm_id").then(|| self.options.vm_id.clone().into_bytes()))
    }
}
