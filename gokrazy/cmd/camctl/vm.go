// camctl vm: boots an image in QEMU with a virtual USB webcam.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

// vmFlags are the flags of camctl vm as they were typed.
type vmFlags struct {
	machine  string
	camera   string
	seed     string
	forwards []string
	serial   string
	snapshot bool
	noRTC    bool
	uBoot    string
}

func newVMCommand() *cobra.Command {
	var f vmFlags
	cmd := &cobra.Command{
		Use:   "vm IMAGE",
		Short: "Boots an image in QEMU with a virtual USB webcam",
		Long: "Boots an image in QEMU as the board's firmware would, with a virtual USB webcam plugged in.\n" +
			"The guest reaches this machine as 10.0.2.2. Ends with the VM, on Ctrl-C, or when nobody reads\n" +
			"its console any more.\n" +
			"Without --snapshot the image changes, as a card would.",
		Args: exactly("IMAGE"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.machine, "machine", vm.MachineVirt,
		"`NAME` of the board: virt, or raspi3b, a Raspberry Pi 3 with its own devices (slow: 1 to 2 pictures a second)")
	flags.StringVar(&f.camera, "camera", "pattern",
		"what the webcam shows: a `FILE` of JPEGs (ffmpeg -f mjpeg), pattern, or none")
	flags.StringVar(&f.seed, "seed", "", "krazycam.json `FILE` to put onto the boot partition")
	flags.StringArrayVar(&f.forwards, "forward", nil, "TCP `HOST:GUEST` ports, such as 8443:443; may be repeated")
	flags.StringVar(&f.serial, "serial", "", "`FILE` for the serial console instead of stdout")
	flags.BoolVar(&f.snapshot, "snapshot", false, "work on a copy and leave the image as it is")
	flags.StringVar(&f.uBoot, "u-boot", "",
		"U-Boot `FILE` for an image of a 32-bit board (default that of Debian's package u-boot-qemu)")
	flags.BoolVar(&f.noRTC, "no-rtc", false, "start in 1970, as a board without a clock")
	return cmd
}

func (f *vmFlags) run(cmd *cobra.Command, image string) (err error) {
	config := vm.Config{
		Image: image, Machine: f.machine, Snapshot: f.snapshot, NoRTC: f.noRTC, UBoot: f.uBoot,
		Console: cmd.OutOrStdout(), Log: newLog(cmd),
	}
	for _, s := range f.forwards {
		forward, err := vm.ParseForward(s)
		if err != nil {
			return usageError{err}
		}
		config.Forwards = append(config.Forwards, forward)
	}
	if config.Camera, err = vmCamera(f.camera, f.machine); err != nil {
		return err
	}
	if file, _, err := openUnpacked(image); errors.Is(err, errPacked) {
		return err
	} else if err == nil {
		_ = file.Close()
	}
	if config.Seed, err = readSeed(f.seed, imageDefaults(image)); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if f.serial != "" {
		file, openErr := openfile.Create(f.serial, 0o644)
		if openErr != nil {
			return fmt.Errorf("serial console: %w", openErr)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		config.Console = file
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	piped := &pipedConsole{Writer: config.Console, gone: cancel}
	config.Console = piped
	defer piped.notice()()
	machine, err := vm.Start(ctx, config)
	if errors.Is(err, vm.ErrMachine) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	return machine.Wait()
}

// A pipedConsole ends the VM when nobody reads it any more, as camctl bench once it has its
// result. Without, the signal would end camctl at once, and leave the VM's folder behind.
type pipedConsole struct {
	io.Writer
	gone func()
}

// notice turns the signal into an error of Write until the function that it gives is called.
func (p *pipedConsole) notice() (forget func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGPIPE)
	return func() { signal.Stop(signals) }
}

func (p *pipedConsole) Write(b []byte) (int, error) {
	n, err := p.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		p.gone()
	}
	return n, err
}

// vmCamera is the webcam that --camera names, nil for none.
func vmCamera(name, machine string) (vm.Camera, error) {
	model := virtualcam.Model{FullSpeed: machine == vm.MachinePi3}
	switch name {
	case "none":
		return nil, nil
	case "pattern":
		return model.New(virtualcam.NewPattern()), nil
	}
	clip, err := virtualcam.OpenClip(name)
	if err != nil {
		return nil, fmt.Errorf("camera: %w", err)
	}
	return model.New(clip), nil
}
