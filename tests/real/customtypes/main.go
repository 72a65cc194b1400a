// Command customtypes reads objects, one JSON document a line, strictly into the types that their
// makers publish, and prints their kinds. A field that the types do not have is an error. A document
// without a kind is a dashboard of Grafana.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

func main() {
	plugins.RegisterDefaultPlugins()
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
		fmt.Println(cmp.Or(about.Kind, "Dashboard"))
	}
	return lines.Err()
}

func check(kind string, document []byte) error {
	if kind == "" {
		return checkDashboard(document)
	}
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

// checkDashboard returns nil where the SDK, as if it had failed, returns a list of no errors.
func checkDashboard(document []byte) error {
	err := new(dashboard.Dashboard).UnmarshalJSONStrict(document)
	var found cog.BuildErrors
	if errors.As(err, &found) && len(found) == 0 {
		return nil
	}
	return err
}
