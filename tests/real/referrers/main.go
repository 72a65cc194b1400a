// A registry of another make than distribution, with the referrers API: that of go-containerregistry.
//
// usage: referrers ADDRESS
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: referrers ADDRESS")
		os.Exit(2)
	}
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	err := http.ListenAndServe(os.Args[1], registry.New(registry.WithReferrersSupport(true), quiet))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
