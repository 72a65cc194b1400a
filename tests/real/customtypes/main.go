// Command customtypes reads objects, one JSON document a line, strictly into the types that their
// makers publish, and prints their kinds. A field that the types do not have is an error.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

func main() {
	if err := read(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var about struct{ Kind string }
		if err := json.Unmarshal(lines.Bytes(), &about); err != nil {
			return err
		}
		if err := check(about.Kind, lines.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", about.Kind, err)
		}
		fmt.Println(about.Kind)
	}
	return lines.Err()
}

func check(kind string, document []byte) error {
	kinds := map[string]any{
		"HTTPRoute":      new(gateway.HTTPRoute),
		"PrometheusRule": new(monitoring.PrometheusRule),
		"ServiceMonitor": new(monitoring.ServiceMonitor),
	}
	target, known := kinds[kind]
	if !known {
		return fmt.Errorf("no type is known")
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	return decoder.Decode(target)
}
