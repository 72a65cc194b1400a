// Pulls many images at once, each whole, and says in JSON how that went.
//
// usage: pulls < LINES      a line is: BASE-URL REPOSITORY TAG
//
// Every line is a client of its own, with its own connections: it asks for the manifest, then for
// the config and all layers, one after the other, and checks each digest. All begin together.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"

type descriptor struct {
	Digest string `json:"digest"`
}

type manifest struct {
	Config descriptor   `json:"config"`
	Layers []descriptor `json:"layers"`
}

type pull struct {
	Repository string  `json:"repository"`
	Source     string  `json:"source"`
	Digest     string  `json:"digest"`
	Manifest   float64 `json:"manifest_seconds"`
	Whole      float64 `json:"seconds"`
	Bytes      int64   `json:"bytes"`
	Error      string  `json:"error"`
}

func main() {
	var wanted [][]string
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		wanted = append(wanted, strings.Fields(lines.Text()))
	}
	pulls := make([]pull, len(wanted))
	var ready, group sync.WaitGroup
	begin := make(chan struct{})
	for n, words := range wanted {
		ready.Add(1)
		group.Add(1)
		go func() {
			defer group.Done()
			ready.Done()
			<-begin
			pulls[n] = run(words[0], words[1], words[2])
		}()
	}
	ready.Wait()
	close(begin)
	group.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(pulls); err != nil {
		os.Exit(1)
	}
}

func run(base, repository, tag string) pull {
	found := pull{Repository: repository}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	begun := time.Now()
	body, headers, err := ask(client, fmt.Sprintf("%s/v2/%s/manifests/%s", base, repository, tag))
	found.Manifest = time.Since(begun).Seconds()
	if err == nil {
		found.Source = headers.Get("X-Squashproxy-Source")
		found.Digest = headers.Get("Docker-Content-Digest")
		err = check(body, found.Digest)
	}
	var parsed manifest
	if err == nil {
		err = json.Unmarshal(body, &parsed)
	}
	if err == nil {
		for _, blob := range append([]descriptor{parsed.Config}, parsed.Layers...) {
			body, _, err = ask(client, fmt.Sprintf("%s/v2/%s/blobs/%s", base, repository, blob.Digest))
			if err == nil {
				err = check(body, blob.Digest)
			}
			if err != nil {
				break
			}
			found.Bytes += int64(len(body))
		}
	}
	found.Whole = time.Since(begun).Seconds()
	if err != nil {
		found.Error = err.Error()
	}
	return found
}

func ask(client *http.Client, url string) ([]byte, http.Header, error) {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Accept", accept)
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != 200 {
		err = fmt.Errorf("HTTP %d for %s: %.200s", response.StatusCode, url, body)
	}
	return body, response.Header, err
}

func check(body []byte, digest string) error {
	sum := sha256.Sum256(body)
	if found := "sha256:" + hex.EncodeToString(sum[:]); found != digest {
		return fmt.Errorf("%s came as %s", digest, found)
	}
	return nil
}
