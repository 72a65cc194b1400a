// Go's compress/gzip as a program: standard input to standard output; -d inflates.
package main

import (
	"compress/gzip"
	"io"
	"log"
	"os"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-d" {
		reader, err := gzip.NewReader(os.Stdin)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := io.Copy(os.Stdout, reader); err != nil {
			log.Fatal(err)
		}
		return
	}
	writer := gzip.NewWriter(os.Stdout)
	if _, err := io.Copy(writer, os.Stdin); err != nil {
		log.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		log.Fatal(err)
	}
}
