// The services: gokrazy starts all of them at once, and each one again when it ends.

package main

import (
	"os/exec"
	"strconv"
	"time"

	"github.com/gokrazy/gokrazy"
)

// serviceCommands lists the programs with their arguments. build is the time before which ntp
// trusts no server.
func serviceCommands(build time.Time) [][]string {
	const config = permFolder + "/" + configName
	return [][]string{
		{"/user/camsource", "--config", config},
		{"/gokrazy/dhcp"},
		{"/gokrazy/ntp", "--config", config, "--floor", strconv.FormatInt(max(build.Unix(), 0), 10)},
		{"/gokrazy/randomd"},
	}
}

// newServices wraps the commands for gokrazy. It must run after gokrazy.Boot, which decides where
// their output goes. A Credential would be lost: gokrazy copies each exec.Cmd without it, so
// camsource and ntp give up root themselves.
func newServices(build time.Time) []*gokrazy.Service {
	var list []*gokrazy.Service
	for _, c := range serviceCommands(build) {
		list = append(list, gokrazy.NewService(exec.Command(c[0], c[1:]...)))
	}
	return list
}
