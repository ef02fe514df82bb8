// The list as Imager reads it, and what this project says of its boards in it.

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	website = "https://github.com/krazycam/krazycam"
	iconURL = "https://raw.githubusercontent.com/krazycam/krazycam/main/docs/icon.svg"
)

// A list is the whole file. Without devices Imager 2 cannot leave its first page.
type list struct {
	Imager struct {
		Devices []device `json:"devices"`
	} `json:"imager"`
	OSList []entry `json:"os_list"`
}

// A device is a board that a person chooses. Images with one of its tags are then shown.
type device struct {
	Name         string   `json:"name"`
	Description  string   `json:"description"`
	Tags         []string `json:"tags"`
	MatchingType string   `json:"matching_type"`
	Architecture string   `json:"architecture"`
}

// An entry is an image. It has no init_format: with one, Imager would ask for user name and Wi-Fi,
// and write them in a form that nothing on our boards reads.
type entry struct {
	Name           string   `json:"name"`
	Description    string   `json:"description"`
	Icon           string   `json:"icon"`
	Website        string   `json:"website"`
	URL            string   `json:"url"`
	BmapURL        string   `json:"bmap_url,omitempty"` // only for Imager's fastboot
	ExtractSize    int64    `json:"extract_size"`
	ExtractSHA256  string   `json:"extract_sha256"` // Imager writes nothing that a board starts if it is wrong
	DownloadSize   int64    `json:"image_download_size"`
	DownloadSHA256 string   `json:"image_download_sha256"`
	ReleaseDate    string   `json:"release_date"`
	Devices        []string `json:"devices"`
	Architecture   string   `json:"architecture"`
}

// A boardText is what a person reads about a board's image. The tags are those of Imager's own list,
// where it has the board.
type boardText struct {
	name, description, architecture string
	devices                         []device
}

var boards = map[string]boardText{
	"rpi": {"Raspberry Pi", "A USB webcam becomes a live video source. For Raspberry Pi 3, 4, 5 and Zero 2 W.", "armv8",
		[]device{
			{"Raspberry Pi 5", "all models", []string{"pi5-64bit"}, "exclusive", "armv8"},
			{"Raspberry Pi 4", "Model B", []string{"pi4-64bit"}, "exclusive", "armv8"},
			{"Raspberry Pi 3", "Models A+, B and B+", []string{"pi3-64bit"}, "exclusive", "armv8"},
			{"Raspberry Pi Zero 2 W", "with a USB Ethernet adapter", []string{"pi3-64bit"}, "exclusive", "armv8"},
		}},
	"bbb": {"BeagleBone Black", "A USB webcam becomes a live video source. For BeagleBone Black and Green.", "armhf",
		[]device{
			{"BeagleBone Black", "or Green, not the Wireless ones", []string{"beaglebone-black"}, "exclusive", "armhf"},
		}},
}

// write leaves no half a list behind.
func (r release) write(out string, images []string) error {
	var l list
	for _, arg := range images {
		name, path, _ := strings.Cut(arg, "=")
		e, err := r.entry(boards[name], path)
		if err != nil {
			return err
		}
		l.OSList = append(l.OSList, e)
		l.Imager.Devices = append(l.Imager.Devices, boards[name].devices...)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		return err
	}
	if err := os.WriteFile(out+".new", b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(out+".new", out)
}

// entry measures the image that lies packed at path.
func (r release) entry(b boardText, path string) (entry, error) {
	e := entry{
		Name: "krazycam " + r.version + " for " + b.name, Description: b.description, Icon: r.iconURL, Website: website,
		ReleaseDate: r.date, Architecture: b.architecture,
	}
	for _, d := range b.devices {
		e.Devices = appendNew(e.Devices, d.Tags)
	}
	var err error
	if e.URL, err = url.JoinPath(r.baseURL, filepath.Base(path)); err != nil {
		return e, fmt.Errorf("--base-url: %w", err)
	}
	if bmap := strings.TrimSuffix(path, ".xz") + ".bmap"; exists(bmap) {
		if e.BmapURL, err = url.JoinPath(r.baseURL, filepath.Base(bmap)); err != nil {
			return e, fmt.Errorf("--base-url: %w", err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return e, err
	}
	defer f.Close()
	if e.DownloadSize, e.DownloadSHA256, err = measure(f); err != nil {
		return e, fmt.Errorf("read %s: %w", path, err)
	}
	if e.ExtractSize, e.ExtractSHA256, err = measurePacked(path); err != nil {
		return e, fmt.Errorf("unpack %s: %w", path, err)
	}
	return e, nil
}

func appendNew(all, more []string) []string {
	for _, s := range more {
		known := false
		for _, have := range all {
			known = known || have == s
		}
		if !known {
			all = append(all, s)
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func measure(r io.Reader) (size int64, sum string, err error) {
	h := sha256.New()
	size, err = io.Copy(h, r)
	return size, hex.EncodeToString(h.Sum(nil)), err
}

// measurePacked measures what xz makes of a file.
func measurePacked(path string) (size int64, sum string, err error) {
	cmd := exec.Command("xz", "--decompress", "--stdout", "--", path)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, "", err
	}
	if err := cmd.Start(); err != nil {
		return 0, "", err
	}
	size, sum, err = measure(out)
	if waitErr := cmd.Wait(); waitErr != nil {
		return 0, "", fmt.Errorf("xz: %s: %w", strings.TrimSpace(complaint.String()), waitErr)
	}
	return size, sum, err
}
