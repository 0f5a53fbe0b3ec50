// A Proxy-Wasm extension that appends headers to every HTTP response.

// These are the callbacks and the allocator, which the proxy calls.
export * from "@solo-io/proxy-runtime/proxy";
import {
  Context,
  FilterHeadersStatusValues,
  LogLevelValues,
  RootContext,
  log,
  registerRootContext,
  stream_context,
} from "@solo-io/proxy-runtime";
import { BufferTypeValues, get_buffer_bytes } from "@solo-io/proxy-runtime/runtime";
import { Config, parse } from "./config";

// The root context. It holds the configuration for new requests.
class Plugin extends RootContext {
  config: Config = new Config();

  // Reads a new configuration. If it returns false, the proxy rejects the configuration.
  //
  // The SDK's own method is not called: version 0.1.8 passes the configuration's size as the address
  // at which the proxy stores a size.
  onConfigure(size: u32): bool {
    const config = parse(get_buffer_bytes(BufferTypeValues.PluginConfiguration, 0, size));
    if (config.error.length > 0) {
      // The proxy keeps the last good configuration.
      log(LogLevelValues.error, "configuration rejected: " + config.error);
      return false;
    }
    log(LogLevelValues.info, "appending to every response: " + config.names());
    this.config = config;
    return true;
  }

  // A request keeps the configuration it began with.
  createContext(id: u32): Context {
    return new Filter(id, this, this.config);
  }
}

// The HTTP context: one for each request and its response.
class Filter extends Context {
  constructor(id: u32, plugin: Plugin, private config: Config) {
    super(id, plugin);
  }

  onResponseHeaders(_count: u32, _end_of_stream: bool): FilterHeadersStatusValues {
    const headers = this.config.headers;
    for (let i = 0; i < headers.length; i++) {
      stream_context.headers.response.add(headers[i].name, headers[i].value);
    }
    return FilterHeadersStatusValues.Continue;
  }
}

// The SDK looks for the plugin's root ID among these names, and aborts if it is not there. If no root ID is
// configured, a mesh passes an empty one.
registerRootContext((id: u32) => new Plugin(id), "");
registerRootContext((id: u32) => new Plugin(id), "append_header");
