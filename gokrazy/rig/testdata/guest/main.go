// Command guest is process 1 of the VM that tests the virtual camera: it loads uvcvideo,
// opens whatever camera there is, again and again, and says on the console what it got.
// Its arguments come from the kernel's command line, behind "--": modules in load order,
// and the sizes to ask for, one for each time that a camera comes.
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("guest FAILED", err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

// run gives up only if the guest itself is broken.
func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("arguments %q, want modules and sizes", args)
	}
	for _, m := range []struct{ what, where string }{{"devtmpfs", "/dev"}, {"sysfs", "/sys"}, {"proc", "/proc"}} {
		if err := unix.Mount(m.what, m.where, m.what, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.what, err)
		}
	}
	for _, name := range strings.Split(args[0], ",") {
		if err := load("/modules/" + name + ".ko"); err != nil {
			return err
		}
	}
	fmt.Println("guest READY")
	for sizes := strings.Split(args[1], ","); ; time.Sleep(50 * time.Millisecond) {
		width, height, _ := strings.Cut(sizes[0], "x")
		w, _ := strconv.Atoi(width)
		h, _ := strconv.Atoi(height)
		err := capture(v4l2.Request{Width: w, Height: h, FPS: 30})
		if errors.Is(err, v4l2.ErrNoCamera) {
			continue
		}
		fmt.Println("guest ended:", err)
		if errors.Is(err, v4l2.ErrSilent) {
			fmt.Println("guest resets itself")
			return nil
		}
		if len(sizes) > 1 {
			sizes = sizes[1:]
		}
	}
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}

// capture prints the hash of each buffer until the camera fails.
func capture(r v4l2.Request) error {
	c, err := v4l2.Open(r)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("guest camera", c)
	for {
		err := c.Next(2*time.Second, func(b v4l2.Buffer) error {
			fmt.Printf("guest buffer %x %d\n", sha256.Sum256(b.Bytes), b.Sequence)
			return nil
		})
		if err != nil {
			return err
		}
	}
}
