// Command memory stands in for camsource in the VM's root. It says how much memory the
// kernel cannot take back, which is where the files of an initramfs lie.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	console, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		os.Exit(1)
	}
	for {
		b, err := os.ReadFile("/proc/meminfo")
		if err != nil {
			fmt.Fprintln(console, "memory:", err)
			os.Exit(1)
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "Unevictable:") {
				fmt.Fprintln(console, "memory", strings.Join(strings.Fields(line), " "))
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}
