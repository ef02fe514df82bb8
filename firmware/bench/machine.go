// What the machine says about itself: model, temperature, clock. Source: Linux,
// Documentation/driver-api/thermal/sysfs-api.rst and admin-guide/pm/cpufreq.rst.

package bench

import (
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// A Machine is the state of the machine that a measurement ran on. What it does not report
// is zero.
type Machine struct {
	Celsius   float64 `json:"celsius,omitempty"`   // of the hottest zone
	MHz       float64 `json:"mhz,omitempty"`       // of the slowest core
	Throttled string  `json:"throttled,omitempty"` // a Raspberry Pi's own bits: 0 is never
}

func readMachine() Machine { return machineState(os.DirFS("/")) }

func machineState(root fs.FS) (m Machine) {
	for _, t := range readNumbers(root, "sys/class/thermal/thermal_zone*/temp") {
		m.Celsius = max(m.Celsius, t/1000)
	}
	for _, khz := range readNumbers(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq") {
		if m.MHz == 0 || khz/1000 < m.MHz {
			m.MHz = khz / 1000
		}
	}
	if m.MHz == 0 {
		m.MHz = cpuinfoMHz(root)
	}
	m.Throttled = readText(root, "sys/devices/platform/soc/soc:firmware/get_throttled")
	return m
}

// readNumbers reads every file that matches.
func readNumbers(root fs.FS, pattern string) (list []float64) {
	paths, err := fs.Glob(root, pattern)
	if err != nil {
		return nil
	}
	for _, p := range paths {
		if n, err := strconv.ParseFloat(readText(root, p), 64); err == nil {
			list = append(list, n)
		}
	}
	return list
}

func readText(root fs.FS, path string) string {
	b, err := fs.ReadFile(root, path)
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(b), "\x00\n ")
}

// cpuinfoMHz is the slowest "cpu MHz" of a PC without cpufreq.
func cpuinfoMHz(root fs.FS) (slowest float64) {
	for line := range strings.Lines(readText(root, "proc/cpuinfo")) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) != "cpu MHz" {
			continue
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && (slowest == 0 || n < slowest) {
			slowest = n
		}
	}
	return slowest
}

// modelName is what the boot firmware or the processor calls itself.
func modelName(root fs.FS) string {
	if m := readText(root, "proc/device-tree/model"); m != "" {
		return m
	}
	for line := range strings.Lines(readText(root, "proc/cpuinfo")) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
