package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"istio.io/istio/pkg/wasm"
)

// fetched is the result of fetching an image with Istio's agent.
type fetched struct {
	// Name is the reference, or the name of the layout's directory.
	Name string `json:"name"`
	// SHA256 is the digest of the module.
	SHA256 string `json:"sha256,omitempty"`
	Error  string `json:"error,omitempty"`
	// DigestError is the error of fetching the same image by digest instead of by tag.
	DigestError string `json:"digestError,omitempty"`
}

func fetchAll(references []string) error {
	return withCache(func(cache wasm.Cache) error {
		for _, reference := range references {
			if err := printLine(fetch(cache, reference, reference)); err != nil {
				return err
			}
		}
		return nil
	})
}

func fetchLayouts(layouts []string) error {
	return withCache(func(cache wasm.Cache) error {
		for _, layout := range layouts {
			name := filepath.Base(layout)
			image, digest, server, err := serve(layout, name)
			if err != nil {
				return fmt.Errorf("%s: %w", layout, err)
			}
			result := fetch(cache, name, image+":"+name)
			result.DigestError = fetch(cache, name, image+"@"+digest).Error
			server.Close()
			if err := printLine(result); err != nil {
				return err
			}
		}
		return nil
	})
}

func withCache(use func(wasm.Cache) error) error {
	directory, err := os.MkdirTemp("", "wasm")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	cache := wasm.NewLocalFileCache(directory, wasm.Options{})
	defer cache.Cleanup()
	return use(cache)
}

func fetch(cache wasm.Cache, name, reference string) fetched {
	options := wasm.GetOptions{ResourceName: name, ResourceVersion: "1", RequestTimeout: 10 * time.Second}
	path, err := cache.Get("oci://"+reference, options)
	if err != nil {
		return fetched{Name: name, Error: err.Error()}
	}
	module, err := os.ReadFile(path)
	if err != nil {
		return fetched{Name: name, Error: err.Error()}
	}
	digest := sha256.Sum256(module)
	return fetched{Name: name, SHA256: hex.EncodeToString(digest[:])}
}

// descriptor is a part of a manifest.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
}

type manifest struct {
	MediaType string       `json:"mediaType"`
	Manifests []descriptor `json:"manifests"`
}

// serve serves the first image of a layout from a registry, under a tag, and returns its repository and
// its digest.
func serve(layout, tag string) (string, string, *httptest.Server, error) {
	blobs := registry.NewDiskBlobHandler(filepath.Join(layout, "blobs"))
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	text, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return "", "", nil, err
	}
	var index manifest
	if err := json.Unmarshal(text, &index); err != nil {
		return "", "", nil, err
	}
	if len(index.Manifests) == 0 {
		return "", "", nil, fmt.Errorf("index.json has no manifests")
	}
	image := index.Manifests[0]
	server := httptest.NewServer(registry.New(registry.WithBlobHandler(blobs), quiet))
	for _, reference := range []string{image.Digest, tag} {
		if err := push(server.URL, layout, image, reference); err != nil {
			server.Close()
			return "", "", nil, err
		}
	}
	return strings.TrimPrefix(server.URL, "http://") + "/image", image.Digest, server, nil
}

// push pushes a manifest under a tag or its digest, after the manifests that it refers to. The registry
// already has the blobs.
func push(server, layout string, image descriptor, reference string) error {
	text, err := os.ReadFile(filepath.Join(layout, "blobs", strings.Replace(image.Digest, ":", "/", 1)))
	if err != nil {
		return err
	}
	var content manifest
	if err := json.Unmarshal(text, &content); err != nil {
		return err
	}
	for _, child := range content.Manifests {
		if err := push(server, layout, child, child.Digest); err != nil {
			return err
		}
	}
	url := server + "/v2/image/manifests/" + reference
	request, err := http.NewRequest(http.MethodPut, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", image.MediaType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("the registry responds to a push with %s", response.Status)
	}
	return nil
}
