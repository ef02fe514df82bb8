package main

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLinkUpTellsAMissingInterfaceFromAnOtherFault(t *testing.T) {
	if err := setLinkUp("nonesuch0"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("linkUp of no interface = %v, want ENODEV: it may still come", err)
	}
	if err := setLinkUp("a name that is too long for the kernel"); err == nil || errors.Is(err, unix.ENODEV) {
		t.Errorf("linkUp of a bad name = %v, want another error than ENODEV", err)
	}
}
