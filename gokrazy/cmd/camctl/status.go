// camctl status, promote, reboot: short questions to boards.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/remote"
)

// A statusReport is one board of camctl status --json.
type statusReport struct {
	Host   string      `json:"host"`
	Status *api.Status `json:"status,omitempty"`
	// Events are the last ones of the board, the oldest first; only of --events.
	Events []events.Event `json:"events,omitempty"`
	Error  string         `json:"error,omitempty"`
}

func newStatusCommand() *cobra.Command {
	var with access
	cmd := &cobra.Command{
		Use:   "status HOST…",
		Short: "Says what boards run, and how their updates fared",
		Long: "Says what boards run, and how their updates fared. Without a password a board shows what a stranger\n" +
			"may see: version, slot, how far its stream is.",
		Args: atLeastOne("HOST"),
	}
	with.add(cmd)
	asJSON := addJSONFlag(cmd)
	withEvents := cmd.Flags().Bool("events", false,
		"also the board's last events: starts, panics, updates, refusals, repairs; needs the password")
	cmd.RunE = func(cmd *cobra.Command, hosts []string) error {
		if with.fingerprint != "" && len(hosts) > 1 {
			return errOneHost
		}
		var reports []statusReport
		var failed []error
		for _, host := range hosts {
			r, err := reportOf(cmd, &with, host, *withEvents)
			if err != nil {
				failed = append(failed, err)
				r.Error = oneLine(err)
			}
			reports = append(reports, r)
			if !*asJSON {
				r.write(cmd.OutOrStdout())
			}
		}
		if *asJSON {
			failed = append(failed, printJSON(cmd, map[string]any{"boards": reports}))
		}
		return errors.Join(failed...)
	}
	return cmd
}

// reportOf asks one board. With an error, the report has what the board said before it.
func reportOf(cmd *cobra.Command, with *access, host string, withEvents bool) (statusReport, error) {
	r := statusReport{Host: host}
	client, err := with.client(cmd, host, withEvents)
	if err != nil {
		return r, err
	}
	status, err := client.Status(cmd.Context())
	if err != nil {
		return r, err
	}
	r.Status = &status
	if !withEvents {
		return r, nil
	}
	list, err := client.Events(cmd.Context())
	r.Events = list.Events
	return r, err
}

// write writes what the board said; nothing if it said nothing.
func (r statusReport) write(w io.Writer) {
	if r.Status != nil {
		writeStatus(w, r.Host, *r.Status)
	}
	if len(r.Events) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  events")
	for _, e := range r.Events {
		fmt.Fprintf(t, "    %s\t%s\t%s\n", e.At.UTC().Format(time.DateTime), printable(e.Kind), printable(e.Text))
	}
	_ = t.Flush()
}

// writeStatus writes a table without what the board does not say.
func writeStatus(w io.Writer, host string, s api.Status) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, printable(value))
		}
	}
	fmt.Fprintf(t, "%s\t%s\n", host, printable(joinWords(s.Hostname, s.Model)))
	line("  version", s.Version+ifTrue(s.OnTrial, ", on trial"))
	line("  slot", s.Slot+", promoted "+s.Promoted)
	line("  stream", streamWords(s.Rung))
	line("  up", (time.Duration(s.UptimeS) * time.Second).String())
	line("  started by", ifTrue(s.BootCause != "unknown", s.BootCause))
	line("  serial", s.Serial)
	if t := s.Trial; t != nil {
		line("  update", fmt.Sprintf("%s: %s, tries: %d", t.Version, t.State, t.Tries)+ifSaid(": ", t.Reason))
	}
	if f := s.Failed; f != nil {
		line("  failed", fmt.Sprintf("%s: %s (%s)", f.Version, f.Because, f.At.UTC().Format(time.DateTime)))
	}
	line("  busy", s.Busy)
	line("  no update", s.Updatable)
	line("  fetching", s.Pull)
	line("  /perm", s.Perm)
	line("  left behind", strings.Join(s.LeftBehind, ", "))
	line("  fingerprint", s.Fingerprint)
	line("  unsigned", ifTrue(s.Unsigned, "roots are taken by gokrazy's protocol (update.gokrazy)"))
	line("  password", ifTrue(!s.PasswordSet, "none: nothing can be changed over the network"))
	line("  more", ifTrue(!s.Whole && s.PasswordSet, "with the password (--password-file)"))
	_ = t.Flush() // stdout's own errors are not worth more words
}

// streamWords says a rung of package health, which camctl does not import, to an owner.
func streamWords(rung string) string {
	words := map[string]string{
		"none":      "no picture of a camera yet",
		"camera":    "the camera gives pictures, nothing grants the stream",
		"granted":   "the gateway grants it, nothing is sent yet",
		"sent":      "packets are sent, nobody says that they arrive",
		"validated": "the gateway says that it arrives",
		"reported":  "the receiver reports what arrives",
	}
	if text := words[rung]; text != "" {
		return rung + ": " + text
	}
	return rung
}

func ifTrue(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}

func ifSaid(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

func joinWords(words ...string) string {
	return strings.TrimSpace(strings.Join(words, "  "))
}

func newPromoteCommand() *cobra.Command {
	return newAskCommand("promote HOST", "Keeps the version that is on trial, or starts the other slot for good",
		"Keeps the version that is on trial. Without a trial the board starts the other slot for good, as after an\n"+
			"update that could not be judged.",
		"promoted", (*remote.Client).Promote)
}

func newRebootCommand() *cobra.Command {
	return newAskCommand("reboot HOST", "Restarts a board", "Restarts a board.", "restarts", (*remote.Client).Reboot)
}

// newAskCommand is a verb that has one board do one thing.
func newAskCommand(use, short, long, done string, ask func(*remote.Client, context.Context) error) *cobra.Command {
	var with access
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: exactly("HOST")}
	with.add(cmd)
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := with.client(cmd, args[0], true)
		if err != nil {
			return err
		}
		if err := ask(client, cmd.Context()); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, map[string]any{"host": args[0], "ok": true})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", args[0], done)
		return nil
	}
	return cmd
}
