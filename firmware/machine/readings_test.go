package machine

import (
	"testing"
	"testing/fstest"
)

func TestUndervoltageIsTheAlarmOfARaspberryPi(t *testing.T) {
	for _, c := range []struct {
		name string
		sys  fstest.MapFS
		low  bool
		ok   bool
	}{
		{"alarm", fstest.MapFS{
			"class/hwmon/hwmon0/name":            {Data: []byte("cpu_thermal\n")},
			"class/hwmon/hwmon1/name":            {Data: []byte("rpi_volt\n")},
			"class/hwmon/hwmon1/in0_lcrit_alarm": {Data: []byte("1\n")},
		}, true, true},
		{"no alarm", fstest.MapFS{
			"class/hwmon/hwmon0/name":            {Data: []byte("rpi_volt\n")},
			"class/hwmon/hwmon0/in0_lcrit_alarm": {Data: []byte("0\n")},
		}, false, true},
		{"another machine's alarm", fstest.MapFS{
			"class/hwmon/hwmon0/name":            {Data: []byte("nct6775\n")},
			"class/hwmon/hwmon0/in0_lcrit_alarm": {Data: []byte("1\n")},
		}, false, false},
		{"no sensors", fstest.MapFS{}, false, false},
	} {
		if low, ok := Undervoltage(c.sys); low != c.low || ok != c.ok {
			t.Errorf("%s: Undervoltage = %v, %v, want %v, %v", c.name, low, ok, c.low, c.ok)
		}
	}
}

func TestTemperatureIsThatOfTheHottestProcessor(t *testing.T) {
	for _, c := range []struct {
		name string
		sys  fstest.MapFS
		want float64
		ok   bool
	}{
		{"a Raspberry Pi", fstest.MapFS{
			"class/thermal/thermal_zone0/type":   {Data: []byte("cpu-thermal\n")},
			"class/thermal/thermal_zone0/temp":   {Data: []byte("48312\n")},
			"class/thermal/cooling_device0/type": {Data: []byte("cpu-fan\n")},
		}, 48.312, true},
		{"frost, and a zone of something else", fstest.MapFS{
			"class/thermal/thermal_zone0/type": {Data: []byte("acpitz\n")},
			"class/thermal/thermal_zone0/temp": {Data: []byte("25000\n")},
			"class/thermal/thermal_zone1/type": {Data: []byte("cpu_thermal\n")},
			"class/thermal/thermal_zone1/temp": {Data: []byte("-7500\n")},
		}, -7.5, true},
		{"two, of which one is switched off", fstest.MapFS{
			"class/thermal/thermal_zone0/type": {Data: []byte("cpu0-thermal\n")},
			"class/thermal/thermal_zone1/type": {Data: []byte("x86_pkg_temp\n")},
			"class/thermal/thermal_zone1/temp": {Data: []byte("61000\n")},
		}, 61, true},
		{"nonsense", fstest.MapFS{
			"class/thermal/thermal_zone0/type": {Data: []byte("cpu\n")},
			"class/thermal/thermal_zone0/temp": {Data: []byte("hot\n")},
		}, 0, false},
		{"no sensors", fstest.MapFS{}, 0, false},
	} {
		if got, ok := Temperature(c.sys); got != c.want || ok != c.ok {
			t.Errorf("%s: Temperature = %v, %v, want %v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestUptimeGrows(t *testing.T) {
	before := Uptime()
	if after := Uptime(); before <= 0 || after < before {
		t.Errorf("Uptime = %v, then %v", before, after)
	}
}
