// camctl sources: what of an image is under the GPL or a vendor's licence, in which
// version, and where its source is.

package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image"
	"github.com/krazycam/krazycam/gokrazy/inspect"
)

// errNotThose means that the image holds other files than its list of sources says.
var errNotThose = errors.New("files are not those that the list of sources is about")

func newSourcesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sources IMAGE",
		Short: "Says where kernel, modules and boot firmware come from, and where their source is",
		Long: "Lists kernel, device trees, modules and boot firmware of an image or a card with version,\n" +
			"checksum and the place of the corresponding source, and compares each file with the list.\n" +
			"Everything else in an image stands in its bill of materials, IMAGE" + image.SBOMSuffix + ".",
		Args: exactly("IMAGE"),
	}
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, size, err := openUnpacked(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(mostMemory))
		report, err := inspect.Provenance(cmd.Context(), f, size)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if *asJSON {
			err = printJSON(cmd, report)
		} else {
			printSources(cmd.OutOrStdout(), report)
		}
		if n := changed(report); n > 0 && err == nil {
			err = fmt.Errorf("%s: %d %w: it was changed after it was made", args[0], n, errNotThose)
		}
		return err
	}
	return cmd
}

// printSources shows the files as sha256sum would.
func printSources(out io.Writer, r card.Provenance) {
	fmt.Fprintf(out, "board %s, kernel %s\n", printable(r.Board), printable(r.Release))
	for _, p := range r.Parts {
		fmt.Fprintf(out, "\n%s %s", printable(p.Name), printable(p.Version))
		if p.Slot != "" {
			fmt.Fprintf(out, ", in slot %s", printable(p.Slot))
		}
		fmt.Fprintln(out)
		if p.SHA256 != "" {
			fmt.Fprintf(out, "package sha256 %s\n", printable(p.SHA256))
		}
		if p.Sum != "" {
			fmt.Fprintf(out, "module sum %s\n", printable(p.Sum))
		}
		fmt.Fprintf(out, "source: %s\n", printable(p.Source))
		for _, f := range p.Files {
			fmt.Fprintf(out, "%s  %s", printable(f.SHA256), printable(f.Path))
			if f.State != card.FileSame && f.State != card.FileInside {
				fmt.Fprintf(out, "  %s", f.State)
			}
			if f.Changed != "" {
				fmt.Fprintf(out, "  changed: %s", printable(f.Changed))
			}
			fmt.Fprintln(out)
		}
	}
}

func changed(r card.Provenance) int {
	n := 0
	for _, p := range r.Parts {
		for _, f := range p.Files {
			if f.State == card.FileDiffers || f.State == card.FileMissing {
				n++
			}
		}
	}
	return n
}
