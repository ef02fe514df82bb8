// The report: what was measured where, as a file that another can be compared with.

package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// A Report is one run of a bench. Its JSON is the result file.
type Report struct {
	Version     string    `json:"version"` // of camsource
	Model       string    `json:"model"`
	Arch        string    `json:"arch"`
	CPUs        int       `json:"cpus"`
	When        time.Time `json:"when"`
	Input       string    `json:"input"`
	Start       Machine   `json:"start"`
	End         Machine   `json:"end"`
	Interrupted bool      `json:"interrupted,omitempty"` // there would have been more rows
	FPS         int       `json:"fps"`                   // that the recommendation is for
	Rows        []Row     `json:"rows"`
	Recommended *Row      `json:"recommended,omitempty"` // nil: nothing is fast enough
}

// A Row is one setting and what it gave.
type Row struct {
	Size    Size    `json:"size"`
	Format  string  `json:"format"`
	Speed   int     `json:"speed"`
	Threads int     `json:"threads"`
	Bitrate int     `json:"bitrate"` // bit/s, asked for
	Frames  int     `json:"frames"`
	Dropped int     `json:"dropped"` // by the encoder's rate control
	FPS     float64 `json:"fps"`     // one picture after the other, without waiting
	CPU     CPU     `json:"cpu_ms"`  // for one picture
	Latency Latency `json:"latency_ms"`
	Kbit    float64 `json:"kbit_s"`
	PSNR    float64 `json:"psnr_y_db"`
}

// CPU is milliseconds of processor time, of all cores together.
type CPU struct {
	Convert float64 `json:"convert"`
	Encode  float64 `json:"encode"`
	Send    float64 `json:"send"`
	All     float64 `json:"all"`
}

// Latency is milliseconds from a buffer until its last packet is with the kernel.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

func newReport(c Config) Report {
	input := "pattern"
	if c.Input != "" {
		input = filepath.Base(c.Input)
	}
	return Report{
		Version: c.Version, Model: modelName(os.DirFS("/")), Arch: runtime.GOARCH, CPUs: runtime.NumCPU(),
		When: time.Now().UTC().Truncate(time.Second), Input: input, FPS: c.FPS, Start: readMachine(),
		Rows: []Row{}, Interrupted: true, // until the last row is there
	}
}

func (r *Report) addRow(row Row) {
	r.Rows = append(r.Rows, row)
	r.End = readMachine()
	r.Recommended = recommend(r.Rows, r.FPS)
}

// Answers says whether the same program on the same machine measured, or began to measure,
// what o asks for.
func (r Report) Answers(o Report) bool {
	return r.Version == o.Version && r.Model == o.Model && r.Arch == o.Arch && r.CPUs == o.CPUs &&
		r.Input == o.Input && r.FPS == o.FPS &&
		slices.EqualFunc(r.Rows, o.Rows, func(a, b Row) bool { return a.withoutResult() == b.withoutResult() })
}

// Save writes the result file, whole or not at all; see atomicfile.Write for what else path may be.
func (r Report) Save(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, 0o644, atomicfile.Bytes(append(b, '\n')))
}

// maxReportBytes is the longest result file that is read: all rows of a full bench have 10 kB.
const maxReportBytes = 1 << 20

// Load reads a result file. One without rows is an error, and is given all the same.
func Load(path string) (r Report, err error) {
	b, err := openfile.Read(path, maxReportBytes)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return Report{}, fmt.Errorf("%s: not a result of camsource bench: %w", path, err)
	}
	if len(r.Rows) == 0 {
		return r, fmt.Errorf("%s: not a result of camsource bench: no rows", path)
	}
	return r, nil
}

// Print writes the table for people.
func (r Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d cores, %s, camsource %s, %s\n", r.Model, r.CPUs, r.Arch, r.Version, r.Input)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t,
		"size\tformat\tspeed\tthreads\tfps\tCPU ms\tconvert\tencode\tsend\tp50 ms\tp99 ms\tkbit/s\tPSNR-Y dB\t")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%v\t%s\t%d\t%d\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.2f\t\n",
			row.Size, row.Format, row.Speed, row.Threads, row.FPS,
			row.CPU.All, row.CPU.Convert, row.CPU.Encode, row.CPU.Send,
			row.Latency.P50, row.Latency.P99, row.Kbit, row.PSNR)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "start: %v; end: %v\n", r.Start, r.End)
	if r.Interrupted {
		fmt.Fprintln(w, "interrupted: not all that was asked for was measured")
	}
	_, err := fmt.Fprintln(w, r.advice())
	return err
}

// String gives a person's words: "52 °C, 1200 MHz".
func (m Machine) String() string {
	heat, clock := "temperature unknown", "clock unknown"
	if m.Celsius != 0 {
		heat = fmt.Sprintf("%.0f °C", m.Celsius)
	}
	if m.MHz != 0 {
		clock = fmt.Sprintf("%.0f MHz", m.MHz)
	}
	if m.Throttled != "" && m.Throttled != "0" {
		clock += ", throttled: " + m.Throttled
	}
	return heat + ", " + clock
}
