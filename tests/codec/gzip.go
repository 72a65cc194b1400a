// Go's compress/gzip as a program: standard input to standard output.
// -level N deflates at that level, -2 is Huffman codes only; -d inflates the one member there is.
package main

import (
	"bufio"
	"compress/gzip"
	"flag"
	"io"
	"log"
	"os"
)

func main() {
	level := flag.Int("level", gzip.DefaultCompression, "")
	inflates := flag.Bool("d", false, "")
	flag.Parse()
	work := deflate
	if *inflates {
		work = inflate
	}
	if err := work(*level); err != nil {
		log.Fatal(err)
	}
}

func deflate(level int) error {
	writer, err := gzip.NewWriterLevel(os.Stdout, level)
	if err != nil {
		return err
	}
	if _, err := io.Copy(writer, os.Stdin); err != nil {
		return err
	}
	return writer.Close()
}

func inflate(int) error {
	blob := bufio.NewReader(os.Stdin)
	reader, err := gzip.NewReader(blob)
	if err != nil {
		return err
	}
	reader.Multistream(false)
	if _, err := io.Copy(os.Stdout, reader); err != nil {
		return err
	}
	if left, _ := io.Copy(io.Discard, blob); left > 0 {
		log.Fatalf("%d bytes behind the member", left)
	}
	return nil
}
