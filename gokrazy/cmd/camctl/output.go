// What all verbs share on stdout and stderr: --json and the log.

package main

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
)

// addJSONFlag gives a verb its --json flag.
func addJSONFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print one JSON object on stdout")
}

// printJSON writes v as one indented JSON object to the verb's stdout.
func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON to stdout: %w", err)
	}
	return nil
}

// printJSONLine writes v as one JSON object on a line of its own: one of many.
func printJSONLine(cmd *cobra.Command, v any) error {
	if err := json.NewEncoder(cmd.OutOrStdout()).Encode(v); err != nil {
		return fmt.Errorf("write JSON to stdout: %w", err)
	}
	return nil
}

// newLog logs to the verb's stderr, so that stdout stays for its result.
func newLog(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}
