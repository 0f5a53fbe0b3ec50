// An API server for custom resources, with the code of Kubernetes and etcd in one process. It
// validates resources against their definitions, as the API server of a cluster does: types, unknown
// fields, patterns and expressions.
//
// Usage: apiserver DIRECTORY
//
// It keeps its files in the directory. When it is ready, it writes DIRECTORY/kubeconfig.
package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	extensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	generatedopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

const startTimeout = time.Minute

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apiserver DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(directory string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	storage, err := startEtcd(directory)
	if err != nil {
		return fmt.Errorf("etcd does not start: %w", err)
	}
	defer storage.Close()

	server, err := newServer(directory, storage.Clients[0].Addr().String())
	if err != nil {
		return fmt.Errorf("the API server does not start: %w", err)
	}
	if err := serveDiscovery(server); err != nil {
		return err
	}
	server.AddPostStartHookOrDie("write-kubeconfig", func(genericapiserver.PostStartHookContext) error {
		return writeKubeconfig(filepath.Join(directory, "kubeconfig"), server.LoopbackClientConfig)
	})
	return server.PrepareRun().RunWithContext(ctx)
}

// startEtcd starts etcd on a free port.
func startEtcd(directory string) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(directory, "etcd")
	config.LogLevel = "error"
	config.LogOutputs = []string{"stderr"}
	free := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	config.ListenClientUrls = []url.URL{free}
	config.ListenPeerUrls = []url.URL{free}
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(startTimeout):
		etcd.Close()
		return nil, fmt.Errorf("not ready within %s", startTimeout)
	}
}

// newServer configures a server on a free port, without authentication by a cluster.
func newServer(directory, etcd string) (*genericapiserver.GenericAPIServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	// The server requires the address of a core API server, but sends it no requests.
	nowhere := filepath.Join(directory, "nowhere")
	if err := writeKubeconfig(nowhere, &rest.Config{Host: "http://127.0.0.1:9"}); err != nil {
		return nil, err
	}
	o := options.NewCustomResourceDefinitionsServerOptions(os.Stdout, os.Stderr)
	o.RecommendedOptions.Etcd.StorageConfig.Transport.ServerList = []string{"http://" + etcd}
	o.RecommendedOptions.SecureServing.Listener = listener
	o.RecommendedOptions.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	o.RecommendedOptions.SecureServing.ServerCert.CertDirectory = filepath.Join(directory, "certificates")
	// There is no cluster behind it that could authenticate, authorize or admit.
	o.RecommendedOptions.Authentication.RemoteKubeConfigFileOptional = true
	o.RecommendedOptions.Authentication.SkipInClusterLookup = true
	o.RecommendedOptions.Authorization.RemoteKubeConfigFileOptional = true
	o.RecommendedOptions.Authorization.AlwaysAllowGroups = []string{"system:masters"}
	o.RecommendedOptions.CoreAPI.CoreAPIKubeconfigPath = nowhere
	o.RecommendedOptions.Admission = nil
	if err := o.Complete(); err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	config, err := o.Config()
	if err != nil {
		return nil, err
	}
	definitions := openapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(generatedopenapi.GetOpenAPIDefinitions)
	namer := openapinamer.NewDefinitionNamer(extensions.Scheme)
	config.GenericConfig.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	server, err := config.Complete().New(genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, err
	}
	return server.GenericAPIServer, nil
}

// writeKubeconfig writes the file with which kubectl reaches the server.
func writeKubeconfig(path string, client *rest.Config) error {
	config := api.NewConfig()
	config.Clusters["test"] = &api.Cluster{
		Server:                   client.Host,
		CertificateAuthorityData: client.CAData,
		TLSServerName:            client.ServerName,
	}
	config.AuthInfos["test"] = &api.AuthInfo{Token: client.BearerToken}
	config.Contexts["test"] = &api.Context{Cluster: "test", AuthInfo: "test", Namespace: "default"}
	config.CurrentContext = "test"
	// Renamed when it is complete, so that nobody reads a part of it.
	next := path + ".next"
	if err := clientcmd.WriteToFile(*config, next); err != nil {
		return err
	}
	return os.Rename(next, path)
}
