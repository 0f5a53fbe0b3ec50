// A Proxy-Wasm extension that appends headers to every HTTP response.
package main

import (
	"errors"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// A proxy starts the module as a library: it calls init functions, but not main.
func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

// plugin is the root context. It holds the configuration for new requests.
type plugin struct {
	types.DefaultPluginContext
	headers []header
}

// OnPluginStart reads a new configuration. If it fails, the proxy rejects the configuration.
func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	// An empty configuration is "not found" to the SDK.
	configuration, err := proxywasm.GetPluginConfiguration()
	if err != nil && !errors.Is(err, types.ErrorStatusNotFound) {
		proxywasm.LogErrorf("cannot read the configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	headers, err := parse(configuration)
	if err != nil {
		// The proxy keeps the last good configuration.
		proxywasm.LogErrorf("configuration rejected: %v", err)
		return types.OnPluginStartStatusFailed
	}
	p.headers = headers
	proxywasm.LogInfof("appending to every response: %s", names(headers))
	return types.OnPluginStartStatusOK
}

// NewHttpContext returns the HTTP context of a request, which keeps the configuration it began with.
func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &filter{headers: p.headers}
}

// filter is the HTTP context: one for each request and its response.
type filter struct {
	types.DefaultHttpContext
	headers []header
}

func (f *filter) OnHttpResponseHeaders(int, bool) types.Action {
	for _, header := range f.headers {
		if err := proxywasm.AddHttpResponseHeader(header.name, header.value); err != nil {
			proxywasm.LogErrorf("cannot append %s: %v", header.name, err)
		}
	}
	return types.ActionContinue
}

// names lists the headers for the log, each name once.
func names(headers []header) string {
	var list []string
	for i, header := range headers {
		if i == 0 || header.name != headers[i-1].name {
			list = append(list, header.name)
		}
	}
	if list == nil {
		return "nothing"
	}
	return strings.Join(list, ", ")
}
