//go:build !unix

package bundle

import "os"

func giveToOwner(*os.File, string) error { return nil }
