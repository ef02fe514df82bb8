// camsource cameras: which cameras are there, and which one it would take.

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/krazycam/krazycam/firmware/camera"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/v4l2"
)

func newCamerasCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cameras",
		Short: "Lists the cameras, and says which one camsource would take and why",
		Long: "Lists the cameras, and says which one camsource would take and why.\n" +
			"It takes all flags of camsource, so that a whole command line can be asked about.",
		Args: noArguments,
	}
	o := addOptions(cmd)
	decisive := []string{"config", "camera", "size", "fps"}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = !slices.Contains(decisive, f.Name) })
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.resolve(); err != nil {
			return err
		}
		return printCameras(cmd.OutOrStdout(), o.config, *asJSON)
	}
	return cmd
}

// A listedCamera is a camera with what this configuration would make of it.
type listedCamera struct {
	v4l2.Device
	Taken bool  `json:"taken"`          // this is the one that camsource would open
	Mode  *mode `json:"mode,omitempty"` // what it would be asked for
}

// A mode is a format with size and rate, and why.
type mode struct {
	Format   string        `json:"format"`
	Width    int           `json:"width"`
	Height   int           `json:"height"`
	Interval time.Duration `json:"interval_ns"`
	Why      string        `json:"why"`
}

// A listing is what camsource cameras prints.
type listing struct {
	Cameras []listedCamera `json:"cameras"`
	Taken   string         `json:"taken,omitempty"` // the node of the one that would be opened
	Why     string         `json:"why"`             // and why that one, or none
}

// printCameras prints every device that can capture, as a table or as one JSON object.
func printCameras(w io.Writer, c config.Config, asJSON bool) error {
	devices, err := v4l2.Discover()
	if err != nil {
		return err
	}
	l, err := listCameras(devices, c)
	switch {
	case asJSON:
		return json.NewEncoder(w).Encode(l)
	case err != nil && len(devices) == 0:
		return err
	}
	return l.printTable(w)
}

// listCameras says which of the devices c would take and in which mode. The listing is
// complete with an error, too: v4l2.ErrNoCamera if none fits.
func listCameras(devices []v4l2.Device, c config.Config) (listing, error) {
	l := listing{Cameras: make([]listedCamera, len(devices))}
	wanted, err := camera.Request(c)
	if err != nil {
		return l, err
	}
	for i, d := range devices {
		l.Cameras[i].Device = d
		if all := v4l2.Rank(wanted, d.Offers); len(all) > 0 {
			best := all[0]
			l.Cameras[i].Mode = &mode{best.Format.String(), best.Width, best.Height, best.Interval, best.Why}
		}
	}
	taken, why, err := v4l2.SelectDevice(devices, wanted.Device)
	if err != nil {
		l.Why = err.Error()
		return l, err
	}
	l.Cameras[taken].Taken, l.Taken, l.Why = true, devices[taken].Path, why
	return l, nil
}

// printTable writes a table with a line for each size, and below it which camera would be
// taken and why.
func (l listing) printTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tNODE\tCAMERA\tUSB PORT\tSERIAL\tFORMAT\tSIZE\tPICTURES/S")
	for _, c := range l.Cameras {
		mark := ""
		if c.Taken {
			mark = "*"
		}
		first := fmt.Sprintf("%s\t%s\t%s\t%s\t%s", mark, c.Path, c.Name, c.Port, c.Serial)
		for _, line := range modeColumns(c.Device) {
			fmt.Fprintf(t, "%s\t%s\n", first, line)
			first = "\t\t\t\t"
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", l.verdict())
	return err
}

// verdict says in a sentence which camera would be taken.
func (l listing) verdict() string {
	for _, c := range l.Cameras {
		switch {
		case !c.Taken:
		case c.Mode == nil:
			return fmt.Sprintf("* would be taken: it is %s. No mode can be named: %s", l.Why, whyNoOffer(c.Device))
		default:
			return fmt.Sprintf("* would be taken: it is %s.\n  It would be asked for %s.", l.Why, c.Mode.Why)
		}
	}
	return "None would be taken: " + l.Why
}

// whyNoOffer is why a device offers nothing.
func whyNoOffer(d v4l2.Device) string {
	if d.Problem != "" {
		return d.Problem
	}
	return "it offers no format that can be read"
}

// modeColumns are the last three columns of a device: one line for each format and size.
func modeColumns(d v4l2.Device) []string {
	if len(d.Offers) == 0 {
		return []string{"-\t-\t" + whyNoOffer(d)}
	}
	var all []string
	for _, o := range d.Offers {
		format := o.Format.String()
		for _, s := range o.Sizes {
			all = append(all, fmt.Sprintf("%s\t%s\t%s", format, s, rateColumn(s)))
			format = ""
		}
		if len(o.Sizes) == 0 {
			all = append(all, format+"\tnot said\t")
		}
	}
	return all
}

// rateColumn has the pictures per second, the fastest first: "30 15 10", of a range "60 to 5".
func rateColumn(s v4l2.Size) string {
	var words []string
	for _, d := range slices.Sorted(slices.Values(s.Intervals)) {
		words = append(words, rateText(d))
	}
	if s.Shortest > 0 {
		words = append(words, rateText(s.Shortest), "to", rateText(s.Longest))
	}
	return strings.Join(words, " ")
}

func rateText(interval time.Duration) string { return fmt.Sprintf("%.4g", 1/interval.Seconds()) }
