// What the machine measures of itself at this moment. Sources: kernel documentation
// ABI/testing/sysfs-class-thermal, hwmon/raspberrypi-hwmon.

package machine

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Uptime is the time since the kernel started, sleep included; 0 if it does not say.
func Uptime() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

// zonesMax bounds how many thermal zones are looked at: a server has dozens.
const zonesMax = 64

// Temperature is that of the processor in degrees Celsius; of several sensors, the highest. sys is
// /sys. ok is false where there is no sensor, as on a BeagleBone.
func Temperature(sys fs.FS) (celsius float64, ok bool) {
	const class = "class/thermal"
	entries, err := fs.ReadDir(sys, class)
	if err != nil {
		return 0, false
	}
	for _, e := range entries[:min(len(entries), zonesMax)] {
		kind, err := fs.ReadFile(sys, path.Join(class, e.Name(), "type"))
		if err != nil || !isProcessor(strings.TrimSpace(string(kind))) {
			continue
		}
		text, err := fs.ReadFile(sys, path.Join(class, e.Name(), "temp"))
		if err != nil {
			continue // a zone that is switched off cannot be read
		}
		thousandths, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			continue
		}
		if t := float64(thousandths) / 1000; !ok || t > celsius {
			celsius, ok = t, true
		}
	}
	return celsius, ok
}

// isProcessor knows the zones of Raspberry Pis (cpu-thermal), of other boards (cpu_thermal,
// soc-thermal) and of PCs (x86_pkg_temp). A cooling device's type is Processor, too: it has no temp.
func isProcessor(zone string) bool {
	zone = strings.ToLower(zone)
	return strings.Contains(zone, "cpu") || strings.Contains(zone, "soc") || zone == "x86_pkg_temp"
}

// Undervoltage is whether the supply is too weak now, by a Raspberry Pi's own sensor. sys is /sys. ok
// is false where there is no such sensor.
func Undervoltage(sys fs.FS) (low, ok bool) {
	const class = "class/hwmon"
	entries, err := fs.ReadDir(sys, class)
	if err != nil {
		return false, false
	}
	for _, e := range entries {
		name, err := fs.ReadFile(sys, path.Join(class, e.Name(), "name"))
		if err != nil || strings.TrimSpace(string(name)) != "rpi_volt" {
			continue
		}
		alarm, err := fs.ReadFile(sys, path.Join(class, e.Name(), "in0_lcrit_alarm"))
		return strings.TrimSpace(string(alarm)) == "1", err == nil
	}
	return false, false
}
