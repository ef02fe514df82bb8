// The services: gokrazy starts all of them at once and each again when it ends.

package main

import (
	"os/exec"
	"strconv"
	"time"

	"github.com/gokrazy/gokrazy"
)

// commands lists the programs with their arguments. Without -gus_server heartbeat
// sends nothing and ends for good (it exits 125, which gokrazy takes as "do not
// start again"); it is there for owners who run a GUS server. build is the time
// before which ntp believes no server.
func commands(build time.Time) [][]string {
	const config = perm + "/" + configName
	return [][]string{
		{"/user/camsource", "--config", config},
		{"/gokrazy/dhcp"},
		{"/gokrazy/ntp", "--config", config, "--floor", strconv.FormatInt(max(build.Unix(), 0), 10)},
		{"/gokrazy/randomd"},
		{"/gokrazy/heartbeat"},
	}
}

// services wraps the commands for gokrazy. It must run after gokrazy.Boot, which
// settles where their output goes. A Credential would be lost here: gokrazy makes
// each exec.Cmd anew, so camsource and ntp drop their rights themselves.
func services(build time.Time) []*gokrazy.Service {
	var list []*gokrazy.Service
	for _, c := range commands(build) {
		list = append(list, gokrazy.NewService(exec.Command(c[0], c[1:]...)))
	}
	return list
}
