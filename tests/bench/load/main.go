// Asks for one URL many times at once, and says in JSON how that went.
//
// usage: load URL REQUESTS CLIENTS
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"

type outcome struct {
	Seconds float64        `json:"seconds"`
	Bytes   int64          `json:"bytes"`
	Answers map[string]int `json:"answers"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: load URL REQUESTS CLIENTS")
		os.Exit(2)
	}
	requests, _ := strconv.ParseInt(os.Args[2], 10, 64)
	clients, _ := strconv.Atoi(os.Args[3])
	found := run(os.Args[1], requests, clients)
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		os.Exit(1)
	}
}

func run(url string, requests int64, clients int) outcome {
	transport := &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}
	client := &http.Client{Transport: transport}
	found := outcome{Answers: map[string]int{}}
	var lock sync.Mutex
	var group sync.WaitGroup
	var bytes int64
	left := requests
	begun := time.Now()
	for n := 0; n < clients; n++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for atomic.AddInt64(&left, -1) >= 0 {
				size, answer := ask(client, url)
				atomic.AddInt64(&bytes, size)
				lock.Lock()
				found.Answers[answer]++
				lock.Unlock()
			}
		}()
	}
	group.Wait()
	found.Seconds = time.Since(begun).Seconds()
	found.Bytes = bytes
	return found
}

// ask returns the size of the body, and what the answer was: its status, its digest, or its error.
func ask(client *http.Client, url string) (int64, string) {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return 0, err.Error()
	}
	request.Header.Set("Accept", accept)
	response, err := client.Do(request)
	if err != nil {
		return 0, "error"
	}
	defer response.Body.Close()
	size, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return size, "broken off"
	}
	return size, fmt.Sprintf("%d %s", response.StatusCode, response.Header.Get("Docker-Content-Digest"))
}
