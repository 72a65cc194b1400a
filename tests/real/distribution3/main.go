// Distribution 3 with its storage in a folder, and without the drivers for clouds, which take minutes to build.
//
// usage: distribution3 CONFIG
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: distribution3 CONFIG")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, serve(os.Args[1]))
	os.Exit(1)
}

func serve(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	config, err := configuration.Parse(file)
	if err != nil {
		return err
	}
	app := handlers.NewApp(context.Background(), config)
	return http.ListenAndServe(config.HTTP.Addr, app)
}
