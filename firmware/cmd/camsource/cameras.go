// camsource cameras: which cameras are there.

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/krazycam/krazycam/v4l2"
)

// cameras prints every device that can capture, as a table or as one JSON object.
func cameras(w io.Writer, asJSON bool) error {
	devices, err := v4l2.Discover()
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"cameras": devices})
	}
	if len(devices) == 0 {
		return v4l2.ErrNoCamera
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DEVICE\tNAME\tBUS\tFORMATS")
	for _, d := range devices {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", d.Path, d.Name, d.Bus, formats(d))
	}
	return t.Flush()
}

// formats is what a device offers, or why nobody could ask it.
func formats(d v4l2.Device) string {
	if d.Problem != "" {
		return d.Problem
	}
	var list []string
	for _, o := range d.Offers {
		list = append(list, o.String())
	}
	return strings.Join(list, "; ")
}
