// Istio's own code, for comparison: the agent's cache, which fetches modules, and istiod's
// validation of resources. Each command prints one JSON object a line.
//
// Usage:
//
//	istio fetch REFERENCE...    fetch images from registries
//	istio layouts DIRECTORY     fetch each image layout in a directory
//	istio validate FILE...      validate resources
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	istiolog "istio.io/istio/pkg/log"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: istio fetch REFERENCE... | layouts DIRECTORY | validate FILE...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command string, arguments []string) error {
	// Standard output is for the results.
	options := istiolog.DefaultOptions()
	options.OutputPaths = []string{"stderr"}
	if err := istiolog.Configure(options); err != nil {
		return err
	}
	switch command {
	case "fetch":
		return fetchAll(arguments)
	case "layouts":
		layouts, err := filepath.Glob(filepath.Join(arguments[0], "*"))
		if err != nil {
			return err
		}
		return fetchLayouts(layouts)
	case "validate":
		for _, file := range arguments {
			result, err := validate(file)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if err := printLine(result); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("unknown command %q", command)
	}
}

func printLine(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
