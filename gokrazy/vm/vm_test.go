package vm

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/vm/writelog"
)

func TestOnlyTheConsoleOfTheCommandLineChanges(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{
			"two consoles and padding",
			"console=tty1 console=serial0,115200 root=PARTUUID=x/PARTNROFF=1 panic=10\n     ",
			"console=ttyAMA0 root=PARTUUID=x/PARTNROFF=1 panic=10",
		},
		{"none", "root=/dev/vda", "console=ttyAMA0 root=/dev/vda"},
		{
			"a word that only looks like it",
			"netconsole=x root=/dev/vda", "console=ttyAMA0 netconsole=x root=/dev/vda",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := withConsole(c.in, "ttyAMA0"); got != c.want {
				t.Errorf("withConsole = %q, want %q", got, c.want)
			}
		})
	}
}

func TestParseForward(t *testing.T) {
	if f, err := ParseForward("8443:443"); err != nil || f != (Forward{8443, 443}) {
		t.Errorf("ParseForward = %+v, %v", f, err)
	}
	for _, bad := range []string{
		"", "8443", "8443:", ":443", "0:443", "8443:65536", "-1:1", "a:b", "1:2:3", "8443: 443",
	} {
		if f, err := ParseForward(bad); err == nil {
			t.Errorf("ParseForward(%q) = %+v, want an error", bad, f)
		}
	}
}

func TestQEMUArgumentsCarryTheConfiguration(t *testing.T) {
	m := &Machine{image: "/tmp/a,b.img", folder: "/tmp/f", hardware: hardware64(), config: Config{
		Forwards: []Forward{{8443, 443}, {8080, 80}}, NoRTC: true, Watchdog: true, QEMUArgs: []string{"-object", "x"},
	}}
	args := strings.Join(m.qemuArgs(bootFiles{kernel: "K", cmdline: "a b"}), " ")
	for _, want := range []string{
		"-kernel K -append a b", "file=/tmp/a,,b.img",
		"hostfwd=tcp:127.0.0.1:8443-:443,hostfwd=tcp:127.0.0.1:8080-:80",
		"-rtc base=1970-01-02", "-device i6300esb", "-no-reboot", "path=/tmp/f/camera.sock", "-object x",
	} {
		if !strings.Contains(args, want) {
			t.Errorf("arguments lack %q: %s", want, args)
		}
	}
	plain := &Machine{image: "i"}
	if args := plain.qemuArgs(bootFiles{}); slices.Contains(args, "-rtc") || slices.Contains(args, "i6300esb") {
		t.Errorf("arguments of a plain VM: %v", args)
	}
}

func TestMissingQEMUSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Start(context.Background(), Config{Image: "cam.img"})
	if !errors.Is(err, ErrNoQEMU) || !strings.Contains(err.Error(), "apt install") {
		t.Errorf("Start = %v, want ErrNoQEMU and what to install", err)
	}
}

// fakeQEMU puts a shell script in QEMU's place.
func fakeQEMU(t *testing.T, script string) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs a shell")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, qemuProgram), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func noBootFiles(context.Context, *Machine, bool) (bootFiles, error) { return bootFiles{}, nil }

func TestVMEndsWithQEMUAndReportsItsLastWords(t *testing.T) {
	fakeQEMU(t, "echo hello; echo first >&2; echo 'no such machine' >&2; exit 3")
	m, err := start(context.Background(), Config{}, hardware64(), noBootFiles)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(); err == nil || !strings.Contains(err.Error(), "no such machine") {
		t.Errorf("Wait = %v, want QEMU's last line", err)
	}
	if l := m.Lines(); len(l) != 1 || l[0].Text != "hello" {
		t.Errorf("Lines = %v, want hello", l)
	}
	if _, err := os.Stat(m.folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the working folder is still there: %v", err)
	}
}

func TestVMEndsWithoutErrorWhenTheGuestPowersOff(t *testing.T) {
	fakeQEMU(t, "exit 0")
	m, err := start(context.Background(), Config{}, hardware64(), noBootFiles)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(); err != nil || m.Boots() != 1 {
		t.Errorf("Wait = %v after %d boots, want nil after 1", err, m.Boots())
	}
}

