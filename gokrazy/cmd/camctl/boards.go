// camctl boards: the boards an image can be made for, and their models.

package main

import (
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/board"
)

type boardLine struct {
	Name   string      `json:"name"`
	About  string      `json:"about"`
	Arch   string      `json:"arch"`
	Models []modelLine `json:"models"`
}

type modelLine struct {
	Name     string `json:"name"`
	Size     string `json:"size"`
	FPS      int    `json:"fps"`
	Bitrate  int    `json:"bitrate"` // bit/s
	Speed    int    `json:"speed"`
	Threads  int    `json:"threads"`
	Estimate string `json:"estimate"`
	Source   string `json:"source"` // where the values come from, and which of them are estimates
}

func newBoardsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "boards",
		Short: "Lists the boards an image can be made for",
		Args:  cobra.NoArgs,
	}
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		lines := boardLines(board.All())
		if *asJSON {
			return printJSON(cmd, map[string]any{"boards": lines})
		}
		return printBoards(cmd, lines)
	}
	return cmd
}

func boardLines(boards []board.Board) []boardLine {
	var lines []boardLine
	for _, b := range boards {
		line := boardLine{Name: b.Name, About: b.About, Arch: b.Arch}
		for _, m := range b.Models {
			line.Models = append(line.Models, modelLine{
				Name: m.Name, Size: fmt.Sprintf("%dx%d", m.Width, m.Height), FPS: m.FPS, Bitrate: m.Bitrate,
				Speed: m.Speed, Threads: m.Threads, Estimate: m.Estimate, Source: m.Source,
			})
		}
		lines = append(lines, line)
	}
	return lines
}

func printBoards(cmd *cobra.Command, lines []boardLine) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, b := range lines {
		var sources []string // one line for those models that share it
		fmt.Fprintf(w, "%s: %s, %s\n", b.Name, b.About, b.Arch)
		fmt.Fprintln(w, "  model\tpicture\tfps\tbit/s\tspeed\tthreads\tencoder")
		for _, m := range b.Models {
			fmt.Fprintf(w, "  %s\t%s\t%d\t%d\t%d\t%d\t%s\n", m.Name, m.Size, m.FPS, m.Bitrate, m.Speed, m.Threads,
				m.Estimate)
			if !slices.Contains(sources, m.Source) {
				sources = append(sources, m.Source)
			}
		}
		for _, source := range sources {
			fmt.Fprintf(w, "  values: %s\n", source)
		}
	}
	return w.Flush()
}

// boardNames is what Tab offers behind --board.
func boardNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, b := range board.All() {
		names = append(names, cobra.CompletionWithDesc(b.Name, b.About))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
