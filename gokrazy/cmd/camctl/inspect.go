// camctl inspect: what an image or a card holds, without changing it.

package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/gokrazy/image"
	"github.com/krazycam/krazycam/gokrazy/inspect"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// mostMemory is from where on the collector works harder, in bytes: what a stranger's image can make
// inspect hold is bounded, and garbage comes on top.
const mostMemory = 120 << 20

func newInspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Shows what an image or a card holds",
		Args:  exactly("IMAGE"),
	}
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, size, err := openUnpacked(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(mostMemory))
		report, err := inspect.Image(cmd.Context(), f, size)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if *asJSON {
			err = printJSON(cmd, report)
		} else {
			err = printReport(cmd.OutOrStdout(), report)
		}
		if err == nil && len(report.Problems) > 0 {
			err = fmt.Errorf("%s: %d problems, listed above: do not flash it", args[0], len(report.Problems))
		}
		return err
	}
	return cmd
}

// printReport shows all that came out of the image through printable: it may be
// a stranger's.
func printReport(out io.Writer, r inspect.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "board\t%s\nkernel\t%s\ncommand line\t%s\nseed\t%s\nsize\t%d\nsha256\t%s\n",
		printable(r.Board), printable(r.Kernel), printable(r.Cmdline), r.Seed, r.Size, r.SHA256)
	for _, raw := range r.Raw {
		fmt.Fprintf(w, "%s\tsector %d, %d bytes, sha256 %s\n", printable(raw.Name), raw.Sector, raw.Size, raw.SHA256)
	}
	fmt.Fprintln(w, "\npartition\tname\tstart\tsize\tholds\tused\tsha256 of what is used")
	for _, p := range r.Partitions {
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%s\t%d\t%s\n",
			p.Number, printable(p.Name), p.Start, p.Size, p.Holds, p.Used, p.SHA256)
	}
	fmt.Fprintf(w, "\nstarts\t%s\n", pointersText(r.Pointers))
	for _, slot := range r.Slots {
		fmt.Fprintf(w, "\nslot %s\t%s\n", slot.Name, slotState(slot))
		if len(slot.Programs) > 0 {
			fmt.Fprintln(w, "program\tmachine\tlinked\tcgo\tversion\tsize\tsha256")
		}
		for _, p := range slot.Programs {
			fmt.Fprintf(w, "%s\t%s\t%s\t%t\t%s\t%d\t%s\n",
				printable(p.Path), p.Machine, linked(p), p.Cgo, printable(p.Version), p.Size, p.SHA256)
		}
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(w, "\nPROBLEM\t%s", printable(problem))
	}
	if len(r.Problems) > 0 {
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// pointersText says which slot starts on which models.
func pointersText(p inspect.Pointers) string {
	var words []string
	for _, place := range []struct {
		what string
		slot slot.Name
	}{
		{"config.txt: slot %s", p.Config}, {"tryboot.txt: slot %s", p.Tryboot}, {"U-Boot: slot %s", p.UBoot},
		{"to be tried: slot %s", p.Try},
	} {
		if place.slot != slot.None {
			words = append(words, fmt.Sprintf(place.what, place.slot))
		}
	}
	return strings.Join(words, ", ")
}

func slotState(s inspect.Slot) string {
	var words []string
	if s.Promoted {
		words = append(words, "promoted")
	}
	if s.Empty {
		words = append(words, "empty")
	}
	if s.Version != "" {
		words = append(words, fmt.Sprintf("version %s, index %d", printable(s.Version), s.Index),
			"takes updates by "+cmp.Or(strings.Join(keyNames(s.Keys), " or "), "no key but the seed's"))
	}
	if s.Kernel != "" {
		words = append(words, "kernel "+printable(s.Kernel))
	}
	for _, release := range s.Modules {
		words = append(words, "modules for "+printable(release))
	}
	if len(s.Faults) > 0 && !s.Promoted {
		words = append(words, "not whole: "+printable(s.Faults[0]))
	}
	return strings.Join(words, ", ")
}

func linked(p image.Program) string {
	if p.Static {
		return "static"
	}
	return "dynamic"
}

// printable keeps a stranger's text from steering the terminal.
func printable(s string) string {
	var out strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}
