// Drives on Windows, by what PowerShell's Get-Disk, Get-Partition and Win32_DiskDrive say of them.
// Source: Microsoft's reference of the module Storage and of the class Win32_DiskDrive.

package drive

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// drivesScript prints one JSON object. Win32_DiskDrive alone knows whether a medium can be taken out;
// numbers of enumerations are made words, which do not depend on the version.
const drivesScript = `$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = New-Object Text.UTF8Encoding $false
$media = @{}
Get-CimInstance Win32_DiskDrive | ForEach-Object { $media["$($_.Index)"] = "$($_.MediaType)" }
$disks = @(Get-Disk | ForEach-Object { [ordered]@{
  Number = [int]$_.Number; Name = "$($_.FriendlyName)"; Size = [int64]$_.Size; Bus = "$($_.BusType)"
  Media = "$($media["$($_.Number)"])"; System = [bool]$_.IsSystem; Boot = [bool]$_.IsBoot
  ReadOnly = [bool]$_.IsReadOnly } })
$volumes = @(Get-Partition | ForEach-Object { $v = $_ | Get-Volume -ErrorAction SilentlyContinue; [ordered]@{
  Disk = [int]$_.DiskNumber; Letter = "$($_.DriveLetter)".Trim([char]0)
  Volume = "$(@($_.AccessPaths) -like '\\?\Volume{*' | Select-Object -First 1)"
  FileSystem = "$($v.FileSystem)"; Label = "$($v.FileSystemLabel)" } })
ConvertTo-Json -Compress -Depth 4 ([ordered]@{ Disks = $disks; Volumes = $volumes })
`

// encodedCommand is a script as -EncodedCommand takes it, in base64 of UTF-16: no rules about quotes apply.
func encodedCommand(script string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(script)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// A windowsDisk is a member of Disks.
type windowsDisk struct {
	Number       int
	Name         string
	Size         int64
	Bus          string
	Media        string
	System, Boot bool
	ReadOnly     bool
}

// windowsDrives is what the script prints.
type windowsDrives struct {
	Disks   []windowsDisk
	Volumes []struct {
		Disk              int
		Letter            string
		Volume            string // its name, which one without a letter has, too
		FileSystem, Label string
	}
}

func parseWindows(b []byte) (w windowsDrives, err error) {
	if len(b) > maxOutput {
		return w, fmt.Errorf("PowerShell: %w: %d bytes", errOutput, len(b))
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return w, fmt.Errorf("PowerShell: %w: %w", errOutput, err)
	}
	return w, nil
}

// drives are those that can be taken out and have a medium.
func (w *windowsDrives) drives() (all []Drive) {
	for _, disk := range w.Disks {
		if !disk.isRemovable() || disk.System || disk.Boot || disk.Size <= 0 || disk.ReadOnly {
			continue
		}
		d := Drive{Path: devicePrefix + strconv.Itoa(disk.Number), Name: strings.TrimSpace(disk.Name), Size: disk.Size}
		for _, v := range w.Volumes {
			if v.Disk != disk.Number {
				continue
			}
			if holds := strings.TrimSpace(v.FileSystem + " " + v.Label); holds != "" {
				d.Holds = append(d.Holds, holds)
			}
		}
		for _, letter := range w.letters(disk.Number) {
			d.Mounts = append(d.Mounts, letter+":")
		}
		all = append(all, d)
	}
	return all
}

// isRemovable goes by the medium: an external disk is "External hard disk media".
func (d windowsDisk) isRemovable() bool {
	return strings.HasPrefix(d.Media, "Removable") || d.Bus == "SD"
}

// letters are the drive letters of a disk.
func (w *windowsDrives) letters(number int) (letters []string) {
	for _, v := range w.Volumes {
		if v.Disk == number && driveLetter.MatchString(v.Letter) {
			letters = append(letters, v.Letter)
		}
	}
	return letters
}

// volumes are the names by which the file systems of a disk are opened.
func (w *windowsDrives) volumes(number int) (names []string) {
	for _, v := range w.Volumes {
		name := strings.TrimSuffix(v.Volume, `\`) // with it, it is a folder
		switch {
		case v.Disk != number:
		case volumeName.MatchString(name):
			names = append(names, name)
		case driveLetter.MatchString(v.Letter):
			names = append(names, `\\.\`+v.Letter+":")
		}
	}
	return names
}

// check decides whether a disk may be written. letter is that of the drive which the image lies on.
func (w *windowsDrives) check(number int, letter string, sure bool) error {
	path := devicePrefix + strconv.Itoa(number)
	for _, disk := range w.Disks {
		if disk.Number != number {
			continue
		}
		for _, l := range w.letters(number) {
			if strings.EqualFold(l, letter) {
				return fmt.Errorf("%w: %s holds the image itself", ErrInUse, path)
			}
		}
		switch {
		case disk.System || disk.Boot:
			return fmt.Errorf("%w: %s: %w", ErrInUse, path, ErrSystem)
		case disk.ReadOnly:
			return locked(path)
		case !disk.isRemovable() && !sure:
			return notRemovable(path)
		}
		return nil
	}
	return fmt.Errorf("%w: %s: there is no such drive", ErrNotACard, path)
}

// devicePrefix and a number name a disk.
const devicePrefix = `\\.\PhysicalDrive`

var (
	deviceName  = regexp.MustCompile(`(?i)^\\\\[.?]\\PhysicalDrive([0-9]{1,3})$`)
	driveLetter = regexp.MustCompile(`^[A-Za-z]$`)
	volumeName  = regexp.MustCompile(`^\\\\\?\\Volume\{[0-9A-Fa-f-]{36}\}$`)
)

// physicalDrive is the number in a name such as \\.\PhysicalDrive2.
func physicalDrive(path string) (int, bool) {
	m := deviceName.FindStringSubmatch(path)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}
