// Pulls an image as containerd or BuildKit do: configuration, resolver and fetcher are their own.
//
// usage: puller containerd HOSTS_FOLDER REFERENCE
//        puller buildkit BUILDKITD_TOML REFERENCE
//
// Prints one JSON object: what the reference resolved to, and the blobs that were fetched and verified.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	hosts "github.com/containerd/containerd/v2/core/remotes/docker/config"
	buildkitd "github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/util/resolver"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

type result struct {
	Target ocispec.Descriptor   `json:"target"`
	Blobs  []ocispec.Descriptor `json:"blobs"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: puller containerd|buildkit CONFIGURATION REFERENCE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(client, configuration, reference string) error {
	ctx := context.Background()
	registries, err := registriesOf(ctx, client, configuration)
	if err != nil {
		return err
	}
	images := docker.NewResolver(docker.ResolverOptions{Hosts: registries})
	name, target, err := images.Resolve(ctx, reference)
	if err != nil {
		return fmt.Errorf("resolve: %w", err)
	}
	fetcher, err := images.Fetcher(ctx, name)
	if err != nil {
		return err
	}
	found := result{Target: target}
	if err := fetch(ctx, fetcher, target, &found); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func registriesOf(ctx context.Context, client, configuration string) (docker.RegistryHosts, error) {
	if client == "containerd" {
		options := hosts.HostOptions{HostDir: hosts.HostDirFromRoot(configuration)}
		return hosts.ConfigureHosts(ctx, options), nil
	}
	daemon, err := buildkitd.LoadFile(configuration)
	if err != nil {
		return nil, err
	}
	return resolver.NewRegistryConfig(daemon.Registries), nil
}

func fetch(ctx context.Context, fetcher remotes.Fetcher, blob ocispec.Descriptor, found *result) error {
	data, err := read(ctx, fetcher, blob)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", blob.Digest, err)
	}
	found.Blobs = append(found.Blobs, ocispec.Descriptor{MediaType: blob.MediaType, Digest: blob.Digest, Size: blob.Size})
	children := []ocispec.Descriptor{}
	if images.IsIndexType(blob.MediaType) {
		var index ocispec.Index
		if err := json.Unmarshal(data, &index); err != nil {
			return err
		}
		children = index.Manifests
	} else if images.IsManifestType(blob.MediaType) {
		var manifest ocispec.Manifest
		if err := json.Unmarshal(data, &manifest); err != nil {
			return err
		}
		children = append(manifest.Layers, manifest.Config)
	}
	for _, child := range children {
		if err := fetch(ctx, fetcher, child, found); err != nil {
			return err
		}
	}
	return nil
}

func read(ctx context.Context, fetcher remotes.Fetcher, blob ocispec.Descriptor) ([]byte, error) {
	body, err := fetcher.Fetch(ctx, blob)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	if got := digest.FromBytes(data); got != blob.Digest || int64(len(data)) != blob.Size {
		return nil, fmt.Errorf("%d bytes with the digest %s", len(data), got)
	}
	return data, nil
}
