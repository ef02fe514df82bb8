// The services: gokrazy starts them at once, but for camweb, and each one again when it ends.

package main

import (
	"os/exec"
	"strconv"
	"time"

	"github.com/gokrazy/gokrazy"
)

// serviceCommands lists the programs with their arguments. build is the time before which ntp
// trusts no server.
//
// Upstream's randomd is not among them. It hands the kernel 64-bit numbers where struct
// rand_pool_info of linux/random.h has 32-bit ones: the kernel reads a length of 0, adds no
// seed and counts 4096 bits of entropy for it. The kernel seeds itself: on a Pi from the boot
// firmware (/chosen/rng-seed) and the hardware's generator, on a BeagleBone from jitter, by 3.3 s
// after its start (QEMU at 500 million instructions a second, no rng-seed).
func serviceCommands(build time.Time) [][]string {
	file := func(name string) string { return service{name: name}.file(configFolder) }
	return [][]string{
		{"/user/camsource", "--config", file("camsource")},
		{"/user/camweb", "--config", file("camweb")},
		{"/gokrazy/dhcp"},
		{"/gokrazy/ntp", "--config", file("ntp"), "--floor", strconv.FormatInt(max(build.Unix(), 0), 10)},
	}
}

// servicePaths lists the programs, to look after them and to stop them.
func servicePaths() (paths []string) {
	for _, c := range serviceCommands(time.Time{}) {
		paths = append(paths, c[0])
	}
	return paths
}

// newServices wraps the commands for gokrazy. It must run after gokrazy.Boot, which decides where
// their output goes. A Credential would be lost: gokrazy copies each exec.Cmd without it, so
// they give up root themselves. camweb waits for the supervisor: beside it, on a BeagleBone's one core,
// the stream would begin more than a second later.
func newServices(build time.Time) []*gokrazy.Service {
	var list []*gokrazy.Service
	for _, c := range serviceCommands(build) {
		wrap := gokrazy.NewService
		if c[0] == webPath {
			wrap = gokrazy.NewStoppedService
		}
		list = append(list, wrap(exec.Command(c[0], c[1:]...)))
	}
	return list
}