func TestVMEndsWithItsContextAndWithClose(t *testing.T) {
	fakeQEMU(t, "exec sleep 60")
	for name, end := range map[string]func(*Machine, context.CancelFunc) error{
		"context": func(m *Machine, cancel context.CancelFunc) error { cancel(); return m.Wait() },
		"Close":   func(m *Machine, _ context.CancelFunc) error { return m.Close() },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		m, err := start(ctx, Config{Camera: idle{}}, hardware64(), noBootFiles)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Plug(); !errors.Is(err, errPlugged) {
			t.Errorf("%s: second Plug = %v, want %v", name, err, errPlugged)
		}
		if err := end(m, cancel); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := m.Plug(); !errors.Is(err, ErrEnded) {
			t.Errorf("%s: Plug after the end = %v, want ErrEnded", name, err)
		}
	}
}

type idle struct{}

func (idle) ServeUSBRedir(conn io.ReadWriteCloser) error {
	_, err := io.Copy(io.Discard, conn)
	return errors.Join(err, conn.Close())
}

func TestUnreadableImageIsReportedAtOnce(t *testing.T) {
	fakeQEMU(t, "exit 0")
	dir := t.TempDir()
	text := filepath.Join(dir, "text.img")
	if err := os.WriteFile(text, []byte("no image"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		config Config
	}{
		{"absent", Config{Image: filepath.Join(dir, "absent.img")}},
		{"absent, to be copied", Config{Image: filepath.Join(dir, "absent.img"), Snapshot: true}},
		{"no partition table", Config{Image: text}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if m, err := Start(context.Background(), c.config); err == nil {
				m.Close()
				t.Error("Start did not fail")
			} else if !strings.Contains(err.Error(), c.config.Image) {
				t.Errorf("Start = %v, does not name the image", err)
			}
		})
	}
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestUBootIsStartedWithoutItsCountdown(t *testing.T) {
	need.File(t, UBootFile, "scripts/setup")
	m := newQuietMachine(t)
	m.hardware = hardware32()
	b, err := readUBoot(context.Background(), m, false)
	if err != nil {
		t.Fatal(err)
	}
	started, err := os.ReadFile(b.firmware)
	if err != nil || !strings.Contains(string(started), "\x00bootdelay=-2\x00") {
		t.Errorf("%d bytes, %v, with a countdown", len(started), err)
	}
}

func TestUBootOfAnUnknownBuildIsStartedAsItIs(t *testing.T) {
	m := newQuietMachine(t)
	m.config.UBoot = filepath.Join(t.TempDir(), "own.bin")
	if err := os.WriteFile(m.config.UBoot, []byte("some other build"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := readUBoot(context.Background(), m, false); err != nil || b.firmware != m.config.UBoot {
		t.Errorf("readUBoot = %+v, %v, want %s", b, err, m.config.UBoot)
	}
}

// The played boot firmware writes the card, too, between two runs of QEMU.
func TestTheLogHasWhatTheBootFirmwareWrites(t *testing.T) {
	fakeQEMU(t, "exit 0")
	image := slotImage(t, "krazycam=1\nlayout=1\nslot=a\ntry=b\n")
	file := filepath.Join(t.TempDir(), "log")
	c := Config{Image: image, WriteLog: file}
	afterReset := func(_ context.Context, m *Machine, _ bool) (bootFiles, error) {
		b, _, err := m.loadPi(true)
		return b, err
	}
	m, err := start(context.Background(), c, hardware64(), afterReset)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	l, err := writelog.Read(f, info.Size())
	if err != nil || len(l.Entries) != 2 || l.Entries[0].At != card.StateSector*disk.SectorSize || !l.Entries[1].Flush {
		t.Errorf("log = %+v, %v, want the state sector and a flush", l, err)
	}
	if _, err := start(context.Background(), c, hardware64(), noBootFiles); !errors.Is(err, os.ErrExist) {
		t.Errorf("a log over a log = %v, want ErrExist", err)
	}
	c.WriteLog += "2"
	if _, err := start(context.Background(), c, hardwarePi3(), noBootFiles); !errors.Is(err, ErrMachine) {
		t.Errorf("a log of a Pi 3 = %v, want ErrMachine", err)
	}
}
