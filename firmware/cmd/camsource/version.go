// camsource version: which version this is, and how it was built.

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
)

// Set by scripts/build: the version of the tree, and its commit's time in seconds since 1970.
var version, buildTime = "unknown", ""

func newVersionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Prints the version", Args: noArguments}
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return printVersion(cmd.OutOrStdout(), *asJSON) }
	return cmd
}

// addJSONFlag gives a verb its --json flag.
func addJSONFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print one JSON object")
}

func printVersion(w io.Writer, asJSON bool) error {
	v := struct {
		Version   string `json:"version"`
		BuildTime string `json:"build_time_unix,omitempty"`
		Go        string `json:"go"`
		Arch      string `json:"arch"`
	}{version, buildTime, runtime.Version(), runtime.GOARCH}
	if asJSON {
		return json.NewEncoder(w).Encode(v)
	}
	_, err := fmt.Fprintf(w, "camsource %s (%s, %s)\n", v.Version, v.Go, v.Arch)
	return err
}
